import { expect } from 'chai';
import { type ChildProcess, fork } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

import { faultLibrary, FaultShim } from '../../scripts/lib/fault-shim/fault-shim.js';
import type { PowerCut } from '../../scripts/lib/fault-shim/power-cut.js';
import { Prng } from '../../src/base/prng.js';
import { eventually } from '../support/eventually.js';
import { notTriedHere } from './damage-kit.js';
import type { Deed, Outcome } from './shim-child.js';

const CHILD = fileURLToPath(new URL('./shim-child.ts', import.meta.url));

/** A process below the library that does single things. */
class Child {
  private readonly child: ChildProcess;
  private readonly answers = new EventEmitter();
  private readonly ready: Promise<unknown>;
  private deeds = 0;

  constructor(shim: FaultShim) {
    this.child = fork(CHILD, [], {
      execArgv: ['--import', 'tsx'],
      env: { ...process.env, ...shim.environment },
    });
    this.ready = once(this.answers, '0');
    this.child.on('message', ({ id, outcome }: { id: number; outcome?: Outcome }) => {
      this.answers.emit(String(id), outcome);
    });
  }

  async does(deed: Deed): Promise<Outcome> {
    this.deeds += 1;
    const id = this.deeds;
    await this.ready;
    const answer = once(this.answers, String(id));
    this.child.send({ id, deed });
    return ((await answer) as [Outcome])[0];
  }

  async kill(): Promise<void> {
    if (this.child.signalCode !== null) return;
    const gone = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await gone;
  }
}

const library = faultLibrary();

