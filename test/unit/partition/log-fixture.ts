import { crc32c } from '../../../src/base/crc32c.js';
import { logIndex, offset, term, type Offset } from '../../../src/model/ids.js';
import type { EntryKind, LogEntry } from '../../../src/model/log-entry.js';
import { NO_PRODUCER, RecordBatchBuilder } from '../../../src/model/record-batch-builder.js';
import { stampBatch } from '../../../src/model/record-batch.js';
import { encodePartitionCommand } from '../../../src/partition/command.js';
import type { ProducerStamp } from '../../../src/model/record-batch-builder.js';

export interface BatchOptions {
  readonly records?: number;
  readonly timestampMs?: number;
  readonly valueBytes?: number;
  readonly producer?: ProducerStamp;
}

/** A batch as a producer sends it. */
export function producedBatch(options: BatchOptions = {}): Uint8Array {
  const builder = new RecordBatchBuilder();
  const value = new Uint8Array(options.valueBytes ?? 10).fill(0x61);
  for (let i = 0; i < (options.records ?? 1); i += 1) {
    builder.append({ value }, (options.timestampMs ?? 1_000) + i);
  }
  return builder.finish(options.producer ?? NO_PRODUCER, crc32c);
}

/** Writes entries one after another, as a leader does. */
export class LogWriter {
  readonly entries: LogEntry[] = [];
  nextOffset: Offset = offset(0);
  term = term(1);
  timeMs = 1_000;

  batch(options: BatchOptions = {}): LogEntry {
    const payload = producedBatch(options);
    stampBatch(payload, { baseOffset: this.nextOffset, leaderEpoch: this.term });
    this.nextOffset = offset(this.nextOffset + (options.records ?? 1));
    return this.push('batch', payload);
  }

  moveLogStart(to: number, cause: 'trim' | 'retention' = 'trim'): LogEntry {
    const command = { kind: 'moveLogStart', to: offset(to), cause } as const;
    return this.push('command', encodePartitionCommand(command));
  }

  compact(to: number, tombstonesBelow: number, settledBelow = 0): LogEntry {
    const bounds = {
      to: offset(to),
      tombstonesBelow: offset(tombstonesBelow),
      settledBelow: offset(settledBelow),
    };
    return this.push('command', encodePartitionCommand({ kind: 'compact', ...bounds }));
  }

  noop(): LogEntry {
    return this.push('noop', new Uint8Array());
  }

  private push(kind: EntryKind, payload: Uint8Array): LogEntry {
    const index = logIndex(this.entries.length + 1);
    const entry = { index, term: this.term, kind, timeMs: this.timeMs, payload };
    this.entries.push(entry);
    return entry;
  }
}
