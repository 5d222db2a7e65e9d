import { LIMITS } from '../model/limits.js';
import type { Compression } from '../model/record-batch.js';
import type { BatchReport } from './accumulator.js';
import { checkArgument } from './check-argument.js';
import { guarded } from './hooks.js';
import type { Serializers } from './record-coding.js';
import type { RecordData } from './records.js';
import type { Acks } from './types.js';

const BATCH_BYTES = 256 * 1024;
const BATCH_BYTES_BUSY = 1024 * 1024;
/** Small buffers must hold more than a few large batches, or leaders wait for each other's. */
const BUSY_BUFFER_SHARE = 1 / 32;

/** How a producer batches, waits and tries again. Times in ms. */
export interface ProducerOptions<K = RecordData, V = RecordData> extends Serializers<K, V> {
  /** When a record counts as delivered. Default: quorum. */
  readonly acks?: Acks | undefined;
  /** Every record once and in order, whatever is retried. Default: true with acks quorum. */
  readonly idempotent?: boolean | undefined;
  /**
   * A batch is sent when it has this many bytes, before compression. Default: 256 KiB, and up to 1 MiB
   * while others of its partition are on their way: the busier the brokers, the fewer and larger the
   * batches. Where they are compressed, 1 MiB at once.
   */
  readonly batchBytes?: number | undefined;
  /**
   * ... or when its first record has waited this long, and up to 5 ms longer while three others of this
   * producer are on their way. Less than deliveryTimeoutMs. Default: 5.
   */
  readonly lingerMs?: number | undefined;
  readonly compression?: Compression | undefined;
  /** Batches of a partition on their way at a time; at most 5. Default: 5, or 1 without idempotence. */
  readonly inflightBatchesMax?: number | undefined;
  /** Records not yet acknowledged, in bytes; `send` waits for room beyond it. Default: 32 MiB. */
  readonly bufferBytesMax?: number | undefined;
  /** From `send` to the final answer, retries included. Default: 120,000. */
  readonly deliveryTimeoutMs?: number | undefined;
  /** To find a topic when it is first sent to. Default, and at most: deliveryTimeoutMs. */
  readonly topicTimeoutMs?: number | undefined;
  /** One attempt. Default: 10,000. */
  readonly requestTimeoutMs?: number | undefined;
  /** Hears of every batch, delivered or not. What it throws is dropped. */
  readonly onBatch?: ((report: BatchReport) => void) | undefined;
}

/** What became of many records that were all delivered. */
export interface SendSummary {
  readonly records: number;
  /** Offsets of the first and the last record per partition. */
  readonly partitions: ReadonlyMap<number, { readonly first: number; readonly last: number }>;
}

/** The options with their defaults, checked. */
export interface ProducerSettings {
  readonly acks: Acks;
  readonly isIdempotent: boolean;
  /** Batches of a partition on their way at a time. */
  readonly window: number;
  readonly batchBytes: number;
  /** The same for a partition that has batches on their way. At least batchBytes. */
  readonly batchBytesBusy: number;
  readonly lingerMs: number;
  readonly compression: Compression;
  readonly bufferBytesMax: number;
  readonly deliveryTimeoutMs: number;
  readonly topicTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly onBatch: ((report: BatchReport) => void) | undefined;
}

/** Throws INVALID_ARGUMENT, naming the option. */
export function settingsOf<K, V>(options: ProducerOptions<K, V>): ProducerSettings {
  const acks = options.acks ?? 'quorum';
  const isIdempotent = options.idempotent ?? acks === 'quorum';
  const delivery = options.deliveryTimeoutMs ?? 120_000;
  const bufferBytesMax = options.bufferBytesMax ?? 32 * 1024 * 1024;
  const share = Math.floor(bufferBytesMax * BUSY_BUFFER_SHARE);
  const larger = Math.max(BATCH_BYTES, Math.min(BATCH_BYTES_BUSY, share));
  const isCompressed = options.compression !== undefined && options.compression !== 'none';
  const settings: ProducerSettings = {
    acks,
    isIdempotent,
    window: options.inflightBatchesMax ?? (isIdempotent ? 5 : 1),
    batchBytes: options.batchBytes ?? (isCompressed ? larger : BATCH_BYTES),
    batchBytesBusy: options.batchBytes ?? larger,
    lingerMs: options.lingerMs ?? Math.min(5, delivery / 2),
    compression: options.compression ?? 'none',
    bufferBytesMax,
    deliveryTimeoutMs: delivery,
    topicTimeoutMs: Math.min(options.topicTimeoutMs ?? delivery, delivery),
    requestTimeoutMs: options.requestTimeoutMs ?? 10_000,
    onBatch: guarded(options.onBatch),
  };
  const { window, batchBytes, deliveryTimeoutMs, requestTimeoutMs } = settings;
  checkArgument(!isIdempotent || acks === 'quorum', 'an idempotent producer needs acks quorum');
  checkArgument(window >= 1 && window <= 5, 'inflightBatchesMax must be 1 to 5');
  checkArgument(
    batchBytes > 0 && batchBytes <= LIMITS.batchBytesMax,
    `batchBytes must be 1 to ${LIMITS.batchBytesMax}`,
  );
  checkArgument(settings.bufferBytesMax > 0, 'bufferBytesMax must be positive');
  checkArgument(
    deliveryTimeoutMs > 0 && deliveryTimeoutMs <= LIMITS.deliveryTimeoutMsMax,
    `deliveryTimeoutMs must be 1 to ${LIMITS.deliveryTimeoutMsMax}`,
  );
  checkArgument(
    settings.lingerMs >= 0 && settings.lingerMs < deliveryTimeoutMs,
    `lingerMs must be 0 or more, and less than deliveryTimeoutMs (${deliveryTimeoutMs})`,
  );
  checkArgument(settings.topicTimeoutMs > 0, 'topicTimeoutMs must be positive');
  checkArgument(
    requestTimeoutMs > 0 && requestTimeoutMs <= LIMITS.requestDeadlineMsMax,
    `requestTimeoutMs must be 1 to ${LIMITS.requestDeadlineMsMax}`,
  );
  return settings;
}
