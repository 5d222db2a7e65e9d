import { expect } from 'chai';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { readdir, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { logIndex } from '../../src/model/ids.js';
import { LevelBrokerStore } from '../../src/storage/level-broker-store.js';
import { SPEC } from '../conformance/broker-store.suite.js';
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
import { fill, type Filled } from './fill-disk.js';

const FILLER = fileURLToPath(new URL('./full-writer.ts', import.meta.url));
/** The log of more writes than the test wants to see acknowledged. */
const FILE_BYTES_MAX = 2 * 1024 * 1024;
const VOLUME_BYTES = 12 * 1024 * 1024;
const BALLAST_BYTES = 4 * 1024 * 1024;

/** Mounts a small volume. */
function mount(directory: string): void {
  const args = ['-t', 'tmpfs', '-o', `size=${VOLUME_BYTES}`, 'tmpfs', directory];
  execFileSync('mount', args, { stdio: 'ignore' });
}

/** It takes a right that not everyone has who runs this. */
function mayMount(): boolean {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'millrace-volume-'));
  try {
    mount(directory);
    execFileSync('umount', [directory]);
    return true;
  } catch {
    return false;
  } finally {
    rmdirSync(directory);
  }
}

/** Where no file may grow beyond this, LevelDB's writes end in the middle of its log. */
function fillBelowLimit(directory: string): Filled {
  const limited = `ulimit -S -f ${FILE_BYTES_MAX / 512} && exec "$0" "$@"`;
  const args = ['-c', limited, process.execPath, '--import', 'tsx', FILLER, directory];
  return JSON.parse(execFileSync('sh', args, { encoding: 'utf8' })) as Filled;
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

  const keepsWhatItAcknowledged = async (
    directory: string,
    { acknowledged, error }: Filled,
    reason: RegExp,
  ): Promise<void> => {
    expect(acknowledged).to.be.greaterThan(50);
    expect(error).to.match(reason);
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
  };

  it('acknowledges nothing after its error, and loses nothing from before', async () => {
    const directory = await temporaryDirectory();
    try {
      await keepsWhatItAcknowledged(directory, fillBelowLimit(directory), /file too large/i);
    } finally {
      await removeAll([directory]);
    }
  });

  if (!mayMount()) return;

  it('does so on a volume of its own, and is not revived by room', async () => {
    const volume = await temporaryDirectory();
    mount(volume);
    try {
      const ballast = path.join(volume, 'ballast');
      await writeFile(ballast, new Uint8Array(BALLAST_BYTES));
      const filled = await fill(volume, SMALL_MEMORY, () => rm(ballast));
      await keepsWhatItAcknowledged(volume, filled, /no space left/i);
    } finally {
      execFileSync('umount', [volume]);
      await removeAll([volume]);
    }
  });
});