describe('the library of disk faults', function () {
  this.timeout(60_000);
  let directory: string;
  let data: string;
  let shim: FaultShim;
  let child: Child;

  if ('missing' in library) {
    notTriedHere(library.missing);
    return;
  }

  const at = (...names: string[]): string => path.join(data, ...names);
  const text = (name: string): string => readFileSync(at(name), 'latin1');
  const write = (file: string, words: string, offset?: number): Promise<Outcome> =>
    child.does({
      do: 'write',
      file: at(file),
      text: words,
      ...(offset === undefined ? {} : { at: offset }),
    });
  const sync = (file: string): Promise<Outcome> => child.does({ do: 'sync', file: at(file) });
  const cut = async (): Promise<PowerCut> => {
    await child.kill();
    return shim.powerCut({});
  };

  beforeEach(() => {
    directory = mkdtempSync(path.join(os.tmpdir(), 'millrace-shim-'));
    data = path.join(directory, 'data');
    const made = FaultShim.make({ under: data, directory: path.join(directory, 'shim') });
    if (typeof made === 'string') throw new Error(made);
    shim = made;
    child = new Child(shim);
  });
  afterEach(async () => {
    shim.calm();
    await child.kill();
    shim.close();
    rmSync(directory, { recursive: true });
  });

  describe('faults', () => {
    it('changes nothing while none is ordered', async () => {
      expect(await write('a', 'word')).to.deep.equal({});
      expect(await sync('a')).to.deep.equal({});
      expect(text('a')).to.equal('word');
      expect(shim.counts()).to.include({ syncs: 1, syncsFailed: 0, writesFailed: 0 });
      expect(shim.counts().processes).to.be.at.least(1);
    });

    it('fails syncs from the n-th on, and only of the files it aims at', async () => {
      shim.aim('a');
      shim.failSyncs({ passes: 1, times: 2 });
      expect(await sync('b')).to.deep.equal({});
      expect(await sync('a')).to.deep.equal({});
      expect(await sync('a')).to.deep.equal({ error: 'EIO' });
      expect(await sync('b')).to.deep.equal({});
      expect(await sync('a')).to.deep.equal({ error: 'EIO' });
      expect(await sync('a')).to.deep.equal({});
      expect(shim.counts().syncsFailed).to.equal(2);
    });

    it("fails the syncs of LevelDB's log", async () => {
      const put = { do: 'put', file: at('db'), text: 'word' } as const;
      expect(await child.does(put)).to.deep.equal({});
      shim.failSyncs();
      expect(await child.does(put)).to.have.property('error');
      shim.failSyncs({ times: 0 });
      // LevelDB remembers.
      expect(await child.does(put)).to.have.property('error');
      expect(shim.counts().syncsFailed).to.equal(1);
    });

    it('fails writes, with no space left only those that need some', async () => {
      await write('a', 'words');
      shim.failWrites({ error: 'ENOSPC' });
      expect(await write('a', 'WORDS', 0)).to.deep.equal({});
      expect(await write('a', 'more', 5)).to.deep.equal({ error: 'ENOSPC' });
      shim.failWrites({ error: 'EIO', times: 1 });
      expect(await write('a', 'words', 0)).to.deep.equal({ error: 'EIO' });
      expect(await write('a', 'right', 0)).to.deep.equal({});
      expect(text('a')).to.equal('right');
      expect(shim.counts().writesFailed).to.equal(2);
    });

    it("fails the writes of LevelDB's log, which go through C's streams", async () => {
      const put = { do: 'put', file: at('db'), text: 'x'.repeat(5_000) } as const;
      expect(await child.does(put)).to.deep.equal({});
      shim.failWrites({ error: 'ENOSPC' });
      expect(await child.does(put)).to.have.property('error');
      expect(shim.counts().writesFailed).to.be.at.least(1);
    });

    it('delays syncs', async () => {
      await write('a', 'word');
      shim.delaySyncs(200);
      const from = performance.now();
      await sync('a');
      expect(performance.now() - from).to.be.at.least(200);
      expect(shim.counts().syncsDelayed).to.equal(1);
    });

    it('hangs syncs until they may go on', async () => {
      await write('a', 'word');
      shim.hangSyncs(true);
      let isOver = false;
      const synced = sync('a').finally(() => (isOver = true));
      await eventually('the sync hangs', () => shim.counts().syncsHanging === 1);
      expect(isOver).to.equal(false);
      shim.hangSyncs(false);
      expect(await synced).to.deep.equal({});
    });

    it('shifts the wall clock and no other, to and fro', async () => {
      const clocks = async (): Promise<{ wallMs: number; monotonicMs: number }> =>
        (await child.does({ do: 'clocks' })) as { wallMs: number; monotonicMs: number };
      const before = await clocks();
      for (const shiftMs of [60_000, -60_000, 0]) {
        shim.shiftClock(shiftMs);
        const now = await clocks();
        const passedMs = now.monotonicMs - before.monotonicMs;
        expect(passedMs).to.be.within(0, 30_000);
        expect(now.wallMs - before.wallMs - shiftMs).to.be.closeTo(passedMs, 50);
      }
      expect(shim.counts().clockShifted).to.be.greaterThan(0);
    });
  });

  describe('a power cut', () => {
    it('keeps what was synced and cuts off what was not', async () => {
      await write('a', 'synced');
      await sync('a');
      await write('a', ' and not', 6);
      expect(await cut()).to.deep.include({ bytesCut: 8, filesCut: 1 });
      expect(text('a')).to.equal('synced');
    });

    it('gives back what was overwritten in place', async () => {
      await write('a', 'first words');
      await sync('a');
      await write('a', 'FIRST', 0);
      await sync('a');
      await write('a', 'WORDS', 6);
      await write('a', 'FINAL', 6);
      expect(await cut()).to.deep.include({ bytesRestored: 10 });
      expect(text('a')).to.equal('FIRST words');
    });

    it('gives back what was truncated', async () => {
      await write('a', 'first words');
      await sync('a');
      await child.does({ do: 'truncate', file: at('a'), to: 5 });
      await cut();
      expect(text('a')).to.equal('first words');
    });

    it('leaves truncated what was synced since', async () => {
      await write('a', 'first words');
      await child.does({ do: 'truncate', file: at('a'), to: 5 });
      await sync('a');
      await cut();
      expect(text('a')).to.equal('first');
    });

    it('removes files that were made and never synced, and keeps the names of synced ones', async () => {
      await write('a', 'lost');
      await sync('a');
      await write('b', 'lost');
      await cut();
      expect(readdirSync(data)).to.deep.equal(['a']);
    });

    it('leaves a file empty whose name alone was synced', async () => {
      await write('a', 'lost');
      await child.does({ do: 'sync-directory', file: data });
      await cut();
      expect(text('a')).to.equal('');
    });

    it('undoes renames and removals unless the directory was synced', async () => {
      for (const name of ['a', 'b', 'c', 'd']) {
        await write(name, name);
        await sync(name);
      }
      await child.does({ do: 'rename', file: at('a'), to: at('b') });
      await child.does({ do: 'sync-directory', file: data });
      await child.does({ do: 'rename', file: at('b'), to: at('c') });
      await child.does({ do: 'remove', file: at('d') });
      expect(readdirSync(data)).to.deep.equal(['c']);
      await cut();
      expect(readdirSync(data)).to.deep.equal(['b', 'c', 'd']);
      expect([text('b'), text('c'), text('d')]).to.deep.equal(['a', 'c', 'd']);
    });

    it('undoes what happened to directories with what is in them', async () => {
      await child.does({ do: 'make-directory', file: at('old') });
      await write('old/a', 'kept');
      await sync('old/a');
      await child.does({ do: 'rename', file: at('old'), to: at('new') });
      await child.does({ do: 'remove', file: at('new') });
      await child.does({ do: 'make-directory', file: at('other') });
      await cut();
      expect(readdirSync(data)).to.deep.equal(['old']);
      expect(text('old/a')).to.equal('kept');
    });

    it('counts nothing as synced after a sync that failed', async () => {
      await write('a', 'synced');
      await sync('a');
      await write('a', ' and not', 6);
      shim.failSyncs({ times: 1 });
      expect(await sync('a')).to.deep.equal({ error: 'EIO' });
      expect(await sync('a')).to.deep.equal({});
      await cut();
      expect(text('a')).to.equal('synced');
    });

    it('counts nothing as synced that came while the sync was under way', async () => {
      await write('a', 'early');
      shim.hangSyncs(true);
      const synced = sync('a');
      await eventually('the sync hangs', () => shim.counts().syncsHanging === 1);
      await write('a', 'LATE!', 0);
      shim.hangSyncs(false);
      expect(await synced).to.deep.equal({});
      await cut();
      expect(text('a')).to.equal('early');
    });

    it('spans the lives of processes, and ends with the cut', async () => {
      await write('a', 'synced');
      await sync('a');
      await write('a', ' and not', 6);
      await child.kill();
      child = new Child(shim);
      await write('b', 'made');
      await cut();
      expect(text('a')).to.equal('synced');
      expect(existsSync(at('b'))).to.equal(false);
      // What is on the disk now is there.
      child = new Child(shim);
      await write('a', 'SYNCED', 0);
      await cut();
      expect(text('a')).to.equal('synced');
    });

    it('may lose less than everything, and tears what comes last', async () => {
      const ends = new Set<number>();
      const whole = 'x'.repeat(1_000);
      await write('a', 'synced');
      await sync('a');
      await write('a', whole, 6);
      await child.kill();
      for (let seed = 0; seed < 8; seed += 1) {
        const journal = path.join(directory, 'shim', 'journal');
        const lines = readFileSync(path.join(journal, 'journal'));
        shim.powerCut({ prng: new Prng(seed) });
        expect(text('a')).to.match(/^synced/);
        ends.add(text('a').length);
        writeFileSync(path.join(journal, 'journal'), lines);
        writeFileSync(at('a'), `synced${whole}`);
      }
      expect(ends.size).to.be.greaterThan(4);
    });

    it('leaves a file cut off that was overwritten afterwards, as far as that was lost', async () => {
      const names = Array.from({ length: 16 }, (_, i) => `file-${i}`);
      for (const name of names) {
        await write(name, 'first words');
        await sync(name);
        await child.does({ do: 'truncate', file: at(name), to: 5 });
        await write(name, 'FIRST', 0);
      }
      await child.kill();
      shim.powerCut({ prng: new Prng(1) });
      // Torn, or wholly as before.
      for (const name of names) expect(text(name)).to.match(/^(F?I?R?S?T?)f?i?r?s?t?( words)?$/);
      expect(new Set(names.map((name) => text(name).length))).to.deep.equal(new Set([5, 11]));
    });

    it('is another boot for the next process', async () => {
      const { FAULT_SHIM_BOOT_ID: file = '' } = shim.environment;
      const before = readFileSync(file, 'latin1');
      await cut();
      expect(readFileSync(file, 'latin1')).to.not.equal(before);
    });
  });
});
