import { expect } from 'chai';
import { readFile } from 'node:fs/promises';
import { MUTANTS } from './list.js';

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
});
