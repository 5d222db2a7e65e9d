import { expect } from 'chai';
import { spawn } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('leftovers.ts', import.meta.url));
const RUN_MS_MAX = 120_000;
/** Sockets that were closed may still have a word to say to the system; timers are longer. */
const END_MS_MAX = 3_000;

describe('a test cluster that was closed', function () {
  this.timeout(RUN_MS_MAX + 10_000);

  it('keeps its process no longer, and has written nothing to its terminal', async () => {
    const child = spawn(process.execPath, ['--import=tsx', PROGRAM], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    }
    const killer = setTimeout(() => child.kill('SIGKILL'), RUN_MS_MAX);
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
    clearTimeout(killer);
    expect(output).to.match(/^closed\nended after \d+ ms\n$/);
    expect(Number(/ended after (\d+)/.exec(output)?.[1])).to.be.below(END_MS_MAX);
    expect(code).to.equal(0);
  });
});
