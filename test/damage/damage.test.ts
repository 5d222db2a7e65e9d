import { expect } from 'chai';
import { cp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { crc32c } from '../../src/base/crc32c.js';
import { Prng } from '../../src/base/prng.js';
import { LevelBrokerStore } from '../../src/storage/level-broker-store.js';
import { seal } from '../../src/storage/sealed.js';
import { StateFile } from '../../src/storage/state-file.js';
import {
  append,
  entry,
  hardState,
  id,
  rejection,
  SPEC,
} from '../conformance/broker-store.suite.js';
import {
  copyOf,
  databaseOf,
  filesLike,
  flipBit,
  logOf,
  outcomeOf,
  removeAll,
  SMALL_MEMORY,
  temporaryDirectory,
  withReplica,
  writeLog,
  type Outcome,
} from './damage-kit.js';

/** More than the tail that every opening verifies: damage deep inside is met by reads only. */
const COUNT = 335;

/** One log on a real disk, spread over tables and a write-ahead log; each test damages a copy. */
describe('damage on disk', function () {
  this.timeout(60_000);
  const log = logOf(COUNT, 8_000);
  const directories: string[] = [];
  let original: string;
  let intoLog: string;
  let intoTables: string[];
  let manifest: string;

  before(async () => {
    original = await temporaryDirectory();
    directories.push(original);
    await writeLog(original, log);
    const database = databaseOf(original);
    intoTables = await filesLike(database, /\.ldb$/);
    const logs = await filesLike(database, /\.log$/);
    const manifests = await filesLike(database, /^MANIFEST/);
    expect(intoTables.length).to.be.greaterThan(1);
    expect(logs).to.have.length(1);
    intoLog = logs[0]!;
    manifest = manifests[0]!;
    expect((await stat(intoLog)).size).to.be.greaterThan(40_000);
  });
  after(() => removeAll(directories));

  /** The outcome after `harm` was done to the file that corresponds to `file` in a copy. */
  async function outcomeAfter(
    file: string,
    harm: (copy: string) => Promise<void>,
  ): Promise<Outcome> {
    const copy = await copyOf(original);
    try {
      await harm(path.join(copy, path.relative(original, file)));
      return await outcomeOf(copy, log);
    } finally {
      await removeAll([copy]);
    }
  }

  async function flips(
    file: string,
    count: number,
    seed: number,
  ): Promise<Record<Outcome, number>> {
    const prng = new Prng(seed);
    const { size } = await stat(file);
    const counts = { harmless: 0, damaged: 0, readRejected: 0 };
    for (let i = 0; i < count; i += 1) {
      const byte = prng.u32() % size;
      const bit = prng.u32() % 8;
      counts[await outcomeAfter(file, (copy) => flipBit(copy, byte, bit))] += 1;
    }
    return counts;
  }

  it('none: everything is there', async () => {
    expect(await outcomeAfter(intoLog, async () => undefined)).to.equal('harmless');
  });

  it('one flipped bit in the write-ahead log is found out at opening', async () => {
    const counts = await flips(intoLog, 24, 1);
    expect(counts.damaged).to.equal(24);
  });

  it('one flipped bit in a table is found out, at the latest by the read that meets it', async () => {
    const counts = { harmless: 0, damaged: 0, readRejected: 0 };
    for (const [i, table] of intoTables.slice(0, 3).entries()) {
      const some = await flips(table, 8, 100 + i);
      for (const key of ['harmless', 'damaged', 'readRejected'] as const) counts[key] += some[key];
    }
    // Bits of a block's own checksum or of a footer's padding are not looked at by anyone.
    expect(counts.damaged + counts.readRejected).to.be.greaterThan(counts.harmless);
    expect(counts.readRejected).to.be.greaterThan(0);
  });

  it('one flipped bit in the MANIFEST or CURRENT is found out', async () => {
    const { damaged } = await flips(manifest, 24, 2);
    expect(damaged).to.be.greaterThan(20);
    const current = path.join(path.dirname(manifest), 'CURRENT');
    const { size } = await stat(current);
    for (let byte = 0; byte < size; byte += 4) {
      expect(await outcomeAfter(current, (copy) => flipBit(copy, byte, byte % 8))).to.equal(
        'damaged',
      );
    }
  });

  it('a cut tail of the write-ahead log is found out, wherever it is cut', async () => {
    const { size } = await stat(intoLog);
    for (const cut of [1, 7, 100, 4_000, 4_100, 40_000, size - 1, size]) {
      const outcome = await outcomeAfter(intoLog, (copy) => truncate(copy, size - cut));
      expect(outcome, `cut ${cut}`).to.equal('damaged');
    }
  });

  it('a deleted file is found out', async () => {
    const database = path.dirname(intoLog);
    const files = [
      intoLog,
      manifest,
      path.join(database, 'CURRENT'),
      ...intoTables,
      database,
      path.dirname(database),
      path.dirname(path.dirname(database)),
    ];
    for (const file of files) {
      const outcome = await outcomeAfter(file, (copy) => rm(copy, { recursive: true }));
      expect(outcome, path.relative(original, file)).to.equal('damaged');
    }
  });

  it('an older copy of the log is found out', async () => {
    const old = await copyOf(original);
    const copy = await copyOf(original);
    directories.push(old, copy);
    const prev = log.at(-1)!;
    const more = entry(2, prev.index + 1, 'one more');
    await withReplica(copy, (store) => store.persist(append(id(prev.term, prev.index), [more])));
    await rm(databaseOf(copy), { recursive: true });
    await cp(databaseOf(old), databaseOf(copy), { recursive: true });
    expect(await outcomeOf(copy, [...log, more])).to.equal('damaged');
  });

  it("another replica's log is found out", async () => {
    const copy = await copyOf(original);
    const other = await temporaryDirectory();
    directories.push(copy, other);
    await writeLog(other, log);
    await rm(databaseOf(copy), { recursive: true });
    await cp(databaseOf(other), databaseOf(copy), { recursive: true });
    expect(await outcomeOf(copy, log)).to.equal('damaged');
  });

  it('met by a read leads to a look at everything, and to repair', async () => {
    const copy = await copyOf(original);
    directories.push(copy);
    // Deep inside the first table, far below the tail that every opening verifies.
    const table = (await filesLike(databaseOf(copy), /\.ldb$/))[0]!;
    const needle = Buffer.from(log[5]!.payload).subarray(0, 40);
    const at = (await readFile(table)).indexOf(needle);
    expect(at).to.be.greaterThan(0);
    await flipBit(table, at + 20, 3);
    expect(await outcomeOf(copy, log)).to.equal('readRejected');
    expect(await outcomeOf(copy, log)).to.equal('damaged');
  });

  it('is set aside, the newest two, and the replica starts over', async () => {
    const copy = await copyOf(original);
    directories.push(copy);
    for (let generation = 1; generation <= 4; generation += 1) {
      await rm(path.join(databaseOf(copy, generation), 'CURRENT'));
      await withReplica(copy, async (store, loaded) => {
        expect(loaded.verdict.kind).to.equal('damaged');
        expect(loaded.raft.watermark).to.deep.equal(id(2, COUNT));
        await store.persist(append(id(0, 0), [entry(2, 1)]));
      });
    }
    const names = await readdir(path.join(copy, 'replicas', String(SPEC.groupId)));
    expect(names.sort()).to.deep.equal(['5', 'damaged-3', 'damaged-4']);
  });

  it('in the snapshot or its absence is found out', async () => {
    const copy = await copyOf(original);
    directories.push(copy);
    await withReplica(copy, (store) =>
      store.truncatePrefix(id(1, 100), new Uint8Array(1_000), SPEC.bootstrap),
    );
    const again = await copyOf(copy);
    directories.push(again);
    const snapshot = path.join(path.dirname(databaseOf(copy)), 'snapshot-100');
    await flipBit(snapshot, 500, 0);
    expect(await outcomeOf(copy, log)).to.equal('damaged');
    await rm(path.join(path.dirname(databaseOf(again)), 'snapshot-100'));
    expect(await outcomeOf(again, log)).to.equal('damaged');
  });

  it('in a checkpoint only makes it useless', async () => {
    const copy = await copyOf(original);
    directories.push(copy);
    await withReplica(copy, (store) =>
      store.saveCheckpoint({ index: log[50]!.index, state: new Uint8Array(100) }),
    );
    await withReplica(copy, async (_, loaded) => {
      expect(loaded.checkpoint?.index).to.equal(51);
    });
    await flipBit(path.join(path.dirname(databaseOf(copy)), 'checkpoint'), 60, 1);
    await withReplica(copy, async (_, loaded) => {
      expect(loaded.verdict.kind).to.equal('sound');
      expect(loaded.checkpoint).to.equal(undefined);
    });
  });

  it('that ends the process while opening, twice in a row, is damage', async () => {
    const copy = await copyOf(original);
    directories.push(copy);
    const file = path.join(copy, 'state');
    const setAttempts = async (openingAttempts: number): Promise<void> => {
      const state = await StateFile.open(file, {
        crc32c,
        mayCreate: false,
        onFailure: () => undefined,
      });
      await state.update(state.records()[0]!, { openingAttempts });
      await state.close();
    };
    await setAttempts(1);
    expect(await outcomeOf(copy, log)).to.equal('harmless');
    await setAttempts(2);
    expect(await outcomeOf(copy, log)).to.equal('damaged');
  });

  it('is looked for everywhere when a broker died twice before all was verified', async () => {
    const copy = await copyOf(original);
    directories.push(copy);
    const table = (await filesLike(databaseOf(copy), /\.ldb$/))[0]!;
    const at = (await readFile(table)).indexOf(Buffer.from(log[5]!.payload).subarray(0, 40));
    await flipBit(table, at + 20, 3);
    const dieAfter = async (diedUnverified: boolean): Promise<void> => {
      const state = await StateFile.open(path.join(copy, 'state'), {
        crc32c,
        mayCreate: false,
        onFailure: () => undefined,
      });
      await state.update(state.records()[0]!, { diedUnverified, isCleanlyClosed: false });
      await state.close();
    };
    const verdict = (): Promise<string> =>
      withReplica(copy, (_, { verdict: found }) => Promise.resolve(found.kind));
    await dieAfter(false);
    expect(await verdict()).to.equal('sound');
    await dieAfter(true);
    expect(await verdict()).to.equal('damaged');
  });

  it('in what only keeps other brokers out is mended at once', async () => {
    for (const name of ['CURRENT', 'MANIFEST-000002']) {
      const copy = await copyOf(original);
      directories.push(copy);
      await flipBit(path.join(copy, 'lock', name), 2, 4);
      expect(await outcomeOf(copy, log)).to.equal('harmless');
    }
    const copy = await copyOf(original);
    directories.push(copy);
    await rm(path.join(copy, 'lock', 'MANIFEST-000002'));
    await withReplica(copy, async () => {
      const error = await rejection(LevelBrokerStore.open(copy));
      expect(error.name).to.equal('DataDirectoryInUseError');
    });
  });

  describe('in the state file', () => {
    it('in one copy is without effect', async () => {
      const { size } = await stat(path.join(original, 'state'));
      expect(size).to.be.greaterThan(4096);
      for (const at of [100, 600, 4096 + 80, 4096 + 512 + 80, 4096 + 1024 + 40, 4096 + 1536 + 40]) {
        const outcome = await outcomeAfter(path.join(original, 'state'), (copy) =>
          flipBit(copy, at, 2),
        );
        expect(outcome, `byte ${at}`).to.equal('harmless');
      }
    });

    it('in both copies, or its loss, keeps the broker from starting', async () => {
      for (const [a, b] of [
        [100, 600],
        [4096 + 80, 4096 + 512 + 80],
        [4096 + 1024 + 40, 4096 + 1536 + 40],
      ] as const) {
        const copy = await copyOf(original);
        directories.push(copy);
        await flipBit(path.join(copy, 'state'), a, 1);
        await flipBit(path.join(copy, 'state'), b, 1);
        const error = await rejection(LevelBrokerStore.open(copy, SMALL_MEMORY));
        expect(error.name).to.equal('StateFileError');
      }
      const copy = await copyOf(original);
      directories.push(copy);
      await rm(path.join(copy, 'state'));
      const error = await rejection(LevelBrokerStore.open(copy, SMALL_MEMORY));
      expect(error.message).to.match(/state is missing/);
    });

    it('a directory of an earlier format is refused by its format, and left as it is', async () => {
      const copy = await copyOf(original);
      directories.push(copy);
      const file = path.join(copy, 'identity');
      const body = Uint8Array.from([1, ...(await readFile(file)).subarray(5, -4)]);
      await writeFile(file, seal(0x4d526269, body, crc32c));
      const error = await rejection(LevelBrokerStore.open(copy, SMALL_MEMORY));
      expect(error.message).to.match(/was written in format 1, and this program reads format 2/);
      expect(await readdir(databaseOf(copy))).to.deep.equal(await readdir(databaseOf(original)));
    });

    it('or the identity: no guess is made whose data it is', async () => {
      const copy = await copyOf(original);
      const bare = await copyOf(original);
      directories.push(copy, bare);
      await flipBit(path.join(copy, 'identity'), 9, 0);
      const error = await rejection(LevelBrokerStore.open(copy, SMALL_MEMORY));
      expect(error.name).to.equal('IdentityDamagedError');
      await rm(path.join(bare, 'identity'));
      const gone = await rejection(LevelBrokerStore.open(bare, SMALL_MEMORY));
      expect(gone.message).to.match(/no identity/);
    });
  });

  it('keeps the vote that came with the damaged log', async () => {
    const copy = await copyOf(original);
    directories.push(copy);
    await rm(databaseOf(copy), { recursive: true });
    await withReplica(copy, async (store, loaded) => {
      expect(loaded.raft.hardState).to.deep.equal(hardState(2, 3, true));
      await store.persist(append(id(0, 0), log, hardState(2, 3)));
    });
    expect(await outcomeOf(copy, log)).to.equal('harmless');
  });
});
