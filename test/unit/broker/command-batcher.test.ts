import { expect } from 'chai';

import { CommandBatcher, type BatchApplied } from '../../../src/broker/command-batcher.js';
import { rejected } from '../../../src/metadata/command.js';
import { BrokerError } from '../../../src/model/errors.js';
import { logIndex } from '../../../src/model/ids.js';
import { FakeWorld } from '../host/support/fake-world.js';

describe('the batcher of commands', () => {
  let world: FakeWorld;
  let proposed: (readonly number[])[];
  let answer: (items: readonly number[]) => Promise<BatchApplied>;
  let batcher: CommandBatcher<number>;

  beforeEach(() => {
    world = new FakeWorld();
    proposed = [];
    /** Odd numbers are refused. */
    answer = (items) => {
      const refused = items.map((item) =>
        item % 2 === 1 ? rejected('INVALID_ARGUMENT', String(item)) : undefined,
      );
      return Promise.resolve({ index: logIndex(proposed.length), timeMs: 7, refused });
    };
    batcher = new CommandBatcher<number>({
      timers: world.timers,
      what: 'numbers',
      itemsPerCommandMax: 4,
      itemsWaitingMax: 10,
      bytesOf: (item) => item,
      propose: (items) => {
        proposed.push(items);
        return answer(items);
      },
    });
  });

  /** Outcomes of calls made within one turn. */
  async function outcomes(...calls: readonly (readonly number[])[]): Promise<unknown[]> {
    const all = calls.map((items) =>
      batcher.submit(items).then(
        ({ index, refused }) => [index, ...refused.map((one) => one?.message)],
        (error: unknown) => (error instanceof BrokerError ? error.code : String(error)),
      ),
    );
    await world.settle();
    return Promise.all(all);
  }

  it('puts calls of a turn into one command, and tells each its part of the outcome', async () => {
    expect(await outcomes([2, 3], [5], [4])).to.eql([
      [1, undefined, '3'],
      [1, '5'],
      [1, undefined],
    ]);
    expect(proposed).to.eql([[2, 3, 5, 4]]);
  });

  it('keeps the items of a call together when a command is full: by number, or by bytes', async () => {
    await outcomes([1, 2, 3], [4, 5], [6]);
    expect(proposed).to.eql([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    proposed = [];
    await outcomes([2 ** 20], [2], [2 ** 21]);
    expect(proposed).to.eql([[2 ** 20], [2], [2 ** 21]]);
  });

  it('takes no more than its bound, and again once these have gone', async () => {
    const full = await outcomes([2, 4, 6, 8], [2, 4, 6, 8], [2, 4], [6]);
    expect(full.at(-1)).to.equal('THROTTLED');
    expect(full.slice(0, 3)).to.eql([
      [1, undefined, undefined, undefined, undefined],
      [2, undefined, undefined, undefined, undefined],
      [3, undefined, undefined],
    ]);
    expect(await outcomes([6])).to.eql([[4, undefined]]);
  });

  it('tells every call of a failure, also if the outcome is not what was proposed', async () => {
    answer = () => Promise.reject(new BrokerError('UNKNOWN_OUTCOME', 'gone'));
    expect(await outcomes([2], [4])).to.eql(['UNKNOWN_OUTCOME', 'UNKNOWN_OUTCOME']);
    answer = () => Promise.resolve({ index: logIndex(1), timeMs: 0, refused: [] });
    const [odd] = await outcomes([2]);
    expect(odd).to.match(/every item has its outcome/);
  });
});
