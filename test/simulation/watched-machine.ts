import { crc32c } from '../../src/base/crc32c.js';
import type { LogIndex } from '../../src/model/ids.js';
import type { LogEntry } from '../../src/model/log-entry.js';
import type { StateMachine } from '../../src/ports/state-machine.js';
import type { GroupOracle } from './group-oracle.js';
import { must } from './violation.js';
import type { Scheduler } from './world.js';

/** Sees what applying an entry came to. */
export type AppliedWatcher = (machine: StateMachine, entry: LogEntry, result: unknown) => void;

/** A state machine under watch: every committed entry once, in order, and equal states everywhere. */
export class WatchedMachine implements StateMachine {
  applied = 0;
  private readonly inner: StateMachine;
  private readonly broker: number;
  private readonly oracle: GroupOracle;
  private readonly scheduler: Scheduler;
  private readonly watcher: AppliedWatcher | undefined;

  constructor(
    inner: StateMachine,
    broker: number,
    oracle: GroupOracle,
    scheduler: Scheduler,
    watcher?: AppliedWatcher,
  ) {
    this.watcher = watcher;
    this.inner = inner;
    this.broker = broker;
    this.oracle = oracle;
    this.scheduler = scheduler;
  }

  apply(entry: LogEntry): unknown {
    this.judge(() => {
      must(entry.index === this.applied + 1, 'I19', 'an entry is skipped or applied twice', {
        group: this.oracle.group,
        broker: this.broker,
        index: entry.index,
        applied: this.applied,
      });
      this.oracle.applies(this.broker, entry);
    });
    this.applied = entry.index;
    const result = this.inner.apply(entry);
    const { watcher } = this;
    if (watcher !== undefined) this.judge(() => watcher(this.inner, entry, result));
    return result;
  }

  encode(): Uint8Array {
    const state = this.inner.encode();
    this.judge(() => this.oracle.stateAt('machine', this.applied, crc32c(state), this.broker));
    return state;
  }

  restore(state: Uint8Array | undefined, index: LogIndex): void {
    this.inner.restore(state, index);
    this.applied = index;
  }

  private judge(check: () => void): void {
    try {
      check();
    } catch (error) {
      this.scheduler.fail(error);
    }
  }
}
