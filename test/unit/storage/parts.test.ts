import { expect } from 'chai';
import { deferred } from '../../../src/base/deferred.js';
import { logIndex, term } from '../../../src/model/ids.js';
import { membershipOf } from '../../../src/model/membership.js';
import { LogMap, tailOf } from '../../../src/storage/log-map.js';
import { LIMITS } from '../../../src/model/limits.js';
import { FLOOR_BYTES, MemoryBudget } from '../../../src/storage/memory-budget.js';
import { Scratch } from '../../../src/storage/store-context.js';
import { WriteQueue, type WriteJob } from '../../../src/storage/write-queue.js';
import { id } from '../../conformance/broker-store.suite.js';

const MIB = 1024 * 1024;

describe('LogMap', () => {
  const empty = { last: id(0, 0), chain: 0, timeMs: 0, membership: membershipOf([1]) };
  const mapOf = (terms: readonly number[], memberships: readonly number[] = []): LogMap => {
    const map = new LogMap(empty);
    for (const [i, t] of terms.entries()) {
      const kind = memberships.includes(i + 1) ? 'membership' : 'command';
      map.append({ ...id(t, i + 1), kind }, i, i);
    }
    return map;
  };
  const runs = (map: LogMap): string => map.runs.map((r) => `${r.term}@${r.first}`).join(' ');

  it('keeps runs of terms and where memberships stand', () => {
    const map = mapOf([1, 1, 2, 2, 5], [2, 4]);
    expect(runs(map)).to.equal('1@1 2@3 5@5');
    expect(map.memberships).to.deep.equal([2, 4]);
    expect([0, 1, 2, 3, 4, 5, 6].map((i) => map.termAt(logIndex(i)))).to.deep.equal([
      0,
      1,
      1,
      2,
      2,
      5,
      undefined,
    ]);
  });

  it('tells of every entry where its run began, and the membership before it', () => {
    const map = new LogMap(empty);
    const links = [1, 1, 2, 2, 5].map((t, i) => {
      const kind = i === 1 || i === 3 ? 'membership' : 'batch';
      const { runFirst, membershipBefore } = map.append({ ...id(t, i + 1), kind }, i, i);
      return `${runFirst} ${membershipBefore}`;
    });
    expect(links).to.deep.equal(['1 0', '1 0', '3 2', '3 2', '5 4']);
    map.movePrefix({ ...empty, last: id(2, 4) });
    expect(map.append({ ...id(5, 6), kind: 'batch' }, 5, 5)).to.deep.equal({
      runFirst: 5,
      membershipBefore: 0,
    });
  });

  it('truncates its tail', () => {
    const map = mapOf([1, 1, 2, 2, 5], [2, 4]);
    map.truncateTail({ last: id(2, 3), chain: 2, timeMs: 2 });
    expect(runs(map)).to.equal('1@1 2@3');
    expect(map.memberships).to.deep.equal([2]);
    map.truncateTail(tailOf(empty));
    expect(runs(map)).to.equal('');
  });

  for (const [last, expected, memberships] of [
    [id(1, 1), '1@2 2@3 5@5', [2, 4]],
    [id(1, 2), '2@3 5@5', [4]],
    [id(2, 3), '2@4 5@5', [4]],
    [id(2, 4), '5@5', []],
    [id(5, 5), '', []],
  ] as const) {
    it(`moves its prefix to ${last.index}`, () => {
      const map = mapOf([1, 1, 2, 2, 5], [2, 4]);
      map.movePrefix({ ...empty, last });
      expect(runs(map)).to.equal(expected);
      expect(map.memberships).to.deep.equal(memberships);
      expect(map.termAt(last.index)).to.equal(last.term);
      expect(map.first).to.equal(last.index + 1);
    });
  }

  it('refuses gaps and falling terms', () => {
    const map = mapOf([3]);
    expect(() => map.append({ ...id(3, 3), kind: 'noop' }, 0, 0)).to.throw(/dense/);
    expect(() => map.append({ ...id(2, 2), kind: 'noop' }, 0, 0)).to.throw(/terms never fall/);
    expect(map.termAt(logIndex(1))).to.equal(term(3));
  });
});

