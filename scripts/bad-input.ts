/**
 * `npm run bad-input [-- --json]`: gives three brokers everything that users, programs and strangers get
 * wrong, prints what each is answered, and checks after each that the cluster still serves. Fails if
 * an answer is unclear (an internal error, a stack trace, none within 15 s) or the cluster was harmed.
 * Runs what is in dist: `npm run build` first.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Client, credentials } from '@grpc/grpc-js';
import { crc32c } from '../src/base/crc32c.js';
import { MillraceClient } from '../src/client/index.js';
import { NO_PRODUCER, RecordBatchBuilder } from '../src/model/record-batch-builder.js';
import { connectBroker, type BrokerConnection } from '../src/rpc/channel.js';
import type { Error__Output } from '../src/rpc/gen/millrace/common/v1/Error.js';
import { freePorts } from './lib/broker-process.js';
import { ScriptCluster } from './lib/script-cluster.js';

const CLI = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const TOPIC = 'steady';
const TRIMMED = 'trimmed';
const ANSWER_MS = 15_000;
const MIB = 1024 * 1024;

interface Case {
  readonly input: string;
  /** What the answer must say. */
  readonly expected: RegExp;
  answer(): Promise<string>;
}

interface Row {
  readonly input: string;
  readonly answer: string;
  readonly ms: number;
  /** Undefined: as it should be. */
  readonly problem: string | undefined;
}

/** The cluster that is ill-treated, and how it is looked after. */
class Patient {
  readonly cluster: ScriptCluster;
  readonly client: MillraceClient;
  readonly connection: BrokerConnection;
  private sent = 0;

  constructor(cluster: ScriptCluster) {
    this.cluster = cluster;
    this.client = new MillraceClient({ bootstrap: cluster.bootstrap, timeoutMs: 20_000 });
    this.connection = connectBroker(cluster.bootstrap[0] ?? '');
  }

  async prepare(): Promise<void> {
    for (const topic of [TOPIC, TRIMMED]) {
      await this.client.admin.createTopic({ topic, replicationFactor: 3 });
    }
    const producer = this.client.producer();
    for (let i = 0; i < 10; i += 1) await producer.send({ topic: TRIMMED, value: String(i) });
    await producer.close();
    await this.client.admin.trimPartition({ topic: TRIMMED, partition: 0 }, 5);
  }

  /** What is wrong with the cluster; undefined if it serves as it did. */
  async harm(): Promise<string | undefined> {
    for (const broker of this.cluster.brokers) {
      if (!broker.isRunning) return `broker ${broker.id} has ended`;
    }
    const producer = this.client.producer({ deliveryTimeoutMs: ANSWER_MS });
    const consumer = this.client.consumer({
      topic: TOPIC,
      from: { offset: this.sent },
      unavailableTimeoutMs: ANSWER_MS,
    });
    try {
      const value = `record ${this.sent}`;
      const { offset } = await producer.send({ topic: TOPIC, value });
      if (offset !== this.sent) return `offset ${offset} where ${this.sent} was to come`;
      this.sent += 1;
      for await (const record of consumer) {
        const found = Buffer.from(record.value ?? []).toString();
        return found === value ? undefined : `read ${found} for ${value}`;
      }
      return 'the reader ended';
    } catch (thrown) {
      return messageOf(thrown);
    } finally {
      await Promise.all([producer.close(), consumer.close()]);
    }
  }

  async close(): Promise<void> {
    this.connection.close();
    await this.client.close();
    await this.cluster.stop();
  }
}

// ---- Ways to give input ----

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

async function run(args: readonly string[], stdin: string | Uint8Array = ''): Promise<Ended> {
  const child = spawn(process.execPath, [CLI, ...args], { stdio: 'pipe' });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  child.stdin.on('error', () => undefined);
  child.stdin.end(stdin);
  const killer = setTimeout(() => child.kill('SIGKILL'), ANSWER_MS + 1_000);
  const [code] = (await once(child, 'close')) as [number | null];
  clearTimeout(killer);
  return { code, out, err };
}

