import { expect } from 'chai';
import { readFile } from 'node:fs/promises';
import { runNode } from '../../support/run-child.js';
import { MUTANTS } from './list.js';

const TIMEOUT_MS = 120_000;

/** The sources move on: each planted bug must still find the one place it is planted in. */
describe('mutants', () => {
  for (const { id, what, edits } of MUTANTS) {
    it(`${id} can be planted: ${what}`, async () => {
      for (const { file, find, replace } of edits) {
        const source = await readFile(file, 'utf8');
        expect(source.split(find).length - 1, `${file}: ${find}`).to.equal(1);
        expect(replace).to.not.equal(find);
      }
    });
  }

  // Every one of them is caught by one of the first seeds; `npm run mutants` plants them all.
  for (const id of ['M1', 'M2', 'M5', 'M7', 'M8']) {
    it(`${id} is caught by the simulator`, async function () {
      this.timeout(TIMEOUT_MS);
      const args = ['scripts/mutants.ts', '--only', id, '--seeds', '1..5', '--workers', '1'];
      const all = ['--import', 'tsx', ...args];
      const { code, output } = await runNode(all, { withinMs: TIMEOUT_MS });
      expect(output).to.contain('caught by seed');
      expect(code).to.equal(0);
    });
  }
});
