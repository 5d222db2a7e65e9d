import { Prng } from '../../../src/base/prng.js';
import type { Crc32c } from '../../../src/base/crc32c.js';
import { brokerId, logIndex, raftGroupId, term } from '../../../src/model/ids.js';
import { NO_ENTRY, type EntryId, type LogEntry } from '../../../src/model/log-entry.js';
import { membershipOf } from '../../../src/model/membership.js';
import type { LoadedReplica, LogStore, ReplicaSpec } from '../../../src/ports/log-store.js';
import { LevelBrokerStore } from '../../../src/storage/level-broker-store.js';
import { textOf, type Outcome } from './judge.js';
import { readAll } from './truth.js';

/** What became of a store whose disk failed. */
export interface WriteVerdict {
  readonly outcome: Outcome;
  readonly detail: string;
  /** False: the disk failed in nothing that was asked of it, which proves nothing. */
  readonly hasFailed: boolean;
  /** Acknowledged before the error. */
  readonly acknowledged: number;
  /** After it, on the same store, and not there when it was opened anew. */
  readonly ackedAfterError: number;
}

const GROUP = raftGroupId(7);
const SPEC: ReplicaSpec = {
  groupId: GROUP,
  topicId: undefined,
  topic: 'damage',
  partition: 0,
  bootstrap: membershipOf([1, 2, 3]),
};
const TERM = term(1);
const ENTRY_BYTES_MAX = 20_000;
const WRITES_MAX = 1_500;
const WRITES_AFTER = 10;
const CHECKPOINT_EVERY = 50;
/** A log that is written for minutes is cut off in front. */
const KEPT_MAX = 400;

/** A directory in which a replica is written to, and what it said of it. */
export class WriteCase {
  private readonly directory: string;
  private readonly crc32c: Crc32c;
  private readonly seed: number;
  private acknowledged = 0;
  private first = 1;

  constructor(directory: string, seed: number, crc32c: Crc32c) {
    this.directory = directory;
    this.seed = seed;
    this.crc32c = crc32c;
  }

  /**
   * Writes until the disk fails, and then some more, once `calm` has mended it; opens anew, looks
   * whether everything acknowledged is there, and goes on.
   */
  async run(calm: () => Promise<void>): Promise<WriteVerdict> {
    const { error, later } = await this.untilItFails(calm);
    const before = this.acknowledged;
    const verdictOf = (outcome: Outcome, detail: string, lost = 0): WriteVerdict => ({
      outcome,
      detail: `${detail} (${error ?? 'no error'})`,
      hasFailed: error !== undefined,
      acknowledged: before,
      ackedAfterError: lost,
    });
    try {
      const { kind, last, wrong } = await this.reopened();
      const lost = later.filter((index) => index > last).length;
      if (kind === 'damaged') return verdictOf('opening', 'found damaged', lost);
      if (last < before) return verdictOf('silent', `ends at ${last} of ${before}`);
      if (wrong !== undefined) return verdictOf('silent', wrong);
      this.acknowledged = last;
      await this.goOn(WRITES_AFTER);
      const again = await this.reopened();
      return again.last === last + WRITES_AFTER && again.wrong === undefined
        ? verdictOf('intact', '', lost)
        : verdictOf('silent', again.wrong ?? `later ends at ${again.last}`, lost);
    } catch (thrown) {
      return verdictOf('stuck', textOf(thrown));
    }
  }

  /** Writes on for so long; returns what was wrong afterwards. */
  async writeFor(ms: number): Promise<{ readonly writes: number; readonly wrong: string }> {
    const until = performance.now() + ms;
    const from = this.acknowledged;
    while (performance.now() < until) await this.goOn(WRITES_MAX);
    const { last, wrong } = await this.reopened();
    const end = last === this.acknowledged ? '' : `ends at ${last} of ${this.acknowledged}`;
    return { writes: last - from, wrong: wrong ?? end };
  }

