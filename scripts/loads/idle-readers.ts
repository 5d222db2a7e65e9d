import { setTimeout as pause } from 'node:timers/promises';

import type { FetchLink } from '../../src/client/connection.js';
import { GrpcTransport } from '../../src/client/grpc-transport.js';
import { connectBroker, type BrokerConnection } from '../../src/rpc/channel.js';
import type { LogEnds } from './log-ends.js';
import type { LoadStage } from './stage.js';

/** Of a connection to one broker, which takes no more than LIMITS.streamsPerConnectionMax. */
const STREAMS_PER_CONNECTION = 1_000;
const ANSWERED_WITHIN_MS = 120_000;
const LONG_POLL_MS = 60_000;
const HANDFUL = 20;
const HANDFUL_MS = 10;
const BYTES_MAX = 65_536;
const REOPEN_AFTER_MS = 50;

/** All at once they would hold this process up for seconds, and its connections would seem dead. */
async function inHandfuls(count: number, run: (i: number) => void): Promise<void> {
  for (let i = 0; i < count; i += 1) {
    run(i);
    if (i % HANDFUL === HANDFUL - 1) await pause(HANDFUL_MS);
  }
}

/** Readers that wait at the end of a partition each, with a fetch stream of their own. */
export class IdleStreams {
  /** That were told at least once that there is nothing new. */
  answered = 0;
  /** That got a record. */
  woken = 0;
  /** Opened again, as the partition had another leader. */
  reopened = 0;
  /** Ended by the broker or the connection, by code. */
  readonly ended = new Map<string, number>();
  private isClosed = false;
  private readonly ends: LogEnds;
  private readonly waitMs: number;
  private readonly transports: GrpcTransport[] = [];
  private readonly links: FetchLink[] = [];

  constructor(ends: LogEnds, waitMs: number) {
    this.ends = ends;
    this.waitMs = waitMs;
  }

  async open(stage: LoadStage, count: number): Promise<void> {
    const from = performance.now();
    await inHandfuls(count, (i) => this.openOne(i));
    const isAnswered = await stage.until(() => this.answered >= count, ANSWERED_WITHIN_MS);
    stage.findings.figure('idle streams that are served', this.answered);
    stage.findings.figure('connections for them', this.transports.length * 3);
    stage.findings.figure('seconds until all are', (performance.now() - from) / 1000);
    stage.findings.must(isAnswered, `${count - this.answered} of ${count} streams got no answer`);
  }

  close(): void {
    this.isClosed = true;
    for (const link of this.links.splice(0)) link.close();
    for (const transport of this.transports.splice(0)) transport.close();
  }

  private openOne(i: number): void {
    const partition = i % this.ends.partitions;
    const { topic } = this.ends;
    const transport = (this.transports[Math.floor(i / (STREAMS_PER_CONNECTION * 3))] ??=
      new GrpcTransport());
    const reader = { hasAnswered: false, isWoken: false };
    const read = (to: number, offset: number): void => {
      const at = { topic, partition, topicId: '', offset, maxBytes: BYTES_MAX, leaderEpoch: 0 };
      const call = { partitions: [at], maxBytes: BYTES_MAX, maxWaitMs: this.waitMs };
      const link = transport.openFetch({ host: '127.0.0.1', port: to }, call, {
        response: (partitions) => {
          const [one] = partitions;
          if (one?.error !== undefined) {
            link.close();
            void this.elsewhere(partition, (port) => read(port, offset));
            return;
          }
          if (!reader.hasAnswered) this.answered += 1;
          reader.hasAnswered = true;
          if (reader.isWoken || one === undefined || one.batches.length === 0) return;
          reader.isWoken = true;
          this.woken += 1;
        },
        closed: ({ code }) => this.ended.set(code, (this.ended.get(code) ?? 0) + 1),
      });
      this.links[i] = link;
    };
    read(this.ends.portOf(partition), this.ends.endOf(partition));
  }

  private async elsewhere(partition: number, read: (port: number) => void): Promise<void> {
    this.reopened += 1;
    await pause(REOPEN_AFTER_MS);
    await this.ends.refresh();
    if (!this.isClosed) read(this.ends.portOf(partition));
  }
}

/** Readers that ask once each and wait for the answer. */
export class LongPolls {
  waiting = 0;
  /** Answered with a record, without one, or with an error. */
  readonly answers = { records: 0, nothing: 0, errors: 0 };
  /** Why polls ended without an answer. */
  readonly failures = new Map<string, number>();
  private readonly ends: LogEnds;
  private readonly connections = new Map<string, BrokerConnection>();
  private isClosed = false;

  constructor(ends: LogEnds) {
    this.ends = ends;
  }

  async open(count: number): Promise<void> {
    await inHandfuls(count, (i) => this.ask(i));
  }

  close(): void {
    this.isClosed = true;
    for (const connection of this.connections.values()) connection.close();
    this.connections.clear();
  }

  private ask(i: number): void {
    const partition = i % this.ends.partitions;
    const offset = this.ends.endOf(partition);
    this.waiting += 1;
    const place = Math.floor(i / (STREAMS_PER_CONNECTION * 3));
    this.connection(this.ends.portOf(partition), place).records.fetch(
      {
        partitions: [{ topic: this.ends.topic, partition, offset, maxBytes: BYTES_MAX }],
        maxBytes: BYTES_MAX,
        maxWaitMs: LONG_POLL_MS,
      },
      { deadline: Date.now() + LONG_POLL_MS * 2 },
      (error, answer) => {
        this.waiting -= 1;
        const [one] = answer?.partitions ?? [];
        if (one !== undefined && one.error !== null) void this.askElsewhere(i);
        else if (error !== null) this.failed(error.message);
        else if (one !== undefined && one.batches.length > 0) this.answers.records += 1;
        else this.answers.nothing += 1;
      },
    );
  }

  private failed(why: string): void {
    this.answers.errors += 1;
    this.failures.set(why, (this.failures.get(why) ?? 0) + 1);
  }

  private async askElsewhere(i: number): Promise<void> {
    await pause(REOPEN_AFTER_MS);
    await this.ends.refresh();
    if (!this.isClosed) this.ask(i);
  }

  private connection(port: number, place: number): BrokerConnection {
    const key = `${port} ${place}`;
    let connection = this.connections.get(key);
    if (connection === undefined) {
      connection = connectBroker(`127.0.0.1:${port}`);
      this.connections.set(key, connection);
    }
    return connection;
  }
}
