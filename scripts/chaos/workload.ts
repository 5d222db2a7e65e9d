import { setMaxListeners } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';

import {
  type BrokerError,
  type Consumer,
  MillraceClient,
  type Producer,
} from '../../src/client/index.js';
import type { Row } from '../../test/checker/line.js';
import type { HistoryWriter } from '../../test/checker/index.js';
import { digest, payloadOf, valueOf } from './payload.js';

export interface WorkloadOptions {
  readonly bootstrap: readonly string[];
  readonly topic: string;
  readonly partitions: number;
  /** Logical clients that send one record at a time. */
  readonly producers: number;
  /** Of all producers together. */
  readonly recordsPerSecond: number;
  readonly valueBytes: number;
}

const PRODUCER_CLIENTS = 4;
const READERS = 1;

/** Acknowledged writes of one partition, in the order of their answers: what write gaps are made of. */
export interface Ack {
  readonly key: string;
  readonly atMs: number;
}

/**
 * The load of a chaos run, written down as it happens: producers that each send one record at a time
 * through the client library (its retries are part of one operation), and readers that follow the
 * log. Every answer the clients got stands in the history; nothing is inferred from brokers.
 */
export class Workload {
  readonly acks: Ack[] = [];
  readonly counts = { sent: 0, acked: 0, failed: 0, unknown: 0, polled: 0 };
  private readonly options: WorkloadOptions;
  private readonly history: HistoryWriter;
  private readonly clients: MillraceClient[] = [];
  private readonly producing = new AbortController();
  private readonly reading = new AbortController();
  private producers: Promise<void>[] = [];
  private readers: Promise<void>[] = [];
  private readonly following: Consumer[] = [];
  private nextValue = 0;

  constructor(options: WorkloadOptions, history: HistoryWriter) {
    this.options = options;
    this.history = history;
    // Every producer waits on it.
    setMaxListeners(options.producers + 1, this.producing.signal);
  }

  start(): void {
    const producers: Producer[] = [];
    for (let i = 0; i < PRODUCER_CLIENTS; i += 1)
      producers.push(this.client().producer({ lingerMs: 0 }));
    this.producers = Array.from({ length: this.options.producers }, (_, i) => {
      const producer = producers[i % producers.length];
      if (producer === undefined) throw new Error('no producer');
      return this.produce(producer, i);
    });
    this.readers = Array.from({ length: READERS }, (_, i) => this.follow(i));
  }

  /** No send is invoked once this resolves, and every one that was has ended. */
  async stopProducing(): Promise<void> {
    this.producing.abort();
    await Promise.all(this.producers);
  }

  async stopReading(): Promise<void> {
    this.reading.abort();
    await Promise.all(this.following.map((consumer) => consumer.close()));
    await Promise.all(this.readers);
  }

  /** One reader a partition goes from the beginning to the end. */
  async readAll(): Promise<void> {
    const client = this.client();
    await Promise.all(
      Array.from({ length: this.options.partitions }, async (_, partition) => {
        const p = this.history.newProcess();
        const key = this.key(partition);
        this.history.invoke(p, { f: 'assign', v: [key], seek: 'begin' });
        this.history.complete(p, 'ok');
        const consumer = client.consumer({
          topic: this.options.topic,
          partitions: [partition],
          from: 'beginning',
          stopAtEnd: true,
        });
        await this.poll(p, consumer);
        await consumer.close();
      }),
    );
  }

  async close(): Promise<void> {
    await Promise.all(this.clients.map((client) => client.close()));
  }

  private client(): MillraceClient {
    const client = new MillraceClient({ bootstrap: this.options.bootstrap });
    this.clients.push(client);
    return client;
  }

  private key(partition: number): string {
    return `${this.options.topic}/${partition}`;
  }

  private async produce(producer: Producer, lane: number): Promise<void> {
    const { partitions, recordsPerSecond, producers, valueBytes, topic } = this.options;
    const everyMs = (1000 * producers) / recordsPerSecond;
    let p = this.history.newProcess();
    let seq = 0;
    let dueAt = performance.now() + (everyMs * lane) / producers;
    const partition = lane % partitions;
    const key = this.key(partition);
    while (!this.producing.signal.aborted) {
      const v = `${p}-${this.nextValue}`;
      this.nextValue += 1;
      const payload = payloadOf(v, valueBytes);
      this.counts.sent += 1;
      // One logical producer: its own sequence of sends to this key (C20 orders them by it).
      this.history.invoke(p, { f: 'send', k: key, v, crc: digest(payload), pid: p, seq });
      seq += 1;
      try {
        const at = await producer.send({ topic, partition, value: payload });
        this.history.complete(p, 'ok', {
          off: at.offset,
          epoch: at.leaderEpoch,
          node: at.brokerId,
        });
        this.counts.acked += 1;
        this.acks.push({ key, atMs: performance.now() });
      } catch (thrown) {
        const error = thrown as BrokerError;
        const type = error.outcome === 'none' ? 'fail' : 'info';
        this.history.complete(p, type, { err: error.code });
        this.counts[type === 'fail' ? 'failed' : 'unknown'] += 1;
        if (type === 'info') {
          p = this.history.newProcess();
          seq = 0;
        }
      }
      dueAt = Math.max(dueAt + everyMs, performance.now());
      await until(dueAt, this.producing.signal);
    }
  }

  private async follow(reader: number): Promise<void> {
    const mine = Array.from({ length: this.options.partitions }, (_, i) => i).filter(
      (partition) => partition % READERS === reader,
    );
    const p = this.history.newProcess();
    const keys = mine.map((partition) => this.key(partition));
    this.history.invoke(p, { f: 'assign', v: keys, seek: 'begin' });
    this.history.complete(p, 'ok');
    const consumer = this.client().consumer({
      topic: this.options.topic,
      partitions: mine,
      from: 'beginning',
    });
    this.following.push(consumer);
    await this.poll(p, consumer);
  }

  /** Every batch handed out is one poll. */
  private async poll(p: number, consumer: Consumer): Promise<void> {
    const batches = consumer.batches();
    for (;;) {
      this.history.invoke(p, { f: 'poll' });
      const next = await batches.next().catch((thrown: unknown) => {
        if (!this.reading.signal.aborted) throw thrown;
        return { done: true as const, value: undefined };
      });
      if (next.done === true) {
        this.history.complete(p, 'fail', { err: 'CLOSED' });
        return;
      }
      const batch = next.value;
      const rows: Row[] = batch.records.map((record) => {
        const payload = record.value ?? new Uint8Array();
        return [record.offset, valueOf(payload), digest(payload), batch.leaderEpoch];
      });
      this.counts.polled += rows.length;
      const key = this.key(batch.partition);
      this.history.complete(p, 'ok', { recs: { [key]: rows }, hw: { [key]: batch.highWatermark } });
    }
  }
}

async function until(atMs: number, signal: AbortSignal): Promise<void> {
  const waitMs = atMs - performance.now();
  await pause(Math.max(0, waitMs), undefined, { signal }).catch(() => undefined);
}
