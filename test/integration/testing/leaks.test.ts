import { expect } from 'chai';
import { fileURLToPath } from 'node:url';
import { runNode } from '../../support/run-child.js';

const PROGRAM = fileURLToPath(new URL('leftovers.ts', import.meta.url));
const RUN_MS_MAX = 120_000;
/** Sockets that were closed may still have a word to say to the system; timers are longer. */
const END_MS_MAX = 3_000;

describe('a test cluster that was closed', function () {
  this.timeout(RUN_MS_MAX + 10_000);

  it('keeps its process no longer, and has written nothing to its terminal', async () => {
    const { code, output } = await runNode(['--import=tsx', PROGRAM], { withinMs: RUN_MS_MAX });
    expect(output).to.match(/^closed\nended after \d+ ms\n$/);
    expect(Number(/ended after (\d+)/.exec(output)?.[1])).to.be.below(END_MS_MAX);
    expect(code).to.equal(0);
  });
});