  /** The error, and what was acknowledged after it. */
  private async untilItFails(
    calm: () => Promise<void>,
  ): Promise<{ readonly error: string | undefined; readonly later: readonly number[] }> {
    const later: number[] = [];
    let error: string | undefined;
    let broker: LevelBrokerStore | undefined;
    try {
      broker = await this.openBroker();
      const { store } = await this.openReplica(broker);
      error = await this.writeUntilItFails(store);
      await calm();
      for (let i = 1; i <= WRITES_AFTER; i += 1) {
        const index = this.acknowledged + i;
        await this.write(store, index).then(
          () => later.push(index),
          () => undefined,
        );
      }
    } catch (thrown) {
      error = textOf(thrown);
      await calm();
    }
    await broker?.close().catch(() => undefined);
    return { error, later };
  }

  private async writeUntilItFails(store: LogStore): Promise<string | undefined> {
    try {
      for (let i = 1; i <= WRITES_MAX; i += 1) await this.writeNext(store);
      return undefined;
    } catch (thrown) {
      return textOf(thrown);
    }
  }

  private async goOn(writes: number): Promise<void> {
    const broker = await this.openBroker();
    try {
      const { store } = await this.openReplica(broker);
      for (let i = 0; i < writes; i += 1) await this.writeNext(store);
    } finally {
      await broker.close();
    }
  }

  private async writeNext(store: LogStore): Promise<void> {
    const index = this.acknowledged + 1;
    await this.write(store, index);
    this.acknowledged = index;
    const state = new Uint8Array(1_000);
    if (index % CHECKPOINT_EVERY === 0) {
      await store.saveCheckpoint({ index: logIndex(index), state });
    }
    if (index - this.first < KEPT_MAX) return;
    const last = this.idAt(index - KEPT_MAX / 2);
    await store.truncatePrefix(last, state, SPEC.bootstrap);
    this.first = last.index + 1;
  }

  private async write(store: LogStore, index: number): Promise<void> {
    const append = { prev: this.idAt(index - 1), entries: [this.entryAt(index)] };
    const hardState = { term: TERM, votedFor: brokerId(2), needsRepair: false };
    await store.persist({
      ticket: index,
      hardState: index === 1 ? hardState : undefined,
      append,
      install: undefined,
    });
  }

  private async reopened(): Promise<{
    readonly kind: LoadedReplica['verdict']['kind'];
    readonly last: number;
    readonly wrong: string | undefined;
  }> {
    const broker = await this.openBroker();
    try {
      const { store, loaded } = await this.openReplica(broker);
      const first = loaded.raft.snapshot.last.index + 1;
      const last = loaded.raft.last.index;
      const entries = first > last ? [] : await readAll(store, first, last);
      const changed = entries.find(({ index, payload }) => {
        return Buffer.compare(payload, this.entryAt(index).payload) !== 0;
      });
      const wrong = changed && `entry ${changed.index} is another one`;
      return { kind: loaded.verdict.kind, last, wrong };
    } finally {
      await broker.close();
    }
  }

  /** As small as it gets: tables and compactions come early. */
  private openBroker(): Promise<LevelBrokerStore> {
    const { crc32c } = this;
    return LevelBrokerStore.open(this.directory, { crc32c, memoryBudgetBytes: 1, freeBytesMin: 0 });
  }

  private async openReplica(
    broker: LevelBrokerStore,
  ): Promise<{ readonly store: LogStore; readonly loaded: LoadedReplica }> {
    if (broker.identity() === undefined) {
      const self = { clusterId: 'matrix', brokerId: brokerId(1), directoryId: 'matrix' };
      await broker.saveIdentity({ ...self, founders: [1, 2, 3].map(brokerId), isFormed: true });
    }
    if (broker.replicas().length === 0) await broker.createReplica(SPEC);
    return await broker.openReplica(GROUP);
  }

  private idAt(index: number): EntryId {
    return index === 0 ? NO_ENTRY : { term: TERM, index: logIndex(index) };
  }

  /** Its bytes follow from its index: whatever comes back says whether it is the right one. */
  private entryAt(index: number): LogEntry {
    const prng = new Prng(this.seed * 1_000_003 + index);
    const payload = new Uint8Array(4 * (1 + prng.int(ENTRY_BYTES_MAX / 4)));
    const words = new Uint32Array(payload.buffer);
    for (let i = 0; i < words.length; i += 1) words[i] = prng.u32();
    return { ...this.idAt(index), kind: 'command', timeMs: index, payload };
  }
}
