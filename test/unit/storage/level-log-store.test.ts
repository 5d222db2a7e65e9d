import { expect } from 'chai';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { crc32c } from '../../../src/base/crc32c.js';
import { logIndex, raftGroupId } from '../../../src/model/ids.js';
import { encodeMembership } from '../../../src/model/membership.js';
import type { LogStore } from '../../../src/ports/log-store.js';
import { inspectBroker, inspectEntries } from '../../../src/storage/inspect.js';
import { LevelBrokerStore } from '../../../src/storage/level-broker-store.js';
import { LevelDb } from '../../../src/storage/level-db.js';
import {
  append,
  entries,
  entry,
  hardState,
  id,
  IDENTITY,
  readAll,
  rejection,
  SPEC,
  texts,
  write,
} from '../../conformance/broker-store.suite.js';
import { systemError, withPatchedFs } from '../../support/patched-fs.js';
import { databaseOf, filesLike, filler, flipBit } from '../../damage/damage-kit.js';

describe('LevelLogStore', function () {
  this.timeout(30_000);
  let directory: string;
  let broker: LevelBrokerStore;
  let store: LogStore;

  beforeEach(async () => {
    directory = await mkdtemp(path.join(os.tmpdir(), 'millrace-level-'));
    broker = await LevelBrokerStore.open(directory, { memoryBudgetBytes: 1 });
    await broker.saveIdentity(IDENTITY);
    await broker.createReplica(SPEC);
    store = (await broker.openReplica(SPEC.groupId)).store;
  });
  afterEach(async () => {
    await broker.close();
    await rm(directory, { recursive: true });
  });

  async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
    const end = Date.now() + 20_000;
    while (!(await holds())) {
      if (Date.now() > end) throw new Error(`never came: ${what}`);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  it('gives the bytes of a truncated prefix back to the disk', async () => {
    const count = 1_000;
    for (let first = 1; first <= count; first += 50) {
      const list = Array.from({ length: 50 }, (_, i) =>
        entry(1, first + i, filler(first + i, 10_000)),
      );
      await store.persist(append(id(first === 1 ? 0 : 1, first - 1), list));
    }
    const before = await store.sizeBytes();
    expect(before).to.be.greaterThan(10_000_000);
    await store.truncatePrefix(id(1, 900), new Uint8Array(10), SPEC.bootstrap);
    await until('bytes given back', async () => (await store.sizeBytes()) < before / 3);
    expect(await readAll(store, 901, 1_001)).to.have.length(100);
    expect(await store.verifyAll({ bytesPerSecondMax: 1e9 })).to.equal(100);
  });

  it('gives back what rewriting has saved, and keeps it saved', async () => {
    for (let first = 1; first <= 1_000; first += 50) {
      const list = Array.from({ length: 50 }, (_, i) =>
        entry(1, first + i, filler(first + i, 10_000)),
      );
      await store.persist(append(id(first === 1 ? 0 : 1, first - 1), list));
    }
    const before = await store.sizeBytes();
    for (let first = 1; first <= 900; first += 100) {
      await store.rewrite(
        Array.from({ length: 100 }, (_, i) => ({
          ...id(1, first + i),
          payload: new Uint8Array(Buffer.from(`${first + i}`)),
        })),
      );
      const next = first * 20 + 1_000;
      await store.persist(append(id(1, 1_000), [entry(1, 1_001, filler(next, 5_000))]));
    }
    expect(await store.sizeBytes()).to.be.lessThan(before / 3);
    const want = Array.from({ length: 1_000 }, (_, i) =>
      i < 900 ? `1/${i + 1} ${i + 1}` : texts([entry(1, i + 1, filler(i + 1, 10_000))])[0],
    );
    expect(await readAll(store, 1, 1_001)).to.deep.equal(want);
    expect(await store.verifyAll({ bytesPerSecondMax: 1e9 })).to.equal(1_001);
    await broker.close();
    broker = await LevelBrokerStore.open(directory, { memoryBudgetBytes: 1 });
    const opened = await broker.openReplica(SPEC.groupId);
    store = opened.store;
    expect(opened.loaded.verdict.kind).to.equal('sound');
    expect(await readAll(store, 1, 1_001)).to.deep.equal(want);
  });

  it('refuses to rewrite what is not there, or another entry, and is fenced by it', async () => {
    await store.persist(append(id(0, 0), entries(1, 1, 5)));
    const above = [{ ...id(1, 6), payload: new Uint8Array(0) }];
    expect((await rejection(store.rewrite(above))).name).to.equal('InvariantError');
    const other = [{ ...id(2, 5), payload: new Uint8Array(0) }];
    expect((await rejection(store.rewrite(other))).name).to.equal('StoreDamagedError');
    expect((await rejection(store.note())).name).to.equal('StoreFencedError');
  });

  it('has LevelDB write what is kept once, and not again', async () => {
    // In LevelDB's own words: what it merged, and how many bytes that wrote.
    const merged = async (): Promise<number> => {
      const text = await readFile(path.join(databaseOf(directory), 'LOG'), 'utf8');
      const done = [...text.matchAll(/Compacted .* => (\d+) bytes/g)];
      return done.reduce((sum, [, bytes]) => sum + Number(bytes), 0);
    };
    const payload = encodeMembership(SPEC.bootstrap);
    let prev = id(0, 0);
    const writeOn = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i += 1) {
        const at = prev.index + 1;
        const one = entry(1 + Math.floor(at / 100), at, filler(at, 50_000));
        const change = { ...one, kind: 'membership', payload } as const;
        await store.persist(append(prev, [at % 150 === 0 ? change : one]));
        prev = id(one.term, at);
      }
    };
    await writeOn(600);
    expect(await merged(), 'over terms and memberships').to.equal(0);

    const before = await store.sizeBytes();
    await store.truncatePrefix(id(3, 250), new Uint8Array(1), SPEC.bootstrap);
    await writeOn(50);
    await until('bytes given back', async () => (await store.sizeBytes()) < before * 0.75);
    // 17.5 MB of the log were kept: nothing of it but the file that the cut goes through.
    expect(await merged(), 'by the truncation').to.be.within(1, 2_000_000);
    await writeOn(100);
    expect(await merged(), 'and nothing ever after').to.be.lessThan(2_000_000);
  });

  it('goes on giving back what a crash left over', async () => {
    await store.persist(append(id(0, 0), entries(1, 1, 5_000)));
    await store.truncatePrefix(id(1, 4_990), new Uint8Array(1), SPEC.bootstrap);
    // Closing stops the cleaning wherever it is.
    await broker.close();
    broker = await LevelBrokerStore.open(directory, { memoryBudgetBytes: 1 });
    store = (await broker.openReplica(SPEC.groupId)).store;
    expect(await readAll(store, 4_991, 5_001)).to.deep.equal(texts(entries(1, 4_991, 5_000)));
    await until('the cleaning done', async () => {
      await broker.close();
      let lowest = Infinity;
      const { replicas } = await inspectBroker(directory);
      expect(replicas[0]?.snapshot.last).to.deep.equal(id(1, 4_990));
      for await (const each of inspectEntries(directory, SPEC.groupId, { limit: 1 })) {
        lowest = each.index;
      }
      broker = await LevelBrokerStore.open(directory, { memoryBudgetBytes: 1 });
      store = (await broker.openReplica(SPEC.groupId)).store;
      return lowest === 4_991;
    });
  });

  it('leaves no directory of an old generation behind', async () => {
    await store.persist(append(id(0, 0), entries(1, 1, 100)));
    const meta = { last: id(2, 500), chain: 99, timeMs: 1, membership: SPEC.bootstrap };
    await store.persist(write({ install: meta }), new Uint8Array(5));
    const replica = path.join(directory, 'replicas', String(SPEC.groupId));
    expect(await readdir(replica)).to.deep.equal(['2']);
    await writeFile(path.join(replica, 'half-made'), 'x');
    await broker.close();
    broker = await LevelBrokerStore.open(directory);
    await broker.openReplica(SPEC.groupId);
    expect(await readdir(replica)).to.deep.equal(['2']);
  });

  it('gives the snapshot that replaced the one asked for, also while an install waits', async () => {
    const { bootstrap } = SPEC;
    await store.persist(append(id(0, 0), entries(1, 1, 20)));
    await store.truncatePrefix(id(1, 5), new Uint8Array([5]), bootstrap);
    const meta = { last: id(2, 500), chain: 99, timeMs: 1, membership: bootstrap };
    let installed: Promise<void> | undefined;
    // While the file is looked for, a truncation replaces it and an install comes.
    const late = (real: typeof readFile) => async (file: string) => {
      if (installed !== undefined || !path.basename(file).startsWith('snapshot')) {
        return real(file);
      }
      installed = Promise.resolve();
      await store.truncatePrefix(id(1, 9), new Uint8Array([9]), bootstrap);
      installed = store.persist(write({ install: meta }), new Uint8Array([1, 2]));
      return real(file);
    };
    await withPatchedFs({ readFile: late }, async () => {
      const found = await store.snapshot();
      expect(found?.meta.last).to.deep.equal(meta.last);
      expect(found?.state).to.deep.equal(new Uint8Array([1, 2]));
      await installed;
    });
  });

  it('says how large it is only where its files can be looked at, and lives on', async () => {
    const broken = () => (): never => {
      throw systemError('EMFILE');
    };
    await withPatchedFs({ readdir: broken }, () => rejection(store.sizeBytes()));
    await store.persist(append(id(0, 0), entries(1, 1, 3)));
    expect(await store.sizeBytes()).to.be.greaterThan(0);
  });

  it('repeats a deletion that failed, and never takes a new replica for the old one', async () => {
    await store.close();
    const busy = () => (): never => {
      throw systemError('EBUSY');
    };
    const { groupId } = SPEC;
    const replica = path.join(directory, 'replicas', String(groupId));
    const failing = withPatchedFs({ rm: busy }, () => rejection(broker.deleteReplica(groupId)));
    expect((await failing).message).to.contain('EBUSY');
    expect(broker.replicas()).to.deep.equal([]);
    expect(await readdir(path.dirname(replica))).to.deep.equal([String(groupId)]);
    await broker.deleteReplica(groupId);
    expect(await readdir(path.dirname(replica))).to.deep.equal([]);

    await broker.createReplica(SPEC);
    ({ store } = await broker.openReplica(groupId));
    await store.persist(append(id(0, 0), entries(1, 1, 3)));
    await store.close();
    await withPatchedFs({ rm: busy }, () => rejection(broker.deleteReplica(groupId)));
    const refused = await withPatchedFs({ rm: busy }, () => rejection(broker.createReplica(SPEC)));
    expect(refused.message).to.contain('EBUSY');
    await broker.createReplica(SPEC);
    const opened = await broker.openReplica(groupId);
    expect(opened.loaded.raft.last.index).to.equal(0);
    await opened.store.persist(append(id(0, 0), entries(1, 1, 2)));
    await broker.close();
    broker = await LevelBrokerStore.open(directory);
    expect((await broker.openReplica(groupId)).loaded.raft.last.index).to.equal(2);
  });

  it('opens with deletions that cannot be finished', async () => {
    await store.close();
    const busy = () => (): never => {
      throw systemError('EBUSY');
    };
    const { groupId } = SPEC;
    await withPatchedFs({ rm: busy }, async () => {
      await rejection(broker.deleteReplica(groupId));
      await broker.close();
      broker = await LevelBrokerStore.open(directory);
    });
    expect(broker.replicas()).to.deep.equal([]);
    await broker.deleteReplica(groupId);
    expect(await readdir(path.join(directory, 'replicas'))).to.deep.equal([]);
  });

  it('is fenced by a damaged read: nothing is written or read after it', async () => {
    const list = Array.from({ length: 200 }, (_, i) => entry(1, i + 1, filler(i + 1, 5_000)));
    for (const each of list)
      await store.persist(append(id(each.index > 1 ? 1 : 0, each.index - 1), [each]));
    const tables = await filesLike(databaseOf(directory), /\.ldb$/);
    // LevelDB keeps tables open, not their bytes: what it reads next is what is on disk now.
    for (const table of tables) await flipBit(table, 2_000, 0);
    const error = await rejection(readAll(store, 1, 201));
    expect(error.name).to.equal('StoreDamagedError');
    const range = { first: logIndex(200), next: logIndex(201) };
    expect((await rejection(store.read(range, { bytesMax: 1 }))).name).to.equal('StoreFencedError');
    const more = store.persist(append(id(1, 200), entries(1, 201, 201)));
    expect((await rejection(more)).name).to.equal('StoreFencedError');
    await store.close();
    const { loaded } = await broker.openReplica(SPEC.groupId);
    expect(loaded.verdict.kind).to.equal('damaged');
    expect(loaded.raft.watermark).to.deep.equal(id(1, 200));
  });

  it('says that entries are durable only after a write that was synced', async () => {
    const real = Object.getOwnPropertyDescriptor(LevelDb.prototype, 'write');
    const syncs: boolean[] = [];
    Object.defineProperty(LevelDb.prototype, 'write', {
      ...real,
      value: async function (
        this: LevelDb,
        ...[operations, options]: Parameters<LevelDb['write']>
      ): Promise<void> {
        await (real?.value as LevelDb['write']).call(this, operations, options);
        syncs.push(options.sync);
      },
    });
    try {
      await store.persist(append(id(0, 0), entries(1, 1, 3)));
      expect(syncs).to.deep.equal([true]);
      await store.persist(append(id(1, 3), entries(1, 4, 4)));
      expect(syncs).to.deep.equal([true, true]);
    } finally {
      Object.defineProperty(LevelDb.prototype, 'write', real ?? {});
    }
  });

  it('copies what it is given before the caller could reuse it', async () => {
    const other = { ...SPEC, groupId: raftGroupId(8) };
    await broker.createReplica(other);
    const { store: second } = await broker.openReplica(other.groupId);
    const a = Array.from({ length: 50 }, (_, i) => entry(1, i + 1, `a${filler(i, 3_000)}`));
    const b = Array.from({ length: 50 }, (_, i) => entry(1, i + 1, `b${filler(i, 3_000)}`));
    const writes: Promise<void>[] = [];
    for (let i = 0; i < 50; i += 1) {
      writes.push(store.persist(append(id(i === 0 ? 0 : 1, i), [a[i]!])));
      writes.push(second.persist(append(id(i === 0 ? 0 : 1, i), [b[i]!])));
    }
    await Promise.all(writes);
    expect(await readAll(store, 1, 51)).to.deep.equal(texts(a));
    expect(await readAll(second, 1, 51)).to.deep.equal(texts(b));
  });

  it('takes single writes larger than a batch', async () => {
    const big = entry(1, 2, 'x'.repeat(9 * 1024 * 1024));
    await Promise.all([
      store.persist(append(id(0, 0), [entry(1, 1)])),
      store.persist(append(id(1, 1), [big])),
      store.persist(append(id(1, 2), [entry(1, 3)])),
    ]);
    expect(await readAll(store, 1, 4)).to.deep.equal(texts([entry(1, 1), big, entry(1, 3)]));
  });

  it('knows a life that a close ended from one that just ended', async () => {
    await store.persist(append(id(0, 0), entries(1, 1, 3)));
    // What a kill would leave behind.
    const killed = await mkdtemp(path.join(os.tmpdir(), 'millrace-level-'));
    await cp(directory, killed, { recursive: true });
    const heir = await LevelBrokerStore.open(killed);
    try {
      const first = await heir.openReplica(SPEC.groupId);
      expect(first.loaded.verdict.kind).to.equal('sound');
      expect(first.loaded.wasCleanlyClosed).to.equal(false);
      await first.store.close();
      const second = await heir.openReplica(SPEC.groupId);
      expect(second.loaded.wasCleanlyClosed).to.equal(true);
    } finally {
      await heir.close();
      await rm(killed, { recursive: true });
    }
  });

  it('is listed and dumped while the broker is stopped, and only then', async () => {
    await store.persist(
      append(id(0, 0), [...entries(1, 1, 3), ...entries(4, 4, 6)], hardState(4, 3)),
    );
    expect((await rejection(inspectBroker(directory))).name).to.equal('DataDirectoryInUseError');
    await broker.close();
    const { identity, replicas } = await inspectBroker(directory, { crc32c });
    expect(identity).to.deep.equal(IDENTITY);
    expect(replicas).to.have.length(1);
    expect(replicas[0]).to.deep.include({
      spec: SPEC,
      hardState: hardState(4, 3),
      isCleanlyClosed: true,
      openingAttempts: 0,
      generation: 1,
    });
    expect(replicas[0]?.watermark?.last).to.deep.equal(id(4, 6));
    const dumped: string[] = [];
    for await (const each of inspectEntries(directory, SPEC.groupId, {
      first: logIndex(3),
      limit: 3,
    })) {
      dumped.push(`${each.entry?.term ?? '?'}/${each.index} ${each.fault ?? 'whole'}`);
    }
    expect(dumped).to.deep.equal(['1/3 whole', '4/4 whole', '4/5 whole']);
    broker = await LevelBrokerStore.open(directory);
    const { loaded } = await broker.openReplica(SPEC.groupId);
    expect(loaded.verdict.kind).to.equal('sound');
  });

  it('is dumped with its faults', async () => {
    const list = Array.from({ length: 200 }, (_, i) => entry(1, i + 1, filler(i + 1, 5_000)));
    for (const each of list)
      await store.persist(append(id(each.index > 1 ? 1 : 0, each.index - 1), [each]));
    await broker.close();
    const [table] = await filesLike(databaseOf(directory), /\.ldb$/);
    await flipBit(table!, 2_000, 0);
    const faults: string[] = [];
    for await (const each of inspectEntries(directory, SPEC.groupId)) {
      if (each.fault !== undefined) faults.push(`${each.index}: ${each.fault}`);
    }
    expect(faults).to.deep.equal(['1: entry 1: payload differs from its checksum']);
    broker = await LevelBrokerStore.open(directory);
  });
});
