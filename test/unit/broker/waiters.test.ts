import { expect } from 'chai';

import { Waiters, type ReplicaWaiter } from '../../../src/broker/waiters.js';

describe('who waits for a replica', () => {
  let turns: (() => void)[];
  let waiters: Waiters;
  let woken: number[];

  beforeEach(() => {
    turns = [];
    waiters = new Waiters({ defer: (run) => turns.push(run) });
    woken = [];
  });

  const nextTurn = (): void => {
    for (const run of turns.splice(0)) run();
  };
  const add = (count: number): ReplicaWaiter[] =>
    Array.from({ length: count }, (_, i) => {
      const waiter = { progressed: () => void woken.push(i) };
      waiters.add(waiter);
      return waiter;
    });
  const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

  it('is woken in the turn of the news, and if there are many, in turns after it', () => {
    add(100);
    waiters.wake();
    expect(woken).to.deep.equal(upTo(32));
    nextTurn();
    nextTurn();
    nextTurn();
    expect(woken).to.deep.equal(upTo(100));
    expect(turns, 'and then nothing more').to.deep.equal([]);
  });

  it('is not woken any more once it has ceased to wait', () => {
    const all = add(40);
    waiters.wake();
    waiters.delete(all[39]!);
    waiters.delete(all[0]!);
    nextTurn();
    expect(woken).to.deep.equal(upTo(39));
  });

  it('is woken again after news that come while others are being woken, and those once', () => {
    add(40);
    waiters.wake();
    waiters.wake();
    expect(woken).to.deep.equal(upTo(32));
    nextTurn();
    nextTurn();
    expect(woken).to.deep.equal([...upTo(40), ...upTo(32)]);
    expect(turns).to.deep.equal([]);
  });

  it('may wait again, and bring news, from within', () => {
    let count = 0;
    const waiter: ReplicaWaiter = {
      progressed: () => {
        count += 1;
        waiters.delete(waiter);
        waiters.add(waiter);
        if (count === 1) waiters.wake();
      },
    };
    waiters.add(waiter);
    waiters.wake();
    expect(count).to.equal(2);
    waiters.wake();
    expect(count).to.equal(3);
  });
});
