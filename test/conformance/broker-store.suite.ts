import { expect } from 'chai';
import { TERM_LIMIT, brokerId, logIndex, raftGroupId, term, topicId } from '../../src/model/ids.js';
import { crc32c } from '../../src/base/crc32c.js';
import {
  rewrittenEntry,
  type EntryId,
  type EntryKind,
  type LogEntry,
  type LogSlice,
  type RewrittenPayload,
} from '../../src/model/log-entry.js';
import { NO_MEMBERS, encodeMembership, membershipOf } from '../../src/model/membership.js';
import type {
  BrokerIdentity,
  BrokerStore,
  LoadedReplica,
  LogStore,
  ReplicaSpec,
} from '../../src/ports/log-store.js';
import type { HardState, Persist, SnapshotMeta } from '../../src/raft/io.js';

/** One broker's disk, on which stores can be opened again and again. */
export interface StoreHarness {
  /** Opens the broker's store; what was there before is there again. */
  open(): Promise<BrokerStore>;
  /** Damages the log of a replica while the broker is closed. */
  damage(groupId: ReplicaSpec['groupId']): Promise<void>;
  /** Closes what is open and removes everything. */
  dispose(): Promise<void>;
}

export const IDENTITY: BrokerIdentity = {
  clusterId: 'c1',
  brokerId: brokerId(1),
  directoryId: 'd1',
  founders: [1, 2, 3].map(brokerId),
  isFormed: true,
};

export const SPEC: ReplicaSpec = {
  groupId: raftGroupId(7),
  topicId: topicId('0123456789abcdef0123456789abcdef'),
  topic: 'logs',
  partition: 3,
  bootstrap: membershipOf([1, 2, 3], [4]),
};

export function id(t: number, index: number): EntryId {
  return { term: term(t), index: logIndex(index) };
}

export function entry(
  t: number,
  index: number,
  text = `entry ${index} of term ${t}`,
  kind: EntryKind = 'command',
): LogEntry {
  return {
    ...id(t, index),
    kind,
    timeMs: 1_700_000_000_000 + index,
    payload: new Uint8Array(Buffer.from(text)),
  };
}

export function slice(prev: EntryId, entries: readonly LogEntry[]): LogSlice {
  return { prev, entries };
}

/** Entries first..last of one term. */
export function entries(t: number, first: number, last: number): LogEntry[] {
  return Array.from({ length: last - first + 1 }, (_, i) => entry(t, first + i));
}

export function hardState(t: number, vote?: number, needsRepair = false): HardState {
  return {
    term: term(t),
    votedFor: vote === undefined ? undefined : brokerId(vote),
    needsRepair,
  };
}

let tickets = 0;
export function write(parts: Partial<Persist>): Persist {
  tickets += 1;
  return { ticket: tickets, hardState: undefined, append: undefined, install: undefined, ...parts };
}

export function append(prev: EntryId, list: readonly LogEntry[], state?: HardState): Persist {
  return write({ append: slice(prev, list), hardState: state });
}

export async function readAll(store: LogStore, first: number, next: number): Promise<string[]> {
  const out: string[] = [];
  for (let at = first; at < next;) {
    const range = { first: logIndex(at), next: logIndex(next) };
    const some = await store.read(range, { bytesMax: 1024 });
    out.push(...some.map((e) => `${e.term}/${e.index} ${Buffer.from(e.payload).toString()}`));
    at += some.length;
  }
  return out;
}

export function texts(list: readonly LogEntry[]): string[] {
  return list.map((e) => `${e.term}/${e.index} ${Buffer.from(e.payload).toString()}`);
}

/** Without what kind of bytes a store hands out. */
function plain(list: readonly LogEntry[]): unknown[] {
  return list.map((e) => ({ ...e, payload: [...e.payload] }));
}

