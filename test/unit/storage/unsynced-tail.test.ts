import { expect } from 'chai';
import { cp, mkdtemp, open, readdir, rm, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Durability } from '../../../src/model/durability.js';
import type { LoadedReplica, LogStore } from '../../../src/ports/log-store.js';
import { LevelBrokerStore } from '../../../src/storage/level-broker-store.js';
import {
  append,
  entries,
  hardState,
  id,
  IDENTITY,
  readAll,
  SPEC,
  write,
} from '../../conformance/broker-store.suite.js';

const BEFORE = '11111111-1111-4111-8111-111111111111';
const AFTER = '22222222-2222-4222-8222-222222222222';
const LATER = '33333333-3333-4333-8333-333333333333';
/** So long that no sync comes by itself. */
const LAZY: Durability = { kind: 'unsafe-quorum-memory', flushMs: 60_000, flushBytes: 1 << 26 };

/** Entries 1 to 5 are synced, 6 to 10 are not; what a crash leaves is a copy of the directory. */
describe('a log with an unsynced end', () => {
  let root: string;
  let live: string;
  let broker: LevelBrokerStore;
  let store: LogStore;
  let incarnation: number;
  /** Bytes of the write-ahead log once this entry was written. */
  let sizes: Map<number, number>;

  beforeEach(async () => {
    root = await mkdtemp(path.join(os.tmpdir(), 'millrace-unsynced-'));
    live = path.join(root, 'live');
    broker = await LevelBrokerStore.open(live, { bootId: BEFORE });
    await broker.saveIdentity(IDENTITY);
    await broker.createReplica(SPEC);
    const opened = await broker.openReplica(SPEC.groupId);
    store = opened.store;
    incarnation = opened.loaded.raft.incarnation;
    sizes = new Map();
    await store.persist(append(id(0, 0), entries(1, 1, 5), hardState(1)));
    await store.setDurability(LAZY);
    for (let index = 6; index <= 10; index += 1) {
      await store.persist(append(id(1, index - 1), entries(1, index, index)));
      sizes.set(index, (await stat(await walOf(live))).size);
    }
  });

  afterEach(async () => {
    await broker.close();
    await rm(root, { recursive: true, force: true });
  });

  async function walOf(directory: string): Promise<string> {
    const database = path.join(directory, 'replicas', String(SPEC.groupId), '1', 'db');
    const logs = (await readdir(database)).filter((name) => name.endsWith('.log')).sort();
    return path.join(database, logs.at(-1) ?? 'none');
  }

  async function crash(name: string): Promise<string> {
    const copy = path.join(root, name);
    await cp(live, copy, { recursive: true });
    return copy;
  }

  /** The write-ahead log ends here. */
  async function cut(directory: string, bytes: number): Promise<void> {
    const file = await open(await walOf(directory), 'r+');
    await file.truncate(bytes);
    await file.close();
  }

  async function reopen(
    directory: string,
    bootId: string,
    run: (opened: { store: LogStore; loaded: LoadedReplica }) => Promise<void>,
  ): Promise<void> {
    const again = await LevelBrokerStore.open(directory, { bootId });
    try {
      await run(await again.openReplica(SPEC.groupId));
    } finally {
      await again.close();
    }
  }

  function mustBeCut(loaded: LoadedReplica, last: number): void {
    expect(loaded.verdict.kind).to.equal('tailLost');
    expect(loaded.wasUnsynced).to.equal(true);
    expect(loaded.raft.last.index).to.equal(last);
    expect(loaded.raft.hardState).to.eql(hardState(1, undefined, true));
    expect(loaded.raft.lostTail).to.equal(true);
    expect(loaded.raft.watermark.index).to.equal(10);
    expect(loaded.raft.incarnation).to.not.equal(incarnation);
  }

  it('is whole after the death of its process', async () => {
    await reopen(await crash('kill'), BEFORE, async ({ store: again, loaded }) => {
      expect(loaded.verdict).to.eql({ kind: 'sound' });
      expect(loaded.raft.incarnation).to.equal(incarnation);
      expect(loaded.raft.hardState.needsRepair).to.equal(false);
      expect(await readAll(again, 1, 11)).to.have.length(10);
    });
  });

  it('keeps what a power cut left, and needs repair', async () => {
    const copy = await crash('cut');
    await cut(copy, sizes.get(7) ?? 0);
    await reopen(copy, AFTER, async ({ store: again, loaded }) => {
      mustBeCut(loaded, 7);
      expect(await readAll(again, 1, 8)).to.have.length(7);
      await again.persist(append(id(1, 7), entries(2, 8, 9), hardState(2, undefined, true)));
      await again.persist(write({ hardState: hardState(2) }));
    });
    await reopen(copy, LATER, async ({ store: again, loaded }) => {
      expect(loaded.verdict).to.eql({ kind: 'sound' });
      expect(loaded.raft.lostTail).to.equal(false);
      expect(loaded.raft.watermark.index).to.equal(0);
      expect(await readAll(again, 1, 10)).to.have.length(9);
    });
  });

  it('is as doubtful where nothing is missing: nobody knows what it acknowledged', async () => {
    await reopen(await crash('nothing'), AFTER, async ({ loaded }) => {
      mustBeCut(loaded, 10);
      return Promise.resolve();
    });
  });

  it('ends before what is torn, though more comes behind', async () => {
    const copy = await crash('torn');
    const file = await open(await walOf(copy), 'r+');
    const at = (sizes.get(7) ?? 0) + 20;
    await file.write(new Uint8Array(30), 0, 30, at);
    await file.close();
    await reopen(copy, AFTER, async ({ store: again, loaded }) => {
      mustBeCut(loaded, 7);
      await again.persist(append(id(1, 7), entries(1, 8, 8)));
      expect(await readAll(again, 1, 9)).to.have.length(8);
    });
  });

  it('is damaged if it is short although its machine ran on', async () => {
    const copy = await crash('rot');
    await cut(copy, sizes.get(7) ?? 0);
    await reopen(copy, BEFORE, async ({ loaded }) => {
      expect(loaded.verdict.kind).to.equal('damaged');
      expect(loaded.raft.lostTail).to.equal(false);
      return Promise.resolve();
    });
  });

  it('stays in doubt if the opening after the cut dies half way', async () => {
    const copy = await crash('half');
    await cut(copy, sizes.get(8) ?? 0);
    const state = path.join(copy, 'state');
    const old = path.join(root, 'state');
    await cp(state, old);
    await reopen(copy, AFTER, () => Promise.resolve());
    await cp(old, state);
    await reopen(copy, LATER, async ({ store: again, loaded }) => {
      mustBeCut(loaded, 8);
      expect(await readAll(again, 1, 9)).to.have.length(8);
    });
  });

  it('is not in doubt once everything was synced, or closed', async () => {
    await store.setDurability({ kind: 'fsync' });
    await store.persist(append(id(1, 10), entries(1, 11, 11)));
    await reopen(await crash('strict'), AFTER, async ({ loaded }) => {
      expect(loaded.verdict).to.eql({ kind: 'sound' });
      expect(loaded.wasUnsynced).to.equal(true);
      return Promise.resolve();
    });
    await store.setDurability(LAZY);
    await store.persist(append(id(1, 11), entries(1, 12, 12)));
    await store.close();
    await reopen(await crash('closed'), AFTER, async ({ loaded }) => {
      expect(loaded.verdict).to.eql({ kind: 'sound' });
      expect(loaded.raft.last.index).to.equal(12);
      return Promise.resolve();
    });
  });

  it('has no checkpoint or snapshot that its log does not reach', async () => {
    const synced = async (): Promise<number> => (await stat(await walOf(live))).size;
    await store.saveCheckpoint({ index: id(1, 9).index, state: Uint8Array.of(9) });
    const copy = await crash('checkpoint');
    await cut(copy, await synced());
    await reopen(copy, AFTER, async ({ loaded }) => {
      expect(loaded.checkpoint?.index).to.equal(9);
      expect(loaded.raft.last.index).to.be.at.least(9);
      return Promise.resolve();
    });
    const shorter = await crash('shorter');
    await cut(shorter, sizes.get(8) ?? 0);
    await reopen(shorter, AFTER, async ({ loaded }) => {
      mustBeCut(loaded, 8);
      expect(loaded.checkpoint).to.equal(undefined);
      return Promise.resolve();
    });
  });

  it('is set aside once it was given up', async () => {
    await store.giveUp();
    await store.close();
    await reopen(await crash('given up'), AFTER, async ({ loaded }) => {
      expect(loaded.verdict).to.have.property('kind', 'damaged');
      expect(loaded.raft.last.index).to.equal(0);
      expect(loaded.raft.lostTail).to.equal(false);
      return Promise.resolve();
    });
  });
});
