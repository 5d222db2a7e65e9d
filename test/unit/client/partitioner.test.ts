import { expect } from 'chai';
import { Prng } from '../../../src/base/prng.js';
import { StickyPartitioner, murmur2, partitionForKey } from '../../../src/client/partitioner.js';

describe('partitioner', () => {
  // The values that Kafka's own clients are tested with.
  const known: [string, number][] = [
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ];
  for (const [key, hash] of known) {
    it(`hashes ${key} as Kafka does`, () => {
      expect(murmur2(Buffer.from(key))).to.equal(hash);
      expect(partitionForKey(Buffer.from(key), 12)).to.equal((hash & 0x7fffffff) % 12);
    });
  }

  it('stays with a partition until its batch is closed, then goes to another', () => {
    const sticky = new StickyPartitioner(new Prng(1) as never);
    const first = sticky.pick(5);
    expect(sticky.pick(5)).to.equal(first);
    sticky.batchClosed((first + 1) % 5, 5);
    expect(sticky.pick(5)).to.equal(first);
    sticky.batchClosed(first, 5);
    expect(sticky.pick(5)).not.to.equal(first);
  });

  it('gives every partition its share', () => {
    const sticky = new StickyPartitioner(new Prng(7) as never);
    const counts = new Array<number>(6).fill(0);
    for (let i = 0; i < 6_000; i += 1) {
      const p = sticky.pick(6);
      counts[p]! += 1;
      sticky.batchClosed(p, 6);
    }
    for (const count of counts) expect(count).to.be.within(850, 1_150);
  });

  it('has one choice among one, and follows a shrinking or growing topic', () => {
    const sticky = new StickyPartitioner(new Prng(3) as never);
    for (const partitions of [1, 8, 2, 1, 3]) {
      for (let i = 0; i < 20; i += 1) {
        const p = sticky.pick(partitions);
        expect(p).to.be.within(0, partitions - 1);
        sticky.batchClosed(p, partitions);
      }
    }
  });
});
