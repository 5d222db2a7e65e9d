import { setTimeout as pause } from 'node:timers/promises';

import { crc32c } from '@node-rs/crc32';

import type { ProduceLink } from '../../src/client/connection.js';
import { GrpcTransport } from '../../src/client/grpc-transport.js';
import { RecordBatchBuilder } from '../../src/model/record-batch-builder.js';
import { forEachLimited } from './limited.js';
import type { LogEnds } from './log-ends.js';
import type { LoadStage } from './stage.js';

const AT_ONCE = 256;
const ATTEMPTS_MAX = 100;
const RETRY_AFTER_MS = 50;
/** Leaders move now and then: the same batch is right at the next one. */
const LED_ELSEWHERE: ReadonlySet<string> = new Set(['NOT_LEADER', 'LEADER_UNKNOWN']);
const PROGRESS_EVERY_MS = 10_000;

/**
 * What brokers see of many producers: each gets an id from a broker and appends one batch under it to a
 * partition at its leader, by the calls and the stream that the client library makes. A `Producer` for
 * each would fill this process with timers and buffers, and show its limits instead of the brokers'.
 */
export async function manyProducers(stage: LoadStage, ends: LogEnds, count: number): Promise<void> {
  const { findings } = stage;
  const transport = new GrpcTransport();
  const streams = new Map<number, PipelinedProduce>();
  const ids = new Set<number>();
  const idMs: number[] = [];
  const ackMs: number[] = [];
  const refusals = new Map<string, number>();
  const startedAt = performance.now();
  let saidAt = startedAt;
  await forEachLimited(Array(count).keys(), AT_ONCE, async (i) => {
    const partition = i % ends.partitions;
    const from = performance.now();
    const { producerId, producerEpoch } = await transport.call(
      { host: '127.0.0.1', port: ends.portOf(partition) },
      'initProducer',
      { producerId: undefined, producerEpoch: 0 },
      { deadlineMs: 30_000 },
    );
    ids.add(producerId);
    idMs.push(performance.now() - from);
    const builder = new RecordBatchBuilder(128);
    builder.append({ value: Buffer.from('x') }, Date.now());
    const batch = builder.finish({ producerId, producerEpoch, baseSequence: 0 }, checksum);
    const sentAt = performance.now();
    let refusal: string | undefined;
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const port = ends.portOf(partition);
      let stream = streams.get(port);
      if (stream === undefined) {
        stream = new PipelinedProduce(transport, ends.topic, port);
        streams.set(port, stream);
      }
      refusal = await stream.send(partition, batch);
      if (refusal === undefined || !LED_ELSEWHERE.has(refusal)) break;
      await pause(RETRY_AFTER_MS);
      await ends.refresh();
    }
    ackMs.push(performance.now() - sentAt);
    if (refusal !== undefined) refusals.set(refusal, (refusals.get(refusal) ?? 0) + 1);
    if (performance.now() - saidAt < PROGRESS_EVERY_MS) return;
    saidAt = performance.now();
    stage.say(`  ... ${ids.size} of ${count} producers`);
  });
  for (const stream of streams.values()) stream.close();
  transport.close();
  findings.figure('seconds for all producers', (performance.now() - startedAt) / 1000);
  findings.times('getting a producer id', idMs);
  findings.times('its first batch', ackMs);
  findings.must(ids.size === count, `${count - ids.size} producer ids were given twice`);
  findings.must(
    refusals.size === 0,
    `batches were refused: ${[...refusals].map(([code, n]) => `${n} ${code}`).join(', ')}`,
  );
}

/** Native CRC-32C; the package is typed for Buffers and takes any bytes. */
function checksum(bytes: Uint8Array): number {
  return crc32c(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
}

/** Batches of many producers over one stream, answered by number. */
class PipelinedProduce {
  private readonly topic: string;
  private readonly link: ProduceLink;
  private readonly ready: Promise<void>;
  private readonly waiting = new Map<number, (refusal: string | undefined) => void>();
  private lastId = 0;
  /** Why the stream has ended: what comes later gets this for an answer. */
  private endedBy: string | undefined;

  constructor(transport: GrpcTransport, topic: string, port: number) {
    this.topic = topic;
    let isReady: () => void = () => undefined;
    this.ready = new Promise((resolve) => (isReady = resolve));
    this.link = transport.openProduce(
      { host: '127.0.0.1', port },
      {
        ready: () => isReady(),
        drained: () => undefined,
        answer: ({ correlationId, error }) => this.settle(correlationId, error?.code),
        closed: (error) => {
          this.endedBy = error.code;
          isReady();
          for (const id of [...this.waiting.keys()]) this.settle(id, error.code);
        },
      },
    );
  }

  /** Resolves with the code of the error, if it was refused. */
  async send(partition: number, batch: Uint8Array): Promise<string | undefined> {
    await this.ready;
    if (this.endedBy !== undefined) return this.endedBy;
    this.lastId += 1;
    const correlationId = this.lastId;
    return await new Promise((resolve) => {
      this.waiting.set(correlationId, resolve);
      this.link.send({
        ...{ correlationId, topic: this.topic, partition, topicId: '', batch },
        ...{ acks: 'quorum', timeoutMs: 60_000 },
      });
    });
  }

  close(): void {
    this.link.close();
  }

  private settle(id: number, refusal: string | undefined): void {
    const settle = this.waiting.get(id);
    this.waiting.delete(id);
    settle?.(refusal);
  }
}
