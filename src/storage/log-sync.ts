import { UNKNOWN_BOOT } from './boot-mark.js';
import { syncFiles } from './durable-files.js';
import { LazySync } from './lazy-sync.js';
import type { ReplicaRecord } from './state-file.js';
import type { StoreContext } from './store-context.js';

/**
 * Lazy syncs of one replica's log, with their mark in the state file.
 *
 * LevelDB syncs the write-ahead log that it writes to, and not the one before, of which the table may
 * not be finished yet: so all of them are synced here, beside whatever is being written. What has none
 * any more is in a table, which LevelDB has synced.
 */
export function lazySyncOf(
  context: StoreContext,
  record: ReplicaRecord,
  store: { database(): string; fence(error: unknown): void },
): LazySync {
  const { stateFile, bootMark } = context;
  return new LazySync({
    sync: () => syncFiles(store.database(), '.log'),
    mark: (mayBeUnsynced) =>
      stateFile.update(
        record,
        mayBeUnsynced ? { unsyncedBoot: bootMark, wasUnsynced: true } : { unsyncedBoot: 0 },
      ),
    onError: (error) => {
      // What was to be synced may be gone although the machine runs on.
      stateFile.update(record, { unsyncedBoot: UNKNOWN_BOOT }).catch(() => undefined);
      store.fence(error);
    },
  });
}
