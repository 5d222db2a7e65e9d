import { expect } from 'chai';
import { execFileSync } from 'node:child_process';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { logIndex } from '../../src/model/ids.js';
import { LevelBrokerStore } from '../../src/storage/level-broker-store.js';
import { LevelDb } from '../../src/storage/level-db.js';
import { append, entry, id, IDENTITY, rejection, SPEC } from '../conformance/broker-store.suite.js';
import {
  databaseOf,
  filler,
  logOf,
  removeAll,
  SMALL_MEMORY,
  temporaryDirectory,
  withReplica,
  writeLog,
} from './damage-kit.js';

/** More of LevelDB's writes than the test wants to see acknowledged. */
const WRITES_UNTIL_FULL = 80;
const VOLUME_BYTES = 12 * 1024 * 1024;
const BALLAST_BYTES = 4 * 1024 * 1024;

/** Mounts a small volume; false where that is not permitted. */
function maybeMount(directory: string): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${VOLUME_BYTES}`, 'tmpfs', directory], {
      stdio: 'ignore',
    });
    return true;
  } catch {
    return false;
  }
}

/** From the given write of any database on, none succeeds. Returns what ends that. */
function fullAfter(writes: number): () => void {
  const real = Object.getOwnPropertyDescriptor(LevelDb.prototype, 'write');
  if (real === undefined) throw new Error('LevelDb has write()');
  const write = real.value as LevelDb['write'];
  let left = writes;
  LevelDb.prototype.write = function (this: LevelDb, ...args: Parameters<LevelDb['write']>) {
    left -= 1;
    if (left >= 0) return write.apply(this, args);
    const cause = new Error('IO error: 000005.log: No space left on device');
    return Promise.reject(new Error('Database failed to write', { cause }));
  };
  return () => Object.defineProperty(LevelDb.prototype, 'write', real);
}

/** Writes until the disk is full; the index acknowledged last, and the error. */
async function fill(directory: string): Promise<{ acknowledged: number; error: Error }> {
  const broker = await LevelBrokerStore.open(directory, SMALL_MEMORY);
  try {
    await broker.saveIdentity(IDENTITY);
    await broker.createReplica(SPEC);
    const { store } = await broker.openReplica(SPEC.groupId);
    let acknowledged = 0;
    for (;;) {
      const next = acknowledged + 1;
      const write = append(id(acknowledged === 0 ? 0 : 1, acknowledged), [
        entry(1, next, filler(next, 30_000)),
      ]);
      try {
        await store.persist(write);
        acknowledged = next;
      } catch (error) {
        const range = { first: logIndex(1), next: logIndex(2) };
        expect((await rejection(store.read(range, { bytesMax: 1 }))).name).to.equal(
          'StoreFencedError',
        );
        // Room again changes nothing: the handle is done for.
        await rm(path.join(directory, 'ballast'));
        expect((await rejection(store.persist(write))).name).to.equal('StoreFencedError');
        return { acknowledged, error: error as Error };
      }
    }
  } finally {
    await broker.close();
  }
}

describe('a full disk', function () {
  this.timeout(60_000);

  it('has what was set aside given up, when there is little room', async () => {
    const directory = await temporaryDirectory();
    const replica = path.join(directory, 'replicas', String(SPEC.groupId));
    try {
      await writeLog(directory, logOf(3, 100));
      await rm(path.join(databaseOf(directory), 'CURRENT'));
      await withReplica(directory, async (_, loaded) => {
        expect(loaded.verdict.kind).to.equal('damaged');
      });
      const verdictWith = async (freeBytesMin: number): Promise<string> => {
        const broker = await LevelBrokerStore.open(directory, { ...SMALL_MEMORY, freeBytesMin });
        try {
          return (await broker.openReplica(SPEC.groupId)).loaded.verdict.kind;
        } finally {
          await broker.close();
        }
      };
      expect(await verdictWith(0)).to.equal('empty');
      expect(await readdir(replica)).to.have.members(['2', 'damaged-1']);
      expect(await verdictWith(Number.MAX_SAFE_INTEGER)).to.equal('empty');
      expect(await readdir(replica)).to.have.members(['2']);
    } finally {
      await removeAll([directory]);
    }
  });

  it('acknowledges nothing after its error, and loses nothing from before', async () => {
    const directory = await temporaryDirectory();
    const isMounted = maybeMount(directory);
    // Without the right to mount a volume, LevelDB is made to say that it is full.
    const restore = isMounted ? undefined : fullAfter(WRITES_UNTIL_FULL);
    try {
      await mkdir(directory, { recursive: true });
      await writeFile(path.join(directory, 'ballast'), new Uint8Array(BALLAST_BYTES));
      const { acknowledged, error } = await fill(directory).finally(restore);
      expect(acknowledged).to.be.greaterThan(50);
      expect(`${String(error)} ${String(error.cause)}`).to.match(/no space left/i);
      await withReplica(directory, async (store, loaded) => {
        expect(loaded.verdict.kind).to.equal('sound');
        expect(loaded.raft.last.index).to.be.at.least(acknowledged);
        for (let at = 1; at <= acknowledged;) {
          const range = { first: logIndex(at), next: logIndex(acknowledged + 1) };
          const some = await store.read(range, { bytesMax: 1 << 20 });
          for (const { index, payload } of some) {
            expect(Buffer.from(payload).equals(Buffer.from(filler(index, 30_000)))).to.equal(true);
          }
          at += some.length;
        }
      });
    } finally {
      if (isMounted) execFileSync('umount', [directory]);
      await removeAll([directory]);
    }
  });
});
