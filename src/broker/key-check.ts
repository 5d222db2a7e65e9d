import { BrokerError } from '../model/errors.js';
import { LIMITS } from '../model/limits.js';
import { BATCH_HEADER_BYTES, type RecordBatchHeader } from '../model/record-batch.js';
import { MalformedBytesError } from '../base/bytes.js';
import {
  codecOfBatch,
  firstKeyless,
  recordsOfBatch,
  type BatchRecords,
} from '../partition/compaction.js';
import type { BatchCodecs } from '../ports/batch-codecs.js';
import { openBatch } from './batch-records.js';
import type { PendingProduce } from './pending-produce.js';
import { throttled } from './produce-refusals.js';

/** Produces of one partition that may wait for a batch before them to be decompressed. */
const WAITING_MAX = 4_096;

export interface KeyCheckDeps {
  readonly codecs: BatchCodecs;
  /** Every record that is appended now needs a key. */
  needsKeys(): boolean;
  /** Takes produces in the order in which they came. */
  next(pending: PendingProduce): void;
}

/**
 * Looks into compressed batches for a compacted topic before they reach the appender, which does the
 * rest in one turn and has no time to wait for a codec. What it finds goes along with the produce.
 *
 * Invariant: produces leave in the order in which they came.
 */
export class KeyCheck {
  private readonly deps: KeyCheckDeps;
  private readonly line: PendingProduce[] = [];

  constructor(deps: KeyCheckDeps) {
    this.deps = deps;
  }

  submit(pending: PendingProduce): void {
    if (this.line.length === 0 && !this.mustOpen(pending)) {
      this.deps.next(pending);
    } else if (this.line.length >= WAITING_MAX) {
      pending.refuse(throttled('too many produces wait for batches to be decompressed'));
    } else {
      this.line.push(pending);
      if (this.line.length === 1) void this.drain();
    }
  }

  private mustOpen({ batch }: PendingProduce): boolean {
    if (batch === undefined || !this.deps.needsKeys()) return false;
    return batch.length >= BATCH_HEADER_BYTES && codecOfBatch(batch) !== 0;
  }

  /** Never rejects: what goes wrong with one produce is that one's answer. */
  private async drain(): Promise<void> {
    for (;;) {
      const pending = this.line[0];
      if (pending === undefined) return;
      pending.keyError = await this.errorOf(pending);
      this.line.shift();
      this.deps.next(pending);
    }
  }

  private async errorOf(pending: PendingProduce): Promise<BrokerError | undefined> {
    try {
      if (!this.mustOpen(pending) || pending.batch === undefined) return undefined;
      const batch = await openBatch(pending.batch, this.deps.codecs);
      if (batch === undefined) {
        const text = `invalid record batch: its records do not unfold, or to more than ${LIMITS.compactedRecordsBytesMax} bytes`;
        return new BrokerError('INVALID_BATCH', text);
      }
      return keyErrorOf(batch);
    } catch (error) {
      return BrokerError.from(error);
    }
  }
}

/** What is wrong with a batch for a compacted topic; of a compressed one nothing is said here. */
export function keyErrorOfPlain(
  header: RecordBatchHeader,
  batch: Uint8Array,
): BrokerError | undefined {
  if (codecOfBatch(batch) !== 0) return undefined;
  return keyErrorOf({ ...recordsOfBatch(batch), header });
}

function keyErrorOf(batch: BatchRecords): BrokerError | undefined {
  try {
    const keyless = firstKeyless(batch);
    if (keyless === undefined) return undefined;
    const at = keyless.offset - batch.header.baseOffset;
    return new BrokerError(
      'INVALID_BATCH',
      `record ${at} of the batch has no key, and the topic is compacted (cleanup.policy): every record needs one`,
      { record: at },
    );
  } catch (cause) {
    if (!(cause instanceof MalformedBytesError)) throw cause;
    const text = `invalid record batch: ${cause.message}`;
    return new BrokerError('INVALID_BATCH', text, {}, { cause });
  }
}