/** A command line that must fail: exit code and what it says. */
function command(
  patient: Patient,
  input: string,
  expected: RegExp,
  args: readonly string[],
  stdin?: string | Uint8Array,
): Case {
  return {
    input,
    expected,
    answer: async () => {
      const bootstrap = ['--bootstrap', patient.cluster.bootstrap.join(',')];
      const { code, err } = await run([...args, ...bootstrap], stdin);
      return `exit ${code ?? 'by signal'}: ${err.trim()}`;
    },
  };
}

type Done<T> = (error: Error | null, value?: T) => void;

async function grpc<T>(call: (done: Done<T>) => unknown): Promise<T> {
  return await new Promise<T>((resolve, reject) => {
    call((error, value) => {
      if (error === null && value !== undefined) resolve(value);
      else reject(error ?? new Error('empty answer'));
    });
  });
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

interface MaybeFailed {
  readonly error: Error__Output | null;
}

const textOf = ({ error }: MaybeFailed): string =>
  error === null ? 'no error' : `${error.code}: ${error.message}`;

function produce(patient: Patient, input: string, expected: RegExp, batch: Uint8Array): Case {
  const request = { topic: TOPIC, partition: 0, batch: Buffer.from(batch), allowForward: true };
  return {
    input: `gRPC: ${input}`,
    expected,
    answer: async () =>
      await grpc<MaybeFailed>((done) => patient.connection.records.produce(request, done)).then(
        textOf,
        messageOf,
      ),
  };
}

/** Bytes that our own client would not send. */
function rawMessage(patient: Patient, input: string, expected: RegExp, bytes: Uint8Array): Case {
  const same = (buffer: Buffer): Buffer => buffer;
  return {
    input: `gRPC: ${input}`,
    expected,
    answer: async () => {
      const client = new Client(patient.cluster.bootstrap[0] ?? '', credentials.createInsecure(), {
        'grpc.max_send_message_length': -1,
      });
      const path = '/millrace.broker.v1.Records/Produce';
      const deadline = new Date(Date.now() + ANSWER_MS);
      try {
        return await grpc<Buffer>((done) =>
          client.makeUnaryRequest(path, same, same, Buffer.from(bytes), { deadline }, done),
        ).then(() => 'no error', messageOf);
      } finally {
        client.close();
      }
    },
  };
}

function fetchAt(patient: Patient, input: string, expected: RegExp, offset: number): Case {
  const request = { partitions: [{ topic: TRIMMED, offset }], allowForward: true };
  return {
    input: `gRPC: ${input}`,
    expected,
    answer: async () =>
      await grpc<{ partitions: MaybeFailed[] }>((done) =>
        patient.connection.records.fetch(request, done),
      ).then(
        ({ partitions: [first] }) => (first === undefined ? 'no answer' : textOf(first)),
        messageOf,
      ),
  };
}

async function throwAt(port: number, bytes: Uint8Array): Promise<string> {
  const socket = net.connect({ host: '127.0.0.1', port });
  const state = { heard: 0, isOurs: false };
  socket.on('error', () => undefined);
  socket.on('data', (chunk: Buffer) => (state.heard += chunk.length));
  socket.write(bytes);
  socket.setTimeout(500, () => {
    state.isOurs = true;
    socket.destroy();
  });
  // Not events.once: a reset is an answer, too.
  await new Promise<void>((resolve) => socket.once('close', () => resolve()));
  return `${state.heard} bytes, ${state.isOurs ? 'kept open' : 'closed'}`;
}

// ---- The input ----

function batchOf(bytes: number): Uint8Array {
  const builder = new RecordBatchBuilder();
  builder.append({ value: new Uint8Array(bytes) }, 1_700_000_000_000);
  return builder.finish(NO_PRODUCER, crc32c).slice();
}

/** A good batch with one field set to another value, and the checksum right again. */
function batchWith(at: number, value: number): Uint8Array {
  const batch = batchOf(20);
  const view = new DataView(batch.buffer, batch.byteOffset);
  view.setInt32(at, value);
  view.setUint32(17, crc32c(batch.subarray(21)));
  return batch;
}

function wrongCrc(): Uint8Array {
  const batch = batchOf(20);
  batch[70] = (batch[70] ?? 0) ^ 1;
  return batch;
}

function commandLines(p: Patient): Case[] {
  const long = 'x'.repeat(250);
  const name = /INVALID_TOPIC_NAME: /;
  const unknown = /UNKNOWN_TOPIC: /;
  return [
    command(p, 'produce to an unknown topic', unknown, ['produce', 'nowhere'], 'x\n'),
    command(p, 'consume an unknown topic', unknown, ['consume', 'nowhere', '-b', '-e']),
    command(p, 'describe an unknown topic', unknown, ['topic', 'describe', 'nowhere']),
    command(p, 'delete an unknown topic', unknown, ['topic', 'delete', 'nowhere']),
    command(p, 'create an existing topic', /TOPIC_EXISTS: /, ['topic', 'create', TOPIC]),
    command(p, 'replication factor 4 on 3 brokers', /INVALID_REPLICATION_FACTOR: /, [
      ...['topic', 'create', 'x', '-r', '4'],
    ]),
    command(p, '0 partitions', /--partitions/, ['topic', 'create', 'x', '-p', '0']),
    command(p, '10^6 partitions', /INVALID_PARTITIONS: /, [
      'topic',
      'create',
      'x',
      '-p',
      '1000000',
    ]),
    command(p, '2^32 partitions', /2147483647/, ['topic', 'create', 'x', '-p', '4294967296']),
    command(p, 'a topic named a/b', name, ['topic', 'create', 'a/b']),
    command(p, 'a topic named ..', name, ['topic', 'create', '..']),
    command(p, 'a topic named with 250 characters', name, ['topic', 'create', long]),
    command(p, 'a topic named __proto__', name, ['topic', 'create', '__proto__']),
    command(
      p,
      'produce to __proto__',
      /INVALID_TOPIC_NAME|UNKNOWN_TOPIC/,
      ['produce', '__proto__'],
      'x\n',
    ),
    command(p, 'describe __proto__', /INVALID_TOPIC_NAME|UNKNOWN_TOPIC/, [
      'topic',
      'describe',
      '__proto__',
    ]),
    command(p, 'delete __proto__', /INVALID_TOPIC_NAME|UNKNOWN_TOPIC/, [
      'topic',
      'delete',
      '__proto__',
    ]),
    command(
      p,
      'a record over the limit',
      /BATCH_TOO_LARGE: /,
      ['produce', TOPIC],
      new Uint8Array(9 * MIB).fill(97),
    ),
    command(
      p,
      'a partition that is not there',
      /UNKNOWN_PARTITION: /,
      ['produce', TOPIC, '-p', '99'],
      'x\n',
    ),
    command(p, 'an offset beyond the end', /OFFSET_OUT_OF_RANGE: /, [
      'consume',
      TRIMMED,
      '-o',
      '999',
      '-e',
    ]),
    command(p, 'an offset before the start', /OFFSET_OUT_OF_RANGE: /, [
      'consume',
      TRIMMED,
      '-o',
      '0',
      '-e',
    ]),
    command(p, 'leadership for broker 9', /[A-Z_]+: .*9/, [
      'cluster',
      'transfer',
      TOPIC,
      '0',
      '--to',
      '9',
    ]),
    command(p, 'replicas on broker 9', /[A-Z_]+: .*9/, [
      'cluster',
      'move',
      TOPIC,
      '0',
      '--replicas',
      '1,2,9',
    ]),
  ];
}

function requests(p: Patient): Case[] {
  const bad = /(INVALID_BATCH|CORRUPT_BATCH): /;
  return [
    produce(p, 'a batch over the limit', /BATCH_TOO_LARGE: /, batchOf(2 * MIB)),
    rawMessage(p, 'a message over the limit', /RESOURCE_EXHAUSTED/, new Uint8Array(40 * MIB)),
    rawMessage(
      p,
      'a message that is no protobuf',
      /INTERNAL: Error deserializing request/,
      new Uint8Array(1_000).fill(0xff),
    ),
    produce(p, 'a batch with a wrong CRC', /CORRUPT_BATCH: /, wrongCrc()),
    produce(p, 'a batch with a wrong count', bad, batchWith(57, 7)),
    produce(p, 'a batch with count -1', bad, batchWith(57, -1)),
    produce(p, 'a batch of a negative length', bad, batchWith(8, -1)),
    produce(p, 'a batch of a length beyond its end', bad, batchWith(8, 1 << 20)),
    produce(p, 'a batch with wrong offsets', bad, batchWith(23, 5)),
    produce(p, 'a batch that starts at an offset of its own', bad, batchWith(4, 99)),
    produce(p, 'a batch of 10 bytes', bad, new Uint8Array(10)),
    produce(p, 'an empty batch', /[A-Z_]+: /, new Uint8Array(0)),
    fetchAt(p, 'a fetch beyond the end', /OFFSET_OUT_OF_RANGE: /, 999),
    fetchAt(p, 'a fetch before the start', /OFFSET_OUT_OF_RANGE: /, 0),
    fetchAt(p, 'a fetch at offset -5', /INVALID_ARGUMENT|OFFSET_OUT_OF_RANGE/, -5),
  ];
}

function garbage(p: Patient): Case[] {
  const noise = Uint8Array.from({ length: 200_000 }, (_, i) => Math.imul(i, 2654435761) >>> 24);
  const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  const kinds = [
    noise,
    Buffer.concat([preface, noise]),
    preface,
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
  ];
  return p.cluster.brokers.flatMap((b) =>
    (['client', 'peer', 'http'] as const).map((kind) => ({
      input: `garbage on the ${kind} port of broker ${b.id}`,
      expected: /bytes/,
      answer: async () => {
        const heard = await Promise.all(kinds.map((bytes) => throwAt(b.ports[kind], bytes)));
        return heard.join('; ');
      },
    })),
  );
}

/** Ends the broker that should not have started, and says what it said. */
async function stray(p: Patient, name: string, config: object): Promise<string> {
  const [clientPort, peerPort, httpPort] = await freePorts(3);
  const file = path.join(p.cluster.dir, `${name}.json`);
  const whole = { host: '127.0.0.1', clientPort, peerPort, httpPort, ...config };
  writeFileSync(file, JSON.stringify(whole));
  const { code, err } = await run(['broker', '--config', file]);
  return `exit ${code ?? 'by signal'}: ${err.trim()}`;
}

function directories(p: Patient): Case[] {
  const [first] = p.cluster.brokers;
  const peer = { id: 1, host: '127.0.0.1', peerPort: first?.ports.peer ?? 0 };
  return [
    {
      input: 'a second broker on the same data directory',
      expected: /exit 1: .*in use/,
      answer: async () =>
        await stray(p, 'second', {
          brokerId: 1,
          dataDir: path.join(p.cluster.dir, 'data-1'),
          founders: [peer],
        }),
    },
    {
      input: 'a data directory of another cluster',
      expected: /exit 1: .*cluster/,
      answer: async () => {
        const dir = path.join(p.cluster.dir, 'other');
        const other = await ScriptCluster.start({ brokers: 1, dir });
        await other.stop({ keep: true });
        const seeds = p.cluster.brokers.map((b) => ({
          id: b.id,
          host: '127.0.0.1',
          peerPort: b.ports.peer,
        }));
        const dataDir = path.join(dir, 'data-1');
        return await stray(p, 'stranger', { brokerId: 1, dataDir, seeds });
      },
    },
  ];
}

/** Two of three brokers are gone while `run` does. */
async function withoutQuorum(p: Patient, ask: () => Promise<string>): Promise<string> {
  const gone = [p.cluster.broker(2), p.cluster.broker(3)];
  await Promise.all(gone.map(async (b) => await b.kill()));
  try {
    return await ask();
  } finally {
    for (const b of gone) b.start();
    await Promise.all(gone.map(async (b) => await b.ready()));
  }
}

function noQuorum(p: Patient): Case[] {
  const reason =
    /(NO_QUORUM|LEADER_UNKNOWN|DEADLINE_EXCEEDED|UNKNOWN_OUTCOME|BROKER_UNAVAILABLE).*\w/;
  const deadline = ['--timeout', '4000'];
  const produceArgs = ['produce', TRIMMED, '--delivery-timeout', '4000', ...deadline];
  const wrapped = (inner: Case): Case => ({
    ...inner,
    answer: async () => await withoutQuorum(p, async () => await inner.answer()),
  });
  return [
    wrapped(command(p, 'produce without a quorum', reason, produceArgs, 'x\n')),
    wrapped(
      command(p, 'create a topic without a quorum', reason, ['topic', 'create', 'x', ...deadline]),
    ),
  ];
}

// ---- Judgement ----

function problemOf(row: { answer: string; ms: number }, expected: RegExp): string | undefined {
  const { answer, ms } = row;
  // Without quorum the brokers' return is part of the time.
  if (ms > ANSWER_MS * 2) return `took ${Math.round(ms)} ms`;
  // Except where it is gRPC's own word for bytes that are no message.
  const mayBeInternal = expected.source.includes('INTERNAL');
  if (answer.includes('INTERNAL') && !mayBeInternal) return 'an internal error';
  if (/\n\s+at /.test(answer)) return 'a stack trace';
  if (answer.includes('by signal')) return `no answer within ${ANSWER_MS} ms`;
  if (!expected.test(answer)) return `expected ${String(expected)}`;
  return undefined;
}

async function within(answer: Promise<string>): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve('by signal: still waiting'), ANSWER_MS * 4);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function judge(patient: Patient, one: Case): Promise<Row> {
  const startedAt = performance.now();
  const answer = await within(one.answer());
  const ms = performance.now() - startedAt;
  const unclear = problemOf({ answer, ms }, one.expected);
  const harm = await patient.harm();
  const problem = harm === undefined ? unclear : `HARMED: ${harm}`;
  return { input: one.input, answer, ms, problem };
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { json: { type: 'boolean', default: false } } });
  const patient = new Patient(await ScriptCluster.start({ brokers: 3 }));
  const rows: Row[] = [];
  try {
    await patient.prepare();
    const cases = [
      ...commandLines(patient),
      ...requests(patient),
      ...garbage(patient),
      ...directories(patient),
      ...noQuorum(patient),
    ];
    for (const one of cases) {
      const row = await judge(patient, one);
      rows.push(row);
      if (values.json) continue;
      const mark = row.problem === undefined ? 'ok ' : 'BAD';
      const text = row.answer.replace(/x{50,}/g, 'xxx...').slice(0, 220);
      process.stdout.write(`${mark}  ${row.input.padEnd(50)}  ${text}\n`);
      if (row.problem !== undefined) process.stdout.write(`     ${row.problem}\n`);
    }
  } finally {
    await patient.close();
  }
  const bad = rows.filter((row) => row.problem !== undefined);
  if (values.json) process.stdout.write(`${JSON.stringify(rows)}\n`);
  else process.stdout.write(`${rows.length - bad.length} clear, ${bad.length} not\n`);
  process.exitCode = bad.length === 0 ? 0 : 1;
}

await main();
