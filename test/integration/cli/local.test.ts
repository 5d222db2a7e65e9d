import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect } from 'chai';
import { Prng } from '../../../src/base/prng.js';
import { isPortFree } from '../../../src/cli/processes.js';
import { runCli } from '../../../src/cli/program.js';
import { MillraceClient } from '../../../src/client/index.js';
import { BrokerError } from '../../../src/model/errors.js';
import { eventually } from '../../support/eventually.js';
import { FakeIo } from '../../support/fake-io.js';

interface Ended {
  readonly code: number;
  readonly out: Buffer;
  readonly err: string;
}

/** Lines with every kind of end, empty ones, bytes that are no text, and no end to the last. */
function nastyFile(bytes: number): Buffer {
  const random = new Prng(11);
  const parts: Buffer[] = [];
  for (let length = 0; length < bytes; length += parts.at(-1)?.length ?? 0) {
    const end = random.chance(0.3) ? '\r\n' : '\n';
    const isText = random.chance(0.9);
    const body = isText
      ? Buffer.from(`line ${parts.length} `.repeat(random.int(8)))
      : Buffer.from(Array.from({ length: random.int(60) }, () => random.int(256)));
    parts.push(Buffer.concat([body, Buffer.from(end)]));
  }
  return Buffer.concat([...parts, Buffer.from('no end')]);
}

/** The first of nine in a row, as the command wants them; below those the system hands out. */
async function nineFreePorts(): Promise<number> {
  for (let base = 20_000 + (process.pid % 1_000) * 10; ; base = 20_000 + ((base + 9) % 12_000)) {
    const all = Array.from({ length: 9 }, (_, i) => isPortFree('127.0.0.1', base + i));
    if ((await Promise.all(all)).every((isFree) => isFree)) return base;
  }
}

const linesOf = (bytes: Buffer): string[] => bytes.toString('latin1').split('\n').sort();

