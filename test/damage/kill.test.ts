import { expect } from 'chai';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { LevelBrokerStore } from '../../src/storage/level-broker-store.js';
import { readAll, rejection, texts, entry } from '../conformance/broker-store.suite.js';
import { filler, removeAll, temporaryDirectory, withReplica } from './damage-kit.js';

const WRITER = fileURLToPath(new URL('./killed-writer.ts', import.meta.url));

/** Runs the writer until it has acknowledged `count` more entries, kills it, tells the last one. */
async function killWriterAfter(
  directory: string,
  count: number,
  whileRunning?: () => Promise<void>,
): Promise<{ opened: string; acknowledged: number }> {
  const child = spawn(process.execPath, ['--import', 'tsx', WRITER, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let opened = '';
  let acknowledged = 0;
  let seen = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    if (opened === '') {
      opened = line;
      await whileRunning?.();
      continue;
    }
    acknowledged = Number(line);
    seen += 1;
    if (seen === count) child.kill('SIGKILL');
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  expect(child.signalCode).to.equal('SIGKILL');
  return { opened, acknowledged };
}

describe('a killed process', function () {
  this.timeout(60_000);

  it('loses nothing it acknowledged, and blocks no restart', async () => {
    const directory = await temporaryDirectory();
    try {
      let last = 0;
      for (let round = 0; round < 4; round += 1) {
        const { opened, acknowledged } = await killWriterAfter(directory, 150, async () => {
          const error = await rejection(LevelBrokerStore.open(directory));
          expect(error.name).to.equal('DataDirectoryInUseError');
        });
        const [, verdict, first] = opened.split(' ');
        expect(verdict).to.equal(round === 0 ? 'empty' : 'sound');
        expect(Number(first)).to.be.at.least(last);
        last = acknowledged;
      }
      await withReplica(directory, async (store, loaded) => {
        expect(loaded.verdict.kind).to.equal('sound');
        const end = loaded.raft.last.index;
        expect(end).to.be.at.least(last);
        const want = Array.from({ length: end }, (_, i) => entry(1, i + 1, filler(i + 1, 9_000)));
        expect(await readAll(store, 1, end + 1)).to.deep.equal(texts(want));
      });
    } finally {
      await removeAll([directory]);
    }
  });
});
