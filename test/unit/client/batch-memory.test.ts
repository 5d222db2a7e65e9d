import { expect } from 'chai';
import { BatchMemory } from '../../../src/client/batch-memory.js';

const KIB = 1024;

describe('client/batch-memory', () => {
  it('gives at least what is asked for', () => {
    const memory = new BatchMemory();
    for (const bytes of [1, 4 * KIB, 4 * KIB + 1, 1024 * KIB, 1024 * KIB + 1]) {
      expect(memory.take(bytes).length).to.be.at.least(bytes);
    }
  });

  it('gives each buffer to one at a time', () => {
    const memory = new BatchMemory();
    const first = memory.take(5 * KIB);
    expect(memory.take(5 * KIB)).not.to.equal(first);
    memory.giveBack(first);
    expect(memory.take(8 * KIB)).to.equal(first);
    expect(memory.take(8 * KIB)).not.to.equal(first);
  });

  it('keeps four mebibytes and no more', () => {
    const memory = new BatchMemory();
    const taken = Array.from({ length: 6 }, () => memory.take(1024 * KIB));
    for (const buffer of taken) memory.giveBack(buffer);
    const again = Array.from({ length: 6 }, () => memory.take(1024 * KIB));
    expect(again.filter((buffer) => taken.includes(buffer))).to.have.length(4);
    for (const buffer of again.slice(0, 1)) memory.giveBack(buffer);
    expect(memory.take(1024 * KIB)).to.equal(again[0]);
  });
});