describe('millrace on this machine', function () {
  this.timeout(120_000);
  let dir: string;
  let env: Readonly<Record<string, string>>;
  let ports: number[];

  /** In this process; only the brokers are processes of their own. */
  async function millrace(...args: string[]): Promise<Ended> {
    const io = new FakeIo({ env });
    const code = await runCli(io, args);
    return { code, out: Buffer.concat(io.outBytes), err: io.err };
  }

  async function json(...args: string[]): Promise<unknown> {
    const { code, out, err } = await millrace(...args, '--json');
    expect([code, err], args.join(' ')).to.deep.equal([0, '']);
    return JSON.parse(out.toString());
  }

  /** Of partition 0; waited for while there is none. */
  async function leaderOf(topic: string): Promise<string> {
    let leader: number | undefined;
    await eventually(`a leader of ${topic}`, async () => {
      const { partitions } = (await json('topic', 'describe', topic)) as {
        partitions: { leader?: number }[];
      };
      leader = partitions[0]?.leader;
      return leader !== undefined;
    });
    return String(leader);
  }

  before(async () => {
    dir = mkdtempSync(path.join(os.tmpdir(), 'millrace-local-'));
    const base = await nineFreePorts();
    ports = [base, base + 3, base + 6];
    env = {
      MILLRACE_LOCAL_DIR: path.join(dir, 'local'),
      MILLRACE_BOOTSTRAP: [0, 1, 2].map((i) => `127.0.0.1:${(ports[0] ?? 0) + i}`).join(','),
    };
    const [client, peer, http] = ports.map(String);
    const flags = ['--client-port', client, '--peer-port', peer, '--http-port', http] as string[];
    const started = await millrace('local', 'start', ...flags);
    expect([started.code, started.err]).to.deep.equal([0, '']);
    expect(started.out.toString()).to.contain('Try next');
  });

  after(async () => {
    const stopped = await millrace('local', 'stop');
    expect(stopped.code).to.equal(0);
    rmSync(dir, { recursive: true, force: true });
  });

  it('gives a file back byte for byte, through the death of its leader', async () => {
    const file = path.join(dir, 'nasty.log');
    const bytes = nastyFile(1_500_000);
    writeFileSync(file, bytes);
    await json('topic', 'create', 'one', '-r', '3');
    const producing = json('produce', 'one', '--file', file, '--raw', '--batch-bytes', '4096');
    const leader = await leaderOf('one');
    await json('local', 'kill', leader);
    const produced = (await producing) as Record<string, number>;
    expect(produced).to.include({ failed: 0, unknown: 0, bytes: bytes.length });
    const status = (await json('local', 'status')) as { brokers: { health: string }[] };
    expect(status.brokers.filter((b) => b.health === 'stopped')).to.have.length(1);
    await json('local', 'restart', leader);
    const back = await millrace('consume', 'one', '--from-beginning', '--exit-at-end', '--raw');
    expect([back.code, back.err]).to.deep.equal([0, '']);
    expect(back.out.equals(bytes)).to.equal(true);
  });

  it('gives the lines of a file back from many partitions', async () => {
    const file = path.join(dir, 'lines.log');
    const bytes = Buffer.concat([nastyFile(300_000), Buffer.from('\n')]);
    writeFileSync(file, bytes);
    await json('topic', 'create', 'many', '-p', '12', '-r', '3');
    await json('produce', 'many', '-f', file, '--raw', '--batch-bytes', '2000');
    const back = await millrace('consume', 'many', '-b', '-e', '--raw');
    expect(linesOf(back.out)).to.deep.equal(linesOf(bytes));
    const replayed = await millrace(
      'consume',
      'many',
      '-b',
      '-e',
      '--raw',
      '--replay-speed',
      '1e6',
    );
    expect(linesOf(replayed.out)).to.deep.equal(linesOf(bytes));
    const { partitions } = (await json('offsets', 'many')) as { partitions: { end: number }[] };
    expect(partitions.filter((p) => p.end > 0).length).to.be.above(8);
    const table = await millrace('offsets', 'many', '--max-timestamp');
    expect(table.out.toString()).to.match(/LATEST +ITS TIME\n.*\d+ +\d{4}-\d\d-\d\dT/);
  });

  it('appends at the expected offset, all of the input or nothing', async () => {
    const file = path.join(dir, 'three.log');
    writeFileSync(file, 'a\nb\nc\n');
    await json('topic', 'create', 'exact');
    const produce = ['produce', 'exact', '-f', file, '-p', '0', '--expect-offset'];
    expect(await json(...produce, '0')).to.include({ offset: 0, nextOffset: 3, records: 3 });
    const again = await millrace(...produce, '0');
    expect(again.code).to.not.equal(0);
    expect(again.err).to.match(/^millrace: EXPECTATION_FAILED: .*offset 0.*ends at 3/);
    expect((await millrace(...produce, '3')).out.toString()).to.match(/at offset 3.*ends at 6/);
    const back = await millrace('consume', 'exact', '-b', '-e');
    expect(back.out.toString()).to.equal('a\nb\nc\na\nb\nc\n');
  });

  it('gives each offset to one of those who expect it, through the deaths of leaders', async () => {
    await json('topic', 'create', 'counter', '-r', '3');
    const taken = new Map<number, string>();
    let isOver = false;
    const count = async (client: MillraceClient, name: string): Promise<void> => {
      const producer = client.producer();
      for (let end = 0; !isOver;) {
        const value = `${name} at ${end}`;
        const at = { topic: 'counter', partition: 0, expectedOffset: end };
        try {
          const { offset, nextOffset } = await producer.appendIf({ ...at, records: [{ value }] });
          expect([offset, taken.get(offset)]).to.deep.equal([end, undefined]);
          taken.set(offset, value);
          end = nextOffset;
        } catch (thrown) {
          if (!(thrown instanceof BrokerError) || thrown.code !== 'EXPECTATION_FAILED')
            throw thrown;
          end = thrown.facts.logEndOffset ?? -1;
        }
      }
    };
    const bootstrap = env['MILLRACE_BOOTSTRAP'] ?? '';
    const clients = ['a', 'b', 'c'].map(
      (name) => [name, new MillraceClient({ bootstrap })] as const,
    );
    const counting = clients.map(([name, client]) => count(client, name));
    const goesOn = async (what: string): Promise<void> => {
      const from = taken.size;
      await eventually(`counting ${what}`, () => taken.size >= from + 50, 30_000);
    };
    try {
      for (const round of [1, 2]) {
        await goesOn(`before kill ${round}`);
        const leader = await leaderOf('counter');
        await json('local', 'kill', leader);
        await goesOn(`after kill ${round}`);
        await json('local', 'restart', leader);
      }
    } finally {
      isOver = true;
      const ended = await Promise.allSettled(counting);
      await Promise.all(clients.map(([, client]) => client.close()));
      for (const end of ended) if (end.status === 'rejected') throw end.reason;
    }
    const { out } = await millrace('consume', 'counter', '-b', '-e');
    const there = out.toString().trimEnd().split('\n');
    expect(there).to.deep.equal(Array.from({ length: taken.size }, (_, at) => taken.get(at)));
  });

  it('says what a record holds, as JSON', async () => {
    const file = path.join(dir, 'two.log');
    writeFileSync(file, Buffer.from([0x6b, 0x3a, 0x76, 0x0d, 0x0a, 0x6b, 0x3a, 0xff]));
    await json('topic', 'create', 'two');
    await json('produce', 'two', '-f', file, '--key-separator', ':', '-H', 'h=x');
    const { out } = await millrace('consume', 'two', '-b', '-e', '--json');
    const records = out
      .toString()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(records.map((r) => [r.offset, r.key, r.value, r.valueBase64])).to.deep.equal([
      [0, 'k', 'v', undefined],
      [1, 'k', undefined, '/w=='],
    ]);
    expect(records[0]?.headers).to.deep.equal([{ name: 'h', value: 'x' }]);
  });

  it('copies whole records from topic to topic, through lines of JSON', async () => {
    const file = path.join(dir, 'copy.ndjson');
    const records = [
      {
        timestampMs: 1_700_000_000_001,
        key: 'k',
        value: 'v',
        headers: [{ name: 'h', value: 'x' }],
      },
      { timestampMs: 1_700_000_000_002, keyBase64: '/w==', value: null, headers: [] },
      { timestampMs: 1_700_000_000_003, key: null, value: 'a\nb', headers: [] },
    ];
    writeFileSync(file, records.map((r) => `${JSON.stringify(r)}\n`).join(''));
    for (const topic of ['first', 'second']) {
      await json('topic', 'create', topic);
      await json('produce', topic, '-f', file, '--format', 'ndjson');
      const { out } = await millrace('consume', topic, '-b', '-e', '--format', 'ndjson');
      const lines = out.toString().trimEnd().split('\n');
      expect(lines.map((line) => JSON.parse(line) as unknown)).to.deep.equal(
        records.map((r, offset) => ({ topic, partition: 0, offset, ...r })),
      );
      writeFileSync(file, out);
    }
    const wrong = await millrace('produce', 'first', '-f', file, '--format', 'json', '-H', 'a=b');
    expect(wrong.code).to.equal(0);
    writeFileSync(file, '{"value":"v"}\n{"vaule":"v"}\n');
    const failed = await millrace('produce', 'first', '-f', file, '--format', 'ndjson');
    expect(failed.code).to.equal(1);
    expect(failed.err).to.match(/line 2 of the input: it has a field "vaule"/);
  });

  it('refuses to look into the files of a broker that runs, and reads those of a stopped one', async () => {
    const state = JSON.parse(readFileSync(path.join(dir, 'local/cluster.json'), 'utf8')) as {
      brokers: { dataDir: string }[];
    };
    const dataDir = state.brokers[2]?.dataDir ?? '';
    const busy = await millrace('log', 'dump', dataDir);
    expect([busy.code, busy.err.includes('in use')]).to.deep.equal([1, true]);
    await json('local', 'kill', '3');
    const dump = (await json('log', 'dump', dataDir)) as { replicas: unknown[] };
    expect(dump.replicas.length).to.be.above(0);
    const again = await millrace('local', 'start');
    expect(again.code).to.equal(0);
  });
});