export async function rejection(work: Promise<unknown>): Promise<Error> {
  try {
    await work;
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error('nothing was rejected');
}

/**
 * What every BrokerStore and its LogStores must do. Called inside a test file; the harness is made
 * anew for each test.
 */
export function describeBrokerStore(name: string, makeHarness: () => Promise<StoreHarness>): void {
  describe(`${name}: BrokerStore`, () => {
    let harness: StoreHarness;
    let broker: BrokerStore;

    beforeEach(async () => {
      harness = await makeHarness();
      broker = await harness.open();
      await broker.saveIdentity(IDENTITY);
    });
    afterEach(async () => {
      await broker.close();
      await harness.dispose();
    });

    async function opened(spec = SPEC): Promise<{ store: LogStore; loaded: LoadedReplica }> {
      if (!broker.replicas().some((r) => r.spec.groupId === spec.groupId)) {
        await broker.createReplica(spec);
      }
      return broker.openReplica(spec.groupId);
    }

    async function reopened(): Promise<{ store: LogStore; loaded: LoadedReplica }> {
      await broker.close();
      broker = await harness.open();
      return opened();
    }

    describe('identity and replicas', () => {
      it('keeps the identity', async () => {
        await broker.close();
        broker = await harness.open();
        expect(broker.identity()).to.deep.equal(IDENTITY);
        await broker.saveIdentity({ ...IDENTITY, isFormed: false, founders: [] });
        await broker.close();
        broker = await harness.open();
        expect(broker.identity()).to.deep.equal({ ...IDENTITY, isFormed: false, founders: [] });
      });

      it('lists what was created, by group id, also before it is opened', async () => {
        const metadata: ReplicaSpec = {
          ...SPEC,
          groupId: raftGroupId(0),
          topicId: undefined,
          topic: '',
        };
        await broker.createReplica(SPEC);
        await broker.createReplica(metadata);
        expect(broker.replicas().map((r) => r.spec)).to.deep.equal([metadata, SPEC]);
        const before = broker.replicas();
        await broker.close();
        broker = await harness.open();
        expect(broker.replicas()).to.deep.equal(before);
        expect(broker.replicas()[0]?.hardState).to.deep.equal(hardState(0));
      });

      it('forgets what was deleted, and gives its group id a new life', async () => {
        const { store } = await opened();
        await store.persist(append(id(0, 0), entries(1, 1, 3), hardState(1, 2)));
        const before = broker.replicas()[0]?.incarnation;
        await store.close();
        await broker.deleteReplica(SPEC.groupId);
        expect(broker.replicas()).to.deep.equal([]);
        await broker.close();
        broker = await harness.open();
        expect(broker.replicas()).to.deep.equal([]);
        const { loaded } = await opened();
        expect(loaded.verdict.kind).to.equal('empty');
        expect(loaded.raft.last).to.deep.equal(id(0, 0));
        expect(loaded.raft.incarnation).to.not.equal(before);
      });

      it('holds many replicas apart', async () => {
        const specs = Array.from({ length: 70 }, (_, i) => ({ ...SPEC, groupId: raftGroupId(i) }));
        await Promise.all(specs.map((spec) => broker.createReplica(spec)));
        const stores = await Promise.all(specs.slice(0, 5).map((spec) => opened(spec)));
        await Promise.all(
          stores.map(({ store }, i) => store.persist(append(id(0, 0), [entry(i + 1, 1)]))),
        );
        await broker.close();
        broker = await harness.open();
        expect(broker.replicas()).to.have.length(70);
        for (const [i, spec] of specs.slice(0, 5).entries()) {
          const { loaded } = await opened(spec);
          expect(loaded.raft.last).to.deep.equal(id(i + 1, 1));
        }
      });

      it('says how much room is left', async () => {
        expect(await broker.freeBytes()).to.be.greaterThan(0);
      });
    });

    describe('a fresh replica', () => {
      it('is empty, in term 0, with its bootstrap membership', async () => {
        const { loaded } = await opened();
        expect(loaded.verdict).to.deep.equal({ kind: 'empty' });
        expect(loaded.raft).to.deep.include({
          hardState: hardState(0),
          termRuns: [],
          memberships: [],
          last: id(0, 0),
          lastTimeMs: 0,
          watermark: id(0, 0),
        });
        expect(loaded.raft.snapshot).to.deep.equal({
          last: id(0, 0),
          chain: 0,
          timeMs: 0,
          membership: SPEC.bootstrap,
        });
        expect(loaded.snapshot).to.equal(undefined);
        expect(loaded.checkpoint).to.equal(undefined);
        expect(loaded.raft.incarnation).to.be.greaterThan(0);
      });

      it('of a group that was there before votes for nobody until it is filled, also when it is opened again', async () => {
        const late = { ...SPEC, groupId: raftGroupId(77), bootstrap: NO_MEMBERS };
        await broker.createReplica(late);
        for (let time = 1; time <= 2; time += 1) {
          const { store, loaded } = await broker.openReplica(late.groupId);
          const { hardState: state, watermark, last } = loaded.raft;
          expect(state).to.deep.equal(hardState(0, undefined, true));
          expect(last).to.deep.equal(id(0, 0));
          expect(watermark.term).to.equal(TERM_LIMIT - 1);
          expect(watermark.index).to.equal(Number.MAX_SAFE_INTEGER);
          await store.close();
        }
        const { store } = await broker.openReplica(late.groupId);
        await store.persist(append(id(0, 0), entries(1, 1, 2), hardState(1)));
        await store.close();
        const { loaded } = await broker.openReplica(late.groupId);
        expect(loaded.raft.hardState).to.deep.equal(hardState(1));
        expect(loaded.raft.watermark).to.deep.equal(id(0, 0));
      });

      it('refuses to be opened twice', async () => {
        const { store } = await opened();
        expect((await rejection(broker.openReplica(SPEC.groupId))).name).to.equal('InvariantError');
        await store.close();
        await store.close();
        await opened();
      });
    });

    describe('entries and hard state', () => {
      it('are there again, byte for byte', async () => {
        const { store } = await opened();
        const membership = membershipOf([1, 2], [3]);
        const list = [
          entry(1, 1, '', 'noop'),
          entry(1, 2),
          { ...entry(2, 3, '', 'membership'), payload: encodeMembership(membership) },
          { ...entry(2, 4, '', 'batch'), payload: Uint8Array.from({ length: 4096 }, (_, i) => i) },
        ];
        await store.persist(append(id(0, 0), list, hardState(2, 3)));
        const { store: again, loaded } = await reopened();
        expect(loaded.verdict).to.deep.equal({ kind: 'sound' });
        expect(loaded.raft.hardState).to.deep.equal(hardState(2, 3));
        expect(loaded.raft.termRuns).to.deep.equal([
          { term: 1, first: 1 },
          { term: 2, first: 3 },
        ]);
        expect(loaded.raft.memberships).to.deep.equal([{ index: 3, membership }]);
        expect(loaded.raft.last).to.deep.equal(id(2, 4));
        expect(loaded.raft.lastTimeMs).to.equal(list[3]?.timeMs);
        const read = await again.read(
          { first: logIndex(1), next: logIndex(5) },
          { bytesMax: 1 << 20 },
        );
        expect(read.map((e) => ({ ...e, payload: Buffer.from(e.payload).toString('hex') }))).to.eql(
          list.map((e) => ({ ...e, payload: Buffer.from(e.payload).toString('hex') })),
        );
      });

      it('complete in the order given', async () => {
        const { store } = await opened();
        const order: number[] = [];
        const writes = [
          append(id(0, 0), entries(1, 1, 2), hardState(1, 1)),
          write({ hardState: hardState(2, 3) }),
          append(id(1, 2), entries(2, 3, 4)),
          append(id(1, 1), entries(3, 2, 5), hardState(3)),
          write({ hardState: hardState(4, 1) }),
        ];
        await Promise.all(
          writes.map(async (each, i) => {
            await store.persist(each);
            order.push(i);
          }),
        );
        expect(order).to.deep.equal([0, 1, 2, 3, 4]);
        const { store: again, loaded } = await reopened();
        expect(loaded.raft.hardState).to.deep.equal(hardState(4, 1));
        expect(await readAll(again, 1, 6)).to.deep.equal(
          texts([...entries(1, 1, 1), ...entries(3, 2, 5)]),
        );
      });

      it('take an empty write as a question whether all before is durable', async () => {
        const { store } = await opened();
        const first = store.persist(append(id(0, 0), entries(1, 1, 1)));
        await store.persist(write({}));
        await first;
        const { loaded } = await reopened();
        expect(loaded.raft.last).to.deep.equal(id(1, 1));
      });

      it('refuse a gap', async () => {
        const { store } = await opened();
        const gap = await rejection(store.persist(append(id(1, 4), entries(1, 5, 5))));
        expect(gap.name).to.equal('InvariantError');
      });

      it('survive many small writes given at once', async () => {
        const { store } = await opened();
        const list = entries(1, 1, 500);
        await Promise.all(
          list.map((e) => store.persist(append(id(e.index > 1 ? 1 : 0, e.index - 1), [e]))),
        );
        expect(await readAll(store, 1, 501)).to.deep.equal(texts(list));
        const { store: again } = await reopened();
        expect(await readAll(again, 1, 501)).to.deep.equal(texts(list));
      });
    });

    describe('terms and memberships', () => {
      it('are all there again, from the log start on, however many there were', async () => {
        const { store } = await opened();
        const payload = encodeMembership(membershipOf([1, 2]));
        const list: LogEntry[] = [];
        for (let index = 1; index <= 120; index += 1) {
          const one = entry(1 + Math.floor(index / 3), index);
          list.push(index % 7 === 0 ? { ...one, kind: 'membership', payload } : one);
        }
        let prev = id(0, 0);
        for (const each of list) {
          await store.persist(append(prev, [each]));
          prev = id(each.term, each.index);
        }
        const runsFrom = (first: number): unknown =>
          list
            .filter(({ index }) => index === first || (index > first && index % 3 === 0))
            .map(({ term: at, index }) => ({ term: at, first: index }));
        const membershipsFrom = (first: number): number[] =>
          list.filter(({ index }) => index >= first && index % 7 === 0).map(({ index }) => index);

        let again = await reopened();
        expect(again.loaded.raft.termRuns).to.deep.equal(runsFrom(1));
        expect(again.loaded.raft.memberships.map(({ index }) => index)).to.deep.equal(
          membershipsFrom(1),
        );
        await again.store.truncatePrefix(id(14, 40), new Uint8Array(1), membershipOf([1, 2]));
        await again.store.persist(append(prev, [entry(prev.term, 121)]));
        again = await reopened();
        expect(again.loaded.verdict.kind).to.equal('sound');
        expect(again.loaded.raft.termRuns).to.deep.equal(runsFrom(41));
        expect(again.loaded.raft.memberships.map(({ index }) => index)).to.deep.equal(
          membershipsFrom(41),
        );
      });
    });

    describe('truncating the tail', () => {
      it('replaces everything after prev', async () => {
        const { store } = await opened();
        await store.persist(append(id(0, 0), entries(1, 1, 10)));
        await store.persist(append(id(1, 4), entries(2, 5, 6)));
        expect(await readAll(store, 1, 7)).to.deep.equal(
          texts([...entries(1, 1, 4), ...entries(2, 5, 6)]),
        );
        const { store: again, loaded } = await reopened();
        expect(loaded.verdict.kind).to.equal('sound');
        expect(loaded.raft.last).to.deep.equal(id(2, 6));
        expect(loaded.raft.termRuns).to.deep.equal([
          { term: 1, first: 1 },
          { term: 2, first: 5 },
        ]);
        expect(await readAll(again, 1, 7)).to.deep.equal(
          texts([...entries(1, 1, 4), ...entries(2, 5, 6)]),
        );
      });

      it('to nothing at all, and memberships go with it', async () => {
        const { store } = await opened();
        const payload = encodeMembership(membershipOf([1]));
        const change = { ...entry(1, 2, '', 'membership'), payload };
        await store.persist(append(id(0, 0), [entry(1, 1), change]));
        await store.persist(append(id(0, 0), []));
        const { loaded } = await reopened();
        expect(loaded.raft.last).to.deep.equal(id(0, 0));
        expect(loaded.raft.memberships).to.deep.equal([]);
        expect(loaded.raft.termRuns).to.deep.equal([]);
      });

      it('in one go with what is still being written', async () => {
        const { store } = await opened();
        const writes = [
          store.persist(append(id(0, 0), entries(1, 1, 8))),
          store.persist(append(id(1, 8), entries(1, 9, 12))),
          store.persist(append(id(1, 3), entries(2, 4, 5))),
          store.persist(append(id(2, 5), entries(2, 6, 7))),
          store.persist(append(id(2, 6), entries(3, 7, 7))),
        ];
        const expected = texts([...entries(1, 1, 3), ...entries(2, 4, 6), entry(3, 7)]);
        expect(await readAll(store, 1, 8)).to.deep.equal(expected);
        await Promise.all(writes);
        const { store: again, loaded } = await reopened();
        expect(loaded.raft.last).to.deep.equal(id(3, 7));
        expect(await readAll(again, 1, 8)).to.deep.equal(expected);
      });
    });

    describe('reading', () => {
      it('stops at range.next and at bytesMax, but gives at least one', async () => {
        const { store } = await opened();
        const list = Array.from({ length: 20 }, (_, i) => entry(1, i + 1, 'x'.repeat(1000)));
        await store.persist(append(id(0, 0), list));
        const lengthOf = async (first: number, next: number, bytesMax: number): Promise<number> =>
          (await store.read({ first: logIndex(first), next: logIndex(next) }, { bytesMax })).length;
        expect(await lengthOf(1, 21, 1 << 20)).to.equal(20);
        expect(await lengthOf(5, 8, 1 << 20)).to.equal(3);
        expect(await lengthOf(5, 21, 5 * 1048)).to.equal(5);
        expect(await lengthOf(5, 21, 5 * 1048 - 1)).to.equal(4);
        expect(await lengthOf(5, 21, 1)).to.equal(1);
        expect(await lengthOf(5, 1000, 1 << 20)).to.equal(16);
      });

      it('sees what was given before', async () => {
        const { store } = await opened();
        const written = store.persist(append(id(0, 0), entries(1, 1, 3)));
        expect(await readAll(store, 1, 4)).to.deep.equal(texts(entries(1, 1, 3)));
        await written;
      });

      it('beyond the end rejects and harms nothing', async () => {
        const { store } = await opened();
        await store.persist(append(id(0, 0), entries(1, 1, 3)));
        const range = { first: logIndex(4), next: logIndex(5) };
        const error = await rejection(store.read(range, { bytesMax: 1 }));
        expect(error.name).to.be.oneOf(['RangeError', 'InvariantError']);
        expect(await readAll(store, 1, 4)).to.have.length(3);
      });

      it('goes on while others write', async () => {
        const { store } = await opened();
        await store.persist(append(id(0, 0), entries(1, 1, 50)));
        const writes: Promise<void>[] = [];
        for (let i = 51; i <= 150; i += 1) {
          writes.push(store.persist(append(id(1, i - 1), [entry(1, i)])));
        }
        const reads = await Promise.all([1, 10, 40, 50].map((first) => readAll(store, first, 51)));
        expect(reads.map((r) => r.length)).to.deep.equal([50, 41, 11, 1]);
        await Promise.all(writes);
        expect(await readAll(store, 1, 151)).to.deep.equal(texts(entries(1, 1, 150)));
      });
    });

    describe('truncating the prefix', () => {
      const state = new Uint8Array(Buffer.from('state at 6'));
      const membership = membershipOf([1, 2, 3]);

      it('puts a snapshot in its place', async () => {
        const { store } = await opened();
        expect(await store.snapshot()).to.equal(undefined);
        const change = {
          ...entry(2, 3, '', 'membership'),
          payload: encodeMembership(membershipOf([1, 2])),
        };
        await store.persist(
          append(id(0, 0), [
            ...entries(1, 1, 2),
            change,
            ...entries(2, 4, 7),
            ...entries(3, 8, 10),
          ]),
        );
        const meta = await store.truncatePrefix(id(2, 6), state, membership);
        expect(meta).to.deep.include({ last: id(2, 6), membership });
        expect(meta.timeMs).to.equal(entry(2, 6).timeMs);
        const range = { first: logIndex(6), next: logIndex(9) };
        const error = await rejection(store.read(range, { bytesMax: 1000 }));
        expect(error.name).to.equal('PrefixTruncatedError');
        expect(await readAll(store, 7, 11)).to.have.length(4);
        expect(await store.snapshot()).to.deep.equal({ meta, state });

        const { store: again, loaded } = await reopened();
        expect(loaded.verdict.kind).to.equal('sound');
        expect(loaded.raft.snapshot).to.deep.equal(meta);
        expect(loaded.raft.termRuns).to.deep.equal([
          { term: 2, first: 7 },
          { term: 3, first: 8 },
        ]);
        expect(loaded.raft.memberships).to.deep.equal([]);
        expect(loaded.snapshot?.meta).to.deep.equal(meta);
        expect(Buffer.from(loaded.snapshot?.state ?? []).toString()).to.equal('state at 6');
        expect(await readAll(again, 7, 11)).to.deep.equal(
          texts([entry(2, 7), ...entries(3, 8, 10)]),
        );
      });

      it('of everything, and goes on from there', async () => {
        const { store } = await opened();
        await store.persist(append(id(0, 0), entries(1, 1, 4)));
        const meta = await store.truncatePrefix(id(1, 4), state, membership);
        await store.persist(append(id(1, 4), entries(2, 5, 6)));
        const { store: again, loaded } = await reopened();
        expect(loaded.raft.snapshot).to.deep.equal(meta);
        expect(loaded.raft.last).to.deep.equal(id(2, 6));
        expect(loaded.raft.termRuns).to.deep.equal([{ term: 2, first: 5 }]);
        expect(await readAll(again, 5, 7)).to.deep.equal(texts(entries(2, 5, 6)));
      });

      it('again and again, while others write; an older one changes nothing', async () => {
        const { store } = await opened();
        await store.persist(append(id(0, 0), entries(1, 1, 100)));
        const writes: Promise<unknown>[] = [];
        for (let i = 101; i <= 150; i += 1) {
          writes.push(store.persist(append(id(1, i - 1), [entry(1, i)])));
          if (i % 10 === 0) {
            writes.push(store.truncatePrefix(id(1, i - 60), state, membership));
          }
        }
        await Promise.all(writes);
        const meta = await store.truncatePrefix(id(1, 50), state, membership);
        expect(meta.last).to.deep.equal(id(1, 90));
        expect(await readAll(store, 91, 151)).to.deep.equal(texts(entries(1, 91, 150)));
        const { store: again } = await reopened();
        expect(await readAll(again, 91, 151)).to.deep.equal(texts(entries(1, 91, 150)));
      });

      it('agrees with other replicas about the chain', async () => {
        const { store } = await opened();
        await store.persist(append(id(0, 0), entries(1, 1, 3)));
        await store.persist(append(id(1, 2), entries(2, 3, 5)));
        const other = await opened({ ...SPEC, groupId: raftGroupId(8) });
        await other.store.persist(append(id(0, 0), [...entries(1, 1, 2), ...entries(2, 3, 5)]));
        const a = await store.truncatePrefix(id(2, 4), state, membership);
        const b = await other.store.truncatePrefix(id(2, 4), state, membership);
        expect(a).to.deep.equal(b);
      });
    });

    describe('rewriting', () => {
      const short = (at: number): RewrittenPayload => ({
        ...id(1, at),
        payload: new Uint8Array(Buffer.from(`short ${at}`)),
      });
      /** Entries 1 to 20 of term 1, every third of which was rewritten. */
      const mixed = entries(1, 1, 20).map((e) =>
        e.index % 3 === 0 ? rewrittenEntry(e, short(e.index).payload, crc32c) : e,
      );
      const every3rd = mixed.filter((e) => e.original !== undefined).map((e) => short(e.index));

      async function read(store: LogStore, first = 1, next = 21): Promise<readonly LogEntry[]> {
        const range = { first: logIndex(first), next: logIndex(next) };
        return store.read(range, { bytesMax: 1e6 });
      }

      it('replaces payloads and nothing else, and leaves a sound log', async () => {
        const { store } = await opened();
        await store.persist(append(id(0, 0), entries(1, 1, 20)));
        await store.rewrite([]);
        await store.rewrite(every3rd);
        expect(plain(await read(store))).to.deep.equal(plain(mixed));
        expect(await store.verifyAll({ bytesPerSecondMax: 1e9 })).to.equal(20);
        const { store: again, loaded } = await reopened();
        expect(loaded.verdict.kind).to.equal('sound');
        expect(plain(await read(again))).to.deep.equal(plain(mixed));
        // Once more: it still tells of what was appended, not of what stood there last.
        await again.rewrite([{ ...id(1, 3), payload: new Uint8Array(0) }]);
        const [third] = await read(again, 3, 4);
        expect(third?.payload).to.have.length(0);
        expect(third?.original).to.deep.equal(mixed[2]?.original);
      });

      it('keeps the chain that replicas agree on, also where they begin with what is left', async () => {
        const { store } = await opened();
        const raw = [...entries(1, 1, 20), entry(2, 21)];
        await store.persist(append(id(0, 0), raw));
        await store.rewrite(every3rd);
        const other = await opened({ ...SPEC, groupId: raftGroupId(8) });
        await other.store.persist(append(id(0, 0), [...mixed, entry(2, 21)]));
        expect(plain(await read(other.store))).to.deep.equal(plain(mixed));
        const a = await store.truncatePrefix(id(2, 21), new Uint8Array(1), SPEC.bootstrap);
        const b = await other.store.truncatePrefix(id(2, 21), new Uint8Array(1), SPEC.bootstrap);
        expect(a).to.deep.equal(b);
      });

      it('goes on while others write, truncate and read', async () => {
        const { store } = await opened();
        await store.persist(append(id(0, 0), entries(1, 1, 200)));
        const work: Promise<unknown>[] = [];
        for (let at = 1; at <= 150; at += 10) {
          const payloads = Array.from({ length: 10 }, (_, i) => short(at + i));
          work.push(store.rewrite(payloads));
          work.push(store.persist(append(id(1, 199 + at), entries(1, 200 + at, 209 + at))));
          if (at % 20 === 1 && at < 100) {
            work.push(store.truncatePrefix(id(1, at), new Uint8Array(1), SPEC.bootstrap));
          }
          work.push(store.read({ first: logIndex(151), next: logIndex(201) }, { bytesMax: 1e6 }));
        }
        await Promise.all(work);
        const { store: again, loaded } = await reopened();
        expect(loaded.verdict.kind).to.equal('sound');
        expect(loaded.raft.snapshot.last).to.deep.equal(id(1, 81));
        const want = Array.from({ length: 259 }, (_, i) => entry(1, 82 + i)).slice(0, 350 - 81);
        const got = await readAll(again, 82, 341);
        expect(got).to.deep.equal(
          texts(want).map((text, i) => (82 + i <= 150 ? `1/${82 + i} short ${82 + i}` : text)),
        );
        await again.rewrite([short(5), short(90)]);
        const gone = await rejection(
          again.read({ first: logIndex(5), next: logIndex(6) }, { bytesMax: 1 }),
        );
        expect(gone.name).to.equal('PrefixTruncatedError');
      });

      it('remembers a note until the log is replaced', async () => {
        const { store } = await opened();
        expect(await store.note()).to.equal(undefined);
        await store.persist(append(id(0, 0), entries(1, 1, 9)));
        await store.saveNote(Uint8Array.of(1, 2, 3));
        await store.saveNote(Uint8Array.of(4));
        expect([...((await store.note()) ?? [])]).to.deep.equal([4]);
        const { store: again } = await reopened();
        expect([...((await again.note()) ?? [])]).to.deep.equal([4]);
        const meta = { last: id(1, 20), chain: 5, timeMs: 9, membership: SPEC.bootstrap };
        await again.persist(write({ install: meta }), new Uint8Array(1));
        expect(await again.note()).to.equal(undefined);
        await again.saveNote(Uint8Array.of(7));
        await broker.close();
        await harness.damage(SPEC.groupId);
        broker = await harness.open();
        const { store: emptied } = await opened();
        expect(await emptied.note()).to.equal(undefined);
      });
    });

    describe('installing a snapshot', () => {
      const meta: SnapshotMeta = {
        last: id(4, 100),
        chain: 123456789,
        timeMs: 1_700_000_000_500,
        membership: membershipOf([1, 2, 3], [9]),
      };
      const state = new Uint8Array(Buffer.from('installed'));

      it('replaces log and state, and the log goes on behind it', async () => {
        const { store } = await opened();
        await store.persist(append(id(0, 0), entries(1, 1, 20)));
        await store.saveCheckpoint({ index: logIndex(10), state: new Uint8Array([1]) });
        const writes = [
          store.persist(write({ install: meta, hardState: hardState(4, 2) }), state),
          store.persist(append(id(4, 100), entries(4, 101, 103))),
        ];
        expect(await readAll(store, 101, 104)).to.deep.equal(texts(entries(4, 101, 103)));
        await Promise.all(writes);
        const installed = await store.snapshot();
        expect(installed?.meta).to.deep.equal(meta);
        expect(Buffer.from(installed?.state ?? []).toString()).to.equal('installed');
        const { store: again, loaded } = await reopened();
        expect(loaded.verdict.kind).to.equal('sound');
        expect(loaded.raft.snapshot).to.deep.equal(meta);
        expect(loaded.raft.hardState).to.deep.equal(hardState(4, 2));
        expect(loaded.raft.last).to.deep.equal(id(4, 103));
        expect(loaded.checkpoint).to.equal(undefined);
        expect(Buffer.from(loaded.snapshot?.state ?? []).toString()).to.equal('installed');
        expect(await readAll(again, 101, 104)).to.deep.equal(texts(entries(4, 101, 103)));
      });

      it('keeps a term that rose right after it', async () => {
        const { store } = await opened();
        await Promise.all([
          store.persist(write({ install: meta, hardState: hardState(4) }), state),
          store.persist(write({ hardState: hardState(6, 3) })),
        ]);
        const { loaded } = await reopened();
        expect(loaded.raft.hardState).to.deep.equal(hardState(6, 3));
        expect(loaded.raft.last).to.deep.equal(meta.last);
        expect(loaded.raft.lastTimeMs).to.equal(meta.timeMs);
      });

      it('keeps the incarnation: it is the same member', async () => {
        const { store, loaded } = await opened();
        await store.persist(write({ install: meta }), state);
        const again = await reopened();
        expect(again.loaded.raft.incarnation).to.equal(loaded.raft.incarnation);
      });
    });

    describe('checkpoints', () => {
      it('are there again, the newest', async () => {
        const { store } = await opened();
        const written = store.persist(append(id(0, 0), entries(1, 1, 9)));
        await store.saveCheckpoint({ index: logIndex(5), state: new Uint8Array([5]) });
        await store.saveCheckpoint({ index: logIndex(9), state: new Uint8Array([9, 9]) });
        await written;
        const { loaded } = await reopened();
        expect(loaded.checkpoint?.index).to.equal(9);
        expect([...(loaded.checkpoint?.state ?? [])]).to.deep.equal([9, 9]);
      });
    });

    describe('a clean close', () => {
      it('is told at the next opening', async () => {
        const { store } = await opened();
        await store.persist(append(id(0, 0), entries(1, 1, 3)));
        const { loaded } = await reopened();
        // A store may not know; it must not deny it.
        expect(loaded.wasCleanlyClosed ?? true).to.equal(true);
      });

      it('says nothing about a log that was damaged since', async () => {
        const { store } = await opened();
        await store.persist(append(id(0, 0), entries(1, 1, 3)));
        await broker.close();
        await harness.damage(SPEC.groupId);
        broker = await harness.open();
        const { loaded } = await opened();
        expect(loaded.verdict.kind).to.equal('damaged');
        expect(loaded.wasCleanlyClosed ?? false).to.equal(false);
      });
    });

    describe('damage', () => {
      it('empties the log, keeps term and vote, and asks for repair under a new incarnation', async () => {
        const { store, loaded: before } = await opened();
        await store.persist(append(id(0, 0), entries(3, 1, 30), hardState(5, 2)));
        await broker.close();
        await harness.damage(SPEC.groupId);
        broker = await harness.open();
        const { store: again, loaded } = await opened();
        expect(loaded.verdict.kind).to.equal('damaged');
        expect(loaded.raft.hardState).to.deep.equal(hardState(5, 2, true));
        expect(loaded.raft.watermark).to.deep.equal(id(3, 30));
        expect(loaded.raft.last).to.deep.equal(id(0, 0));
        expect(loaded.raft.snapshot.membership).to.deep.equal(SPEC.bootstrap);
        expect(loaded.raft.incarnation).to.not.equal(before.raft.incarnation);
        expect(broker.replicas()[0]?.hardState.needsRepair).to.equal(true);

        // Half repaired, and closed: still to be repaired, and still known to have held 30.
        await again.persist(append(id(0, 0), entries(3, 1, 10)));
        const half = await reopened();
        expect(half.loaded.verdict.kind).to.equal('sound');
        expect(half.loaded.raft.hardState).to.deep.equal(hardState(5, 2, true));
        expect(half.loaded.raft.watermark).to.deep.equal(id(3, 30));
        expect(half.loaded.raft.incarnation).to.equal(loaded.raft.incarnation);

        // Repaired.
        await half.store.persist(append(id(3, 10), entries(3, 11, 40), hardState(6, undefined)));
        const whole = await reopened();
        expect(whole.loaded.raft.hardState).to.deep.equal(hardState(6));
        expect(whole.loaded.raft.watermark).to.deep.equal(id(0, 0));
        expect(await readAll(whole.store, 1, 41)).to.deep.equal(texts(entries(3, 1, 40)));
      });

      it('twice keeps the higher watermark', async () => {
        const { store } = await opened();
        await store.persist(append(id(0, 0), entries(3, 1, 30), hardState(5, 2)));
        await broker.close();
        await harness.damage(SPEC.groupId);
        broker = await harness.open();
        const { store: again } = await opened();
        await again.persist(append(id(0, 0), entries(3, 1, 10)));
        await broker.close();
        await harness.damage(SPEC.groupId);
        broker = await harness.open();
        const { loaded } = await opened();
        expect(loaded.verdict.kind).to.equal('damaged');
        expect(loaded.raft.watermark).to.deep.equal(id(3, 30));
        expect(loaded.raft.last).to.deep.equal(id(0, 0));
      });

      it('is repaired by a snapshot as well', async () => {
        const { store } = await opened();
        await store.persist(append(id(0, 0), entries(3, 1, 30), hardState(5, 2)));
        await broker.close();
        await harness.damage(SPEC.groupId);
        broker = await harness.open();
        const { store: again } = await opened();
        const meta: SnapshotMeta = {
          last: id(5, 100),
          chain: 5,
          timeMs: 7,
          membership: membershipOf([1, 2]),
        };
        await again.persist(
          write({ install: meta, hardState: hardState(5, 2) }),
          new Uint8Array(3),
        );
        const { loaded } = await reopened();
        expect(loaded.verdict.kind).to.equal('sound');
        expect(loaded.raft.hardState).to.deep.equal(hardState(5, 2));
        expect(loaded.raft.watermark).to.deep.equal(id(0, 0));
        expect(loaded.raft.last).to.deep.equal(meta.last);
      });
    });

    describe('durability', () => {
      it('changes between writes, and nothing that was given is lost by a close', async () => {
        const { store } = await opened();
        const lazy = { kind: 'unsafe-quorum-memory', flushMs: 1_000, flushBytes: 1 << 20 } as const;
        const given = [
          store.persist(append(id(0, 0), entries(1, 1, 3), hardState(1))),
          store.setDurability(lazy),
          store.persist(append(id(1, 3), entries(1, 4, 6))),
          store.persist(append(id(1, 4), entries(2, 5, 7), hardState(2))),
          store.setDurability({ kind: 'fsync' }),
          store.persist(append(id(2, 7), entries(2, 8, 8))),
          store.setDurability(lazy),
          store.persist(append(id(2, 8), entries(2, 9, 9))),
        ];
        await Promise.all(given);
        expect(await readAll(store, 1, 10)).to.have.length(9);
        const again = await reopened();
        expect(again.loaded.verdict).to.eql({ kind: 'sound' });
        expect(again.loaded.raft.last).to.eql(id(2, 9));
        expect(again.loaded.raft.hardState).to.eql(hardState(2));
      });

      it('keeps the writes of replicas apart, also of one that waits before it writes', async () => {
        const lazy = { kind: 'unsafe-quorum-memory', flushMs: 1_000, flushBytes: 1 << 20 } as const;
        const other = { ...SPEC, groupId: raftGroupId(8) };
        const { store } = await opened();
        await broker.createReplica(other);
        const { store: beside } = await broker.openReplica(other.groupId);
        await store.setDurability(lazy);
        // The first lazy write is noted before it is made; meanwhile others write.
        const given = [store.persist(append(id(0, 0), entries(1, 1, 3), hardState(1)))];
        for (let n = 1; n <= 30; n += 1) {
          given.push(beside.persist(append(id(n === 1 ? 0 : 2, n - 1), entries(2, n, n))));
          await Promise.resolve();
        }
        await Promise.all(given);
        const wanted = entries(1, 1, 3).map(
          (e) => `1/${e.index} ${Buffer.from(e.payload).toString()}`,
        );
        expect(await readAll(store, 1, 4)).to.deep.equal(wanted);
        expect(await readAll(beside, 1, 31)).to.have.length(30);
      });

      it('lets a log be given up: it is set aside at the next opening', async () => {
        const { store, loaded } = await opened();
        await store.persist(append(id(0, 0), entries(1, 1, 3), hardState(1)));
        await store.giveUp();
        const again = await reopened();
        expect(again.loaded.verdict.kind).to.equal('damaged');
        expect(again.loaded.raft.watermark).to.eql(id(1, 3));
        expect(again.loaded.raft.incarnation).to.not.equal(loaded.raft.incarnation);
        expect(again.loaded.raft.lostTail ?? false).to.equal(false);
      });
    });

    describe('the rest', () => {
      it('verifies everything and says how much', async () => {
        const { store } = await opened();
        await store.persist(append(id(0, 0), entries(1, 1, 200)));
        await store.truncatePrefix(id(1, 50), new Uint8Array(1), SPEC.bootstrap);
        expect(await store.verifyAll({ bytesPerSecondMax: 1 << 30 })).to.equal(150);
        const signal = AbortSignal.abort(new Error('enough'));
        const error = await rejection(store.verifyAll({ bytesPerSecondMax: 1 << 30, signal }));
        expect(error.message).to.equal('enough');
      });

      it('says how big it is', async () => {
        const { store } = await opened();
        await store.persist(append(id(0, 0), [entry(1, 1, 'x'.repeat(100_000))]));
        expect(await store.sizeBytes()).to.be.within(100_000, 1_000_000);
      });

      it('rejects everything once closed', async () => {
        const { store } = await opened();
        await store.persist(append(id(0, 0), entries(1, 1, 1)));
        await store.close();
        const range = { first: logIndex(1), next: logIndex(2) };
        for (const work of [
          store.persist(append(id(1, 1), entries(1, 2, 2))),
          store.read(range, { bytesMax: 1 }),
          store.snapshot(),
          store.saveCheckpoint({ index: logIndex(1), state: new Uint8Array(0) }),
          store.verifyAll({ bytesPerSecondMax: 1 }),
          store.truncatePrefix(id(1, 1), new Uint8Array(0), SPEC.bootstrap),
        ]) {
          expect((await rejection(work)).name).to.equal('StoreFencedError');
        }
      });
    });
  });
}
