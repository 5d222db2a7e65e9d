import { expect } from 'chai';
import { deferred } from '../../../src/base/deferred.js';
import { Slots } from '../../../src/base/slots.js';

describe('slots', () => {
  it('run a bounded number of jobs, the others in order, and survive failures', async () => {
    const slots = new Slots(2);
    const gates = Array.from({ length: 4 }, () => deferred<undefined>());
    const started: number[] = [];
    const runs = gates.map((gate, at) =>
      slots.run(async () => {
        started.push(at);
        await gate.promise;
      }),
    );
    expect(started).to.deep.equal([0, 1]);
    gates[1]!.reject(new Error('failed'));
    await runs[1]!.catch(() => undefined);
    await Promise.resolve();
    expect(started).to.deep.equal([0, 1, 2]);
    gates[0]!.resolve(undefined);
    await runs[0];
    await Promise.resolve();
    expect(started).to.deep.equal([0, 1, 2, 3]);
    gates[2]!.resolve(undefined);
    gates[3]!.resolve(undefined);
    await Promise.all([runs[2], runs[3]]);
    expect(await slots.run(async () => 'again')).to.equal('again');
  });

  it('never run more, also after errors', async () => {
    const slots = new Slots(2);
    let running = 0;
    let most = 0;
    const work = Array.from({ length: 10 }, (_, i) =>
      slots.run(async () => {
        running += 1;
        most = Math.max(most, running);
        await new Promise((resolve) => setImmediate(resolve));
        running -= 1;
        if (i % 3 === 0) throw new Error('no');
        return i;
      }),
    );
    const ended = await Promise.allSettled(work);
    expect(most).to.equal(2);
    expect(ended.filter((e) => e.status === 'rejected')).to.have.length(4);
  });
});
