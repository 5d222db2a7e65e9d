import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { crc32c } from '../base/crc32c.js';
import { Prng } from '../base/prng.js';
import { MillraceClient, type BatchReport, type TopicDescription } from '../client/index.js';
import { openInputFile } from './input-file.js';
import { CommandError, grouped, type Io, type Output } from './io.js';
import { LineSplitter } from './lines.js';
import { LocalCluster } from './local-cluster.js';
import { freePorts } from './processes.js';

const TOPIC = 'tour';
const PARTITIONS = 3;
const GENERATED_BYTES = 24 * 1024 * 1024;
/** Acknowledged by the leader before it is killed, so that there is something to lose. */
const ACKED_BEFORE_KILL = 500;
const CATCH_UP_MS = 60_000;
const POLL_MS = 50;

interface TourResult {
  readonly file: string;
  readonly partition: number;
  readonly leaderBefore: number;
  readonly termBefore: number;
  readonly leaderAfter: number;
  readonly termAfter: number;
  /** The longest time between two acknowledgements of the partition whose leader was killed. */
  readonly writeGapMs: number;
  readonly sent: number;
  readonly acked: number;
  readonly read: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly changed: number;
  readonly outOfOrder: number;
}

/**
 * Shows what the cluster promises, on processes, ports and a directory of its own: produces a file
 * while the leader of a partition is killed, starts it again, and reads everything back. Rejects if
 * anything is lost, duplicated, changed or out of order.
 */
export async function runTour(io: Io, out: Output, file: string | undefined): Promise<void> {
  // Before anything is started for it.
  if (file !== undefined) (await openInputFile(file)).stream.destroy();
  const dir = mkdtempSync(path.join(os.tmpdir(), 'millrace-tour-'));
  const free = await freePorts('127.0.0.1', 9);
  const ports = [0, 3, 6].map((at) => ({
    client: free[at] ?? 0,
    peer: free[at + 1] ?? 0,
    http: free[at + 2] ?? 0,
  }));
  const cluster = LocalCluster.create(path.join(dir, 'cluster'), { brokers: 3, ports });
  const client = new MillraceClient({ bootstrap: cluster.bootstrap });
  const interrupt = new AbortController();
  const unlisten = io.onInterrupt(() => interrupt.abort(new CommandError('interrupted')));
  try {
    const tour = new Tour(cluster, client, out, interrupt.signal);
    const result = await tour.run(file ?? (await generate(path.join(dir, 'events.log'))));
    out.result(result, () => summaryOf(result));
    const { lost, duplicated, changed, outOfOrder } = result;
    if (lost + duplicated + changed + outOfOrder > 0) {
      throw new CommandError('records were lost, duplicated, changed or put out of order');
    }
  } finally {
    unlisten();
    interrupt.abort(new CommandError('the tour is over'));
    const closing = client.close().catch(() => undefined);
    await cluster.stop();
    await closing;
    rmSync(dir, { recursive: true, force: true });
  }
}

/** One run; its fields are what it learnt on the way. */
class Tour {
  private readonly cluster: LocalCluster;
  private readonly client: MillraceClient;
  private readonly out: Output;
  private readonly signal: AbortSignal;
  /** CRC-32C of every record, by its number, which is also its key. */
  private readonly sums: number[] = [];
  private acked = 0;
  private failed = 0;
  private failure: Error | undefined;
  /** Of the partition whose leader is killed. */
  private victim = {
    partition: 0,
    acked: 0,
    lastAckMs: 0,
    gapMs: 0,
    killedAtMs: 0,
    ackedAfterKill: 0,
  };

  constructor(cluster: LocalCluster, client: MillraceClient, out: Output, signal: AbortSignal) {
    this.cluster = cluster;
    this.client = client;
    this.out = out;
    this.signal = signal;
  }

  async run(file: string): Promise<TourResult> {
    const { cluster, client, out } = this;
    out.note('starting three brokers ...');
    await cluster.start();
    await cluster.ready();
    const { partition } = this.victim;
    await client.admin.createTopic({ topic: TOPIC, partitions: PARTITIONS, replicationFactor: 3 });
    const before = leaderOf(await client.admin.describeTopic(TOPIC), partition);
    out.note(
      `topic ${TOPIC}: ${PARTITIONS} partitions on 3 brokers; broker ${before.leader} leads partition ${partition} in term ${before.term}`,
    );
    out.note(`producing ${file} ...`);
    const killing = this.killOnceUnderWay(before.leader);
    // Awaited below, unless producing fails first: then that is the error to tell.
    killing.catch(() => undefined);
    await this.produce(file);
    await killing;
    const after = leaderOf(await client.admin.describeTopic(TOPIC), partition);
    out.note(`broker ${after.leader} leads partition ${partition} in term ${after.term}`);
    out.note(`starting broker ${before.leader} again ...`);
    const killed = cluster.broker(before.leader);
    await cluster.start([killed]);
    await cluster.ready([killed]);
    await this.caughtUp();
    out.note('all replicas are in sync again; reading everything back ...');
    const found = await this.readBack();
    return {
      file,
      partition,
      leaderBefore: before.leader,
      termBefore: before.term,
      leaderAfter: after.leader,
      termAfter: after.term,
      writeGapMs: Math.round(this.victim.gapMs),
      sent: this.sums.length,
      acked: this.acked,
      ...found,
    };
  }

