import type { LogIndex } from '../model/ids.js';
import type { LogEntry } from '../model/log-entry.js';

/** Replicated state: the same entries give the same bytes on every replica. */
export interface StateMachine {
  /** Applies one committed entry; each is applied once, in order. The result goes to its proposer. */
  apply(entry: LogEntry): unknown;
  /** The state as of the last applied entry, deterministic. */
  encode(): Uint8Array;
  /** Replaces the state; undefined means the initial one. */
  restore(state: Uint8Array | undefined, index: LogIndex): void;
}
