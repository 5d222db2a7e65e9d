import { expect } from 'chai';

import { StoreDamagedError } from '../../../src/ports/log-store.js';
import { Fence } from '../../../src/storage/fence.js';
import { FREE_FACTS, type ReplicaFacts } from '../../../src/storage/record-codec.js';
import type { StoreContext } from '../../../src/storage/store-context.js';

function levelError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

/** What the state file is told after an error met a store that was, or was not, verified whole. */
function notedAfter(error: Error, wasVerifiedWhole: boolean): Partial<ReplicaFacts>[] {
  const noted: Partial<ReplicaFacts>[] = [];
  const stateFile = {
    update: (_record: unknown, change: Partial<ReplicaFacts>) => {
      noted.push(change);
      return Promise.resolve();
    },
  };
  const context = { stateFile, log: undefined } as unknown as StoreContext;
  const record = { slot: 0, facts: FREE_FACTS } as unknown as ConstructorParameters<
    typeof Fence
  >[1];
  const fence = new Fence(context, record, wasVerifiedWhole);
  expect(fence.raise(error)).to.equal(true);
  expect(fence.raise(error), 'the first error counts').to.equal(false);
  expect(fence.refusal?.name).to.equal('StoreFencedError');
  return noted;
}

describe('the fence of a store', () => {
  const corruption = levelError('LEVEL_CORRUPTION', 'Corruption: bad entry in block');

  it('has the whole log looked at after wrong bytes, whoever noticed them', () => {
    expect(notedAfter(new StoreDamagedError('entry 7'), false)).to.deep.equal([
      { isSuspect: true },
    ]);
    expect(notedAfter(corruption, false)).to.deep.equal([{ isSuspect: true }]);
  });

  it('gives a log up that passed such a look and gives wrong bytes again', () => {
    expect(notedAfter(new StoreDamagedError('entry 7'), true)).to.deep.equal([{ isGivenUp: true }]);
    expect(notedAfter(corruption, true)).to.deep.equal([{ isGivenUp: true }]);
  });

  it('never gives a log up because the disk failed: its bytes may be whole', () => {
    const failed = levelError('LEVEL_IO_ERROR', 'IO error: 000005.ldb: Input/output error');
    expect(notedAfter(failed, false)).to.deep.equal([{ isSuspect: true }]);
    expect(notedAfter(failed, true)).to.deep.equal([{ isSuspect: true }]);
  });

  it('learns nothing from what a machine lacks', () => {
    const full = levelError('LEVEL_IO_ERROR', 'IO error: 000005.log: No space left on device');
    expect(notedAfter(full, true)).to.deep.equal([]);
    expect(notedAfter(new RangeError('no such entry'), true)).to.deep.equal([]);
  });
});