  /** Sends the file, and sends it again until the partition has been written to after the kill. */
  private async produce(file: string): Promise<void> {
    const producer = this.client.producer({
      onBatch: (report) => this.heard(report),
      batchBytes: 64 * 1024,
    });
    const splitter = new LineSplitter((source, start, end) => {
      const value = Uint8Array.from(source.subarray(start, end));
      const n = this.sums.push(crc32c(value)) - 1;
      return producer.enqueue({ topic: TOPIC, partition: n % PARTITIONS, key: String(n), value });
    }, true);
    do {
      const startedWith = this.sums.length;
      const { stream } = await openInputFile(file);
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        await splitter.push(chunk);
        this.check();
      }
      await splitter.end();
      if (this.sums.length === startedWith) throw new CommandError(`${file} is empty`);
      // One round after the other, or a small file would fill the buffers over and over.
      await producer.flush();
      this.check();
    } while (this.victim.ackedAfterKill === 0);
    await producer.close();
    this.check();
  }

  private check(): void {
    this.signal.throwIfAborted();
    if (this.failure !== undefined) throw this.failure;
  }

  private heard(report: BatchReport): void {
    if (report.error !== undefined) {
      this.failed += report.records;
      this.failure ??= report.error;
      return;
    }
    this.acked += report.records;
    const { victim } = this;
    if (report.partition !== victim.partition) return;
    const nowMs = performance.now();
    victim.acked += report.records;
    if (victim.killedAtMs > 0) {
      victim.gapMs = Math.max(victim.gapMs, nowMs - victim.lastAckMs);
      // An answer that was already on its way does not count.
      if (nowMs - victim.killedAtMs > 20) victim.ackedAfterKill += report.records;
    }
    victim.lastAckMs = nowMs;
  }

  private async killOnceUnderWay(leader: number): Promise<void> {
    while (this.victim.acked < ACKED_BEFORE_KILL) {
      if (this.signal.aborted || this.failure !== undefined) return;
      await pause(5);
    }
    this.victim.killedAtMs = performance.now();
    const pid = await this.cluster.kill(this.cluster.broker(leader));
    this.out.note(
      `killed broker ${leader} (pid ${pid}) with SIGKILL after ${grouped(this.acked)} acknowledged records`,
    );
  }

  private async caughtUp(): Promise<void> {
    const giveUpAtMs = performance.now() + CATCH_UP_MS;
    for (;;) {
      const { partitions } = await this.client.admin.describeTopic(TOPIC);
      if (partitions.every((p) => p.replicas.filter((r) => r.inSync).length === 3)) return;
      if (performance.now() > giveUpAtMs) {
        throw new CommandError(`the replicas are not in sync after ${CATCH_UP_MS / 1_000} s`);
      }
      this.signal.throwIfAborted();
      await pause(POLL_MS);
    }
  }

  private async readBack(): Promise<
    Pick<TourResult, 'read' | 'lost' | 'duplicated' | 'changed' | 'outOfOrder'>
  > {
    const seen = new Uint8Array(this.sums.length);
    const last = new Array<number>(PARTITIONS).fill(-1);
    let read = 0;
    let duplicated = 0;
    let changed = 0;
    let outOfOrder = 0;
    const consumer = this.client.consumer({ topic: TOPIC, from: 'beginning', stopAtEnd: true });
    for await (const batch of consumer.batches()) {
      this.signal.throwIfAborted();
      for (const record of batch.records) {
        read += 1;
        const n = Number(Buffer.from(record.key ?? []).toString());
        if (seen[n] === 1) duplicated += 1;
        if (crc32c(record.value ?? new Uint8Array()) !== this.sums[n]) changed += 1;
        if (n < (last[batch.partition] ?? 0)) outOfOrder += 1;
        last[batch.partition] = n;
        if (n < seen.length) seen[n] = 1;
      }
    }
    await consumer.close();
    const missing = seen.reduce((sum, flag) => sum + (1 - flag), 0);
    // What was refused or left in doubt was never promised.
    return { read, lost: Math.max(0, missing - this.failed), duplicated, changed, outOfOrder };
  }
}

function leaderOf(topic: TopicDescription, partition: number): { leader: number; term: number } {
  const found = topic.partitions.find((p) => p.partition === partition);
  if (found?.leader === undefined) throw new CommandError(`partition ${partition} has no leader`);
  return { leader: found.leader, term: found.leaderEpoch };
}

function summaryOf(r: TourResult): string[] {
  return [
    '',
    `leader of partition ${r.partition}:  broker ${r.leaderBefore} in term ${r.termBefore}, then broker ${r.leaderAfter} in term ${r.termAfter}`,
    `without writes:  ${grouped(r.writeGapMs)} ms`,
    `records:  ${grouped(r.sent)} sent, ${grouped(r.acked)} acknowledged, ${grouped(r.read)} read`,
    `          ${grouped(r.lost)} lost, ${grouped(r.duplicated)} duplicated, ${grouped(r.changed)} changed, ${grouped(r.outOfOrder)} out of order`,
  ];
}

/** A log that is not easy: CR LF, empty lines, bytes that are no text, no end to the last line. */
async function generate(file: string): Promise<string> {
  const random = new Prng(2024);
  const parts: Buffer[] = [];
  let bytes = 0;
  for (let n = 0; bytes < GENERATED_BYTES; n += 1) {
    const end = random.chance(0.1) ? '\r\n' : '\n';
    const text = `2024-05-01T12:00:00.${String(n).padStart(6, '0')}Z host-${random.int(50)} GET /item/${random.u32()} 200 ${random.int(90_000)}`;
    const line = random.chance(0.02)
      ? Buffer.from(end)
      : random.chance(0.02)
        ? Buffer.from([0xff, 0x00, 0xfe, random.int(256), 0x0a])
        : Buffer.from(`${text}${end}`);
    parts.push(line);
    bytes += line.length;
  }
  parts.push(Buffer.from('the last line has no end'));
  await writeFile(file, Buffer.concat(parts));
  return file;
}
