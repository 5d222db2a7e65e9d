import { viewOf } from '../base/bytes.js';
import type { Crc32c } from '../base/crc32c.js';
import { logIndex, type LogIndex } from '../model/ids.js';
import type { LogEntry } from '../model/log-entry.js';
import {
  ENTRY_KEY_BYTES,
  entryChain,
  entryKey,
  headerBytes,
  headerOf,
  writeEntryKey,
  writeEntryValue,
} from './entry-codec.js';
import type { LevelOperation } from './level-db.js';
import type { LogMap } from './log-map.js';
import type { Scratch } from './store-context.js';
import type { WriteJob } from './write-queue.js';

/** Bytes of keys and values that writing these entries takes. */
export function batchBytes(entries: readonly LogEntry[]): number {
  let bytes = 0;
  for (const entry of entries) {
    bytes += ENTRY_KEY_BYTES + headerBytes(entry) + entry.payload.length;
  }
  return bytes;
}

/** The same of all that these jobs write. */
export function bytesOf(jobs: readonly WriteJob[]): number {
  return jobs.reduce((sum, job) => sum + job.bytes, 0);
}

/**
 * Everything the jobs write, as one LevelDB batch; the map moves along. `oldLast` is where the log
 * ended before the jobs lowered its tail: what is not overwritten up to there is deleted.
 * The operations lie in scratch memory, which all replicas share: they are to be written in the turn in
 * which they are built.
 */
export function buildBatch(
  jobs: readonly WriteJob[],
  map: LogMap,
  options: { readonly oldLast: LogIndex; readonly scratch: Scratch; readonly crc32c: Crc32c },
): LevelOperation[] {
  const memory = options.scratch.take(bytesOf(jobs));
  const view = viewOf(memory);
  const operations: LevelOperation[] = [];
  let at = 0;
  for (const job of jobs) {
    for (const entry of job.append?.entries ?? []) {
      const header = headerOf(entry, options.crc32c);
      const chain = entryChain(map.tail.chain, header);
      const links = map.append(entry, chain, entry.timeMs);
      writeEntryKey(view, at, entry.index);
      const key = memory.subarray(at, (at += ENTRY_KEY_BYTES));
      const valueAt = at;
      at = writeEntryValue(memory, at, entry, { header, chain, links, crc32c: options.crc32c });
      operations.push({ type: 'put', key, value: memory.subarray(valueAt, at) });
    }
  }
  for (let index = map.tail.last.index + 1; index <= options.oldLast; index += 1) {
    operations.push({ type: 'del', key: entryKey(logIndex(index)) });
  }
  return operations;
}
