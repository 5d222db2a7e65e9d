import { expect } from 'chai';
import fc from 'fast-check';
import { Deque } from '../../../src/base/deque.js';

describe('Deque', () => {
  it('behaves as an array does, whatever is done to it', () => {
    const steps = fc.array(
      fc.oneof(
        { weight: 4, arbitrary: fc.constant('push') },
        { weight: 3, arbitrary: fc.constant('shift') },
        fc.constant('pop'),
        { weight: 1, arbitrary: fc.constant('clear') },
      ),
      { maxLength: 300 },
    );
    fc.assert(
      fc.property(steps, (names) => {
        const deque = new Deque<number>();
        const model: number[] = [];
        for (const [at, name] of names.entries()) {
          if (name === 'push') {
            deque.push(at);
            model.push(at);
          } else if (name === 'shift') expect(deque.shift()).to.equal(model.shift());
          else if (name === 'pop') expect(deque.pop()).to.equal(model.pop());
          else expect(deque.clear()).to.deep.equal(model.splice(0));
          expect(deque.length).to.equal(model.length);
          expect(deque.slice(0, deque.length)).to.deep.equal(model);
          expect(deque.slice(1, 3)).to.deep.equal(model.slice(1, 3));
          expect(deque.at(0)).to.equal(model[0]);
          expect(deque.at(-1)).to.equal(undefined);
          expect(deque.at(deque.length)).to.equal(undefined);
        }
      }),
    );
  });

  it('keeps nothing alive that was taken out', async () => {
    const gc = await collector();
    const deque = new Deque<object>();
    const taken: WeakRef<object>[] = [];
    for (let i = 0; i < 100; i += 1) deque.push({ i });
    for (let i = 0; i < 30; i += 1) taken.push(new WeakRef(deque.shift() ?? {}));
    // A weak reference holds until the turn it was made in is over.
    await new Promise<void>((resolve) => setImmediate(resolve));
    gc();
    expect(taken.filter((each) => each.deref() !== undefined)).to.have.length(0);
    expect(deque.length).to.equal(70);
  });
});

/** The engine's garbage collection, on demand. */
async function collector(): Promise<() => void> {
  const { setFlagsFromString } = await import('node:v8');
  const { runInNewContext } = await import('node:vm');
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}