describe('WriteQueue', () => {
  const job = (bytes: number, more: Partial<WriteJob> = {}): WriteJob => ({
    kind: 'write',
    append: undefined,
    truncates: false,
    bytes,
    hardState: undefined,
    afterwards: undefined,
    done: deferred<undefined>(),
    ...more,
  });
  const sizes = (queue: WriteQueue): number[] => queue.takeBatch(100).map((j) => j.bytes);

  it('gives what fits one batch, at least one', () => {
    const queue = new WriteQueue();
    for (const bytes of [40, 40, 40, 500, 1]) queue.push(job(bytes));
    expect(sizes(queue)).to.deep.equal([40, 40]);
    expect(sizes(queue)).to.deep.equal([40]);
    expect(sizes(queue)).to.deep.equal([500]);
    expect(sizes(queue)).to.deep.equal([1]);
    expect(sizes(queue)).to.deep.equal([]);
  });

  it('begins a batch with a truncation and ends one behind what comes afterwards', () => {
    const queue = new WriteQueue();
    queue.push(job(1));
    queue.push(job(2, { truncates: true }));
    queue.push(job(3));
    queue.push(job(4, { afterwards: () => Promise.resolve() }));
    queue.push(job(5));
    expect(sizes(queue)).to.deep.equal([1]);
    expect(sizes(queue)).to.deep.equal([2, 3, 4]);
    expect(sizes(queue)).to.deep.equal([5]);
  });

  it('gives a job that must be alone alone, in its turn', () => {
    const queue = new WriteQueue();
    queue.push(job(1));
    queue.push({ kind: 'alone', run: () => Promise.resolve(), done: deferred<undefined>() });
    queue.push(job(2));
    expect(queue.takeAlone()).to.equal(undefined);
    expect(sizes(queue)).to.deep.equal([1]);
    expect(sizes(queue)).to.deep.equal([]);
    expect(queue.takeAlone()?.kind).to.equal('alone');
    expect(sizes(queue)).to.deep.equal([2]);
    expect(queue.length).to.equal(0);
  });

  it('keeps order over thousands', () => {
    const queue = new WriteQueue();
    const seen: number[] = [];
    let given = 0;
    for (let round = 0; round < 100; round += 1) {
      for (let i = 0; i < 60; i += 1) queue.push(job((given += 1)));
      for (let i = 0; i < 50; i += 1) seen.push(queue.takeBatch(1)[0]!.bytes);
    }
    seen.push(...queue.takeAll().map((j) => (j.kind === 'write' ? j.bytes : NaN)));
    expect(seen).to.deep.equal(Array.from({ length: given }, (_, i) => i + 1));
    expect(queue.length).to.equal(0);
  });
});

describe('MemoryBudget', () => {
  it('gives few replicas much', () => {
    const share = new MemoryBudget(192 * MIB).take(3);
    expect(share.writeBufferBytes).to.equal(8 * MIB);
  });

  it('holds 1,000 replicas within the budget and their floors', () => {
    const budget = new MemoryBudget(128 * MIB);
    let sum = 0;
    for (let n = 1; n <= 1_000; n += 1) {
      const share = budget.take(n);
      expect(share.writeBufferBytes).to.be.at.least(128 * 1024);
      sum += 2 * share.writeBufferBytes + share.cacheBytes;
    }
    expect(sum).to.be.at.most(128 * MIB + 1_000 * FLOOR_BYTES);
  });

  it('gives what there is above the floors, also to many', () => {
    const { writeBufferBytes, cacheBytes } = new MemoryBudget(100 * MIB).take(1_000);
    const above = 2 * writeBufferBytes + cacheBytes - FLOOR_BYTES;
    expect(above).to.be.closeTo((100 * MIB) / 1_000, 4);
  });

  it('has a floor that leaves a replica room for its state', () => {
    expect(FLOOR_BYTES).to.be.at.most(LIMITS.replicaMemoryBytes - 192 * 1024);
    const budget = new MemoryBudget(0);
    const { writeBufferBytes, cacheBytes } = budget.take(1_000);
    expect(2 * writeBufferBytes + cacheBytes).to.equal(FLOOR_BYTES);
  });

  it('takes back what a closed replica had', () => {
    const budget = new MemoryBudget(100 * MIB);
    const first = budget.take(10);
    budget.giveBack(first);
    expect(budget.take(10)).to.deep.equal(first);
  });
});

describe('Scratch', () => {
  it('is kept, grows, and is not kept beyond its bound', () => {
    const scratch = new Scratch(1_000);
    const a = scratch.take(100);
    expect(scratch.take(50)).to.equal(a);
    expect(scratch.take(600).length).to.be.at.least(600);
    const huge = scratch.take(5_000);
    expect(huge.length).to.equal(5_000);
    expect(scratch.take(10).length).to.be.at.most(1_000);
  });
});
