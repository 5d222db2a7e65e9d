import { expect } from 'chai';
import type { Io } from '../../../src/cli/io.js';
import { Progress, type ProgressOptions } from '../../../src/cli/progress.js';
import { eventually } from '../../support/eventually.js';
import { FakeIo } from '../../support/fake-io.js';

/** With colours and cursor movements taken out. */
const plain = (text: string): string => text.replaceAll(/\u001b\[[?\d;]*[a-zA-Z]/g, '');

describe('a progress line', () => {
  let io: FakeIo;
  beforeEach(() => {
    io = new FakeIo();
  });

  function progress(options: Partial<ProgressOptions> = {}, isTTY = true): Progress {
    const { stdin, stdout, env } = io;
    const stderr = isTTY ? Object.assign(io.stderr, { isTTY: true as const }) : io.stderr;
    const terminal: Io = { stdin, stdout, stderr, env, onInterrupt: () => () => undefined };
    return new Progress(terminal, { total: 2_000, unit: 'things', ...options });
  }

  /** Work that tells how far it is until it is seen. */
  async function seen(line: Progress, what: RegExp): Promise<void> {
    await eventually('the line', () => {
      line.at(1_500);
      return what.test(plain(io.err));
    });
  }

  it('says how much is done of how much, and goes', async () => {
    const line = progress();
    line.at(1);
    expect(io.err, 'nothing for what is quick').to.equal('');
    const result = await line.during(async () => {
      await seen(line, /75% {2}1,500 of 2,000 things/);
      return 'done';
    });
    expect(result).to.equal('done');
    const shown = io.err;
    line.at(2_000);
    expect(io.err, 'nothing after the end').to.equal(shown);
    expect(shown, 'the cursor is back').to.match(/\u001b\[\?25h/);
  });

  it('counts where nobody knows how much there is', async () => {
    const line = progress({ total: undefined });
    await line.during(() => seen(line, /1,500 things/));
    expect(plain(io.err)).not.to.contain('%');
  });

  it('asks how far the work is, and does not mind if that fails', async () => {
    const line = progress();
    let asked = 0;
    const ask = (): Promise<number> => {
      asked += 1;
      return asked === 1 ? Promise.reject(new Error('not now')) : Promise.resolve(asked * 100);
    };
    const work = (): Promise<void> =>
      eventually('the line', () => /00 of 2,000 things/.test(plain(io.err)));
    await line.watching(work, ask);
    const before = asked;
    expect(before).to.be.above(1);
  });

  it('fails as the work does', async () => {
    const line = progress();
    const work = (): Promise<void> => Promise.reject(new Error('broken'));
    const failure = await line.watching(work, () => Promise.resolve(1)).catch((e: unknown) => e);
    expect((failure as Error).message).to.equal('broken');
    expect(line.isWanted).to.equal(false);
  });

  for (const [what, options, isTTY] of [
    ['a file', {}, false],
    ['--quiet', { quiet: true }, true],
    ['--json', { json: true }, true],
  ] as const) {
    it(`is nothing for ${what}, and nobody is asked for it`, async () => {
      const line = progress(options, isTTY);
      let asked = 0;
      const ask = (): Promise<number> => Promise.resolve((asked += 1));
      expect(line.isWanted).to.equal(false);
      expect(await line.watching(() => Promise.resolve(7), ask)).to.equal(7);
      line.at(3);
      expect([io.err, asked]).to.deep.equal(['', 0]);
    });
  }
});
