import { expect } from 'chai';
import { offset } from '../../../src/model/ids.js';
import { PartitionState } from '../../../src/partition/partition-state.js';
import { PastStates } from '../../../src/partition/past-states.js';
import { LogWriter } from './log-fixture.js';

const LIMITS = { strideBytes: 10_000, statesMax: 8, stateBytesMax: 1_000_000 };

describe('PastStates', () => {
  let writer: LogWriter;
  let state: PartitionState;

  beforeEach(() => {
    writer = new LogWriter();
    state = new PartitionState();
  });

  const append = (past: PastStates, count: number): void => {
    for (let i = 0; i < count; i += 1) {
      state.apply(writer.batch({ records: 2, valueBytes: 500 }));
      past.note(state);
    }
  };

  it('has states that applying the log up to them would give', () => {
    const past = new PastStates(LIMITS);
    append(past, 60);
    const found = past.newestBelow(offset(100));
    const replayed = new PartitionState();
    for (const entry of writer.entries.slice(0, found?.index)) replayed.apply(entry);
    expect(found?.state).to.deep.equal(replayed.encode());
    expect(found?.highWatermark).to.equal(replayed.highWatermark);
    expect(found?.highWatermark).to.be.within(76, 100);
  });

  it('has none whose records reach above the log start', () => {
    const past = new PastStates(LIMITS);
    append(past, 60);
    for (let at = 0; at <= 120; at += 1) {
      const found = past.newestBelow(offset(at));
      if (found !== undefined) expect(found.highWatermark).to.be.at.most(at);
    }
    expect(past.newestBelow(offset(0))).to.equal(undefined);
    expect(past.newestBelow(offset(120))?.highWatermark).to.be.greaterThan(90);
  });

  it('spreads a bounded number of them over a log of any length', () => {
    const past = new PastStates(LIMITS);
    append(past, 3_000);
    expect(past.length).to.be.within(4, 8);
    expect(past.newestBelow(offset(1_500))?.highWatermark).to.be.within(500, 1_500);
    const quarter = past.newestBelow(offset(1_500))?.index;
    past.dropUpTo(quarter ?? state.appliedIndex);
    expect(past.newestBelow(offset(1_500))).to.equal(undefined);
    expect(past.length).to.be.within(1, 7);
  });

  it('bounds their bytes, and does without where one alone is too large', () => {
    append(new PastStates(), 100);
    const oneBytes = state.encode().length;
    const past = new PastStates({ ...LIMITS, stateBytesMax: 3 * oneBytes });
    append(past, 200);
    expect(past.length).to.be.within(1, 3);
    const none = new PastStates({ ...LIMITS, stateBytesMax: 10 });
    append(none, 200);
    expect(none.length).to.equal(0);
  });

  it('comes closer together again once the log is short', () => {
    const past = new PastStates(LIMITS);
    append(past, 2_000);
    for (let i = 0; i < 12; i += 1) {
      past.dropUpTo(state.appliedIndex);
      append(past, 20);
    }
    past.dropUpTo(state.appliedIndex);
    append(past, 60);
    expect(past.length).to.be.within(4, 8);
  });

  it('begins anew after another past', () => {
    const past = new PastStates(LIMITS);
    append(past, 60);
    past.clear();
    expect(past.newestBelow(offset(120))).to.equal(undefined);
    append(past, 1);
    expect(past.length).to.equal(1);
  });
});
