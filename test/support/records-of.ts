import type { RecordBatchHeader } from '../../src/model/record-batch.js';
import { RecordTable } from '../../src/model/record-table.js';
import type { StoredRecord } from '../../src/model/record.js';

/** All records of a batch, of its records section after decompression. */
export function recordsOf(header: RecordBatchHeader, records: Uint8Array): StoredRecord[] {
  return new RecordTable(header, records).records();
}
