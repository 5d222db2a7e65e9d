import { expect } from 'chai';
import { logIndex, offset, type LogIndex } from '../../../src/model/ids.js';
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

  it('keeps one for every stride, exactly', () => {
    const bytes = (): number => state.index.bytesTotal;
    state.apply(writer.batch({ valueBytes: 500 }));
    const stride = bytes();
    const past = new PastStates({ ...LIMITS, strideBytes: stride });
    past.note(state);
    expect(past.length).to.equal(1);
    const half = new PastStates({ ...LIMITS, strideBytes: stride + 1 });
    half.note(state);
    expect(half.length).to.equal(0);
    state.apply(writer.batch({ valueBytes: 500 }));
    half.note(state);
    expect(half.length).to.equal(1);
    state.apply(writer.batch({ valueBytes: 500 }));
    half.note(state);
    expect(half.length, 'a stride counts from the last one').to.equal(1);
  });

  describe('where the log is truncated again and again', () => {
    /** Batches of one size, of which as many as `perStride` make a stride. */
    let batchBytes: number;

    const apply = (past: PastStates, count: number): void => {
      for (let i = 0; i < count; i += 1) {
        state.apply(writer.batch({ valueBytes: 500 }));
        past.note(state);
      }
    };
    /** Batches from the newest state to the next one. */
    const spacing = (past: PastStates): number => {
      const before = past.length;
      let count = 0;
      while (past.length === before) {
        apply(past, 1);
        count += 1;
      }
      return count;
    };
    const keepNewest = (past: PastStates, count: number): void => {
      while (past.length > count) {
        past.dropUpTo(past.newestBelow(offset(0))?.index ?? oldestOf(past));
      }
    };
    const oldestOf = (past: PastStates): LogIndex => {
      for (let at = 0; ; at += 1) {
        const found = past.newestBelow(offset(at));
        if (found !== undefined) return found.index;
      }
    };

    beforeEach(() => {
      state.apply(writer.batch({ valueBytes: 500 }));
      batchBytes = state.index.bytesTotal;
      writer = new LogWriter();
      state = new PartitionState();
    });

    it('halves the stride only when few states are left, and never below the first one', () => {
      const past = new PastStates({ ...LIMITS, strideBytes: 2 * batchBytes });
      apply(past, 18);
      expect(past.length, 'the ninth was too many').to.equal(4);
      keepNewest(past, 2);
      expect(spacing(past), 'two of eight are not few').to.equal(4);
      keepNewest(past, 1);
      expect(spacing(past)).to.equal(2);
      keepNewest(past, 0);
      expect(spacing(past), 'as close as at first').to.equal(2);
    });

    it('halves the stride once for each state that goes', () => {
      const past = new PastStates({ ...LIMITS, strideBytes: batchBytes });
      apply(past, 9);
      apply(past, 10);
      expect(past.length, 'too many twice').to.equal(4);
      keepNewest(past, 1);
      expect(spacing(past), 'from four batches to two').to.equal(2);
    });

    it('keeps the stride while what is left takes a good part of the bytes', () => {
      apply(new PastStates(LIMITS), 3);
      const stateBytesMax = 3 * state.encode().length;
      const past = new PastStates({ strideBytes: batchBytes, statesMax: 100, stateBytesMax });
      apply(past, 4);
      const [count, wide] = [past.length, spacing(past)];
      expect([count, wide]).to.deep.equal([2, 2]);
      keepNewest(past, 1);
      expect(spacing(past)).to.equal(2);
      keepNewest(past, 0);
      expect(spacing(past), 'nothing is left').to.equal(1);
    });

    it('counts no bytes of what was dropped', () => {
      const strideBytes = batchBytes;
      apply(new PastStates(LIMITS), 3);
      const stateBytesMax = 4 * state.encode().length;
      const past = new PastStates({ strideBytes, statesMax: 100, stateBytesMax });
      for (let round = 0; round < 20; round += 1) {
        apply(past, 3);
        expect(past.length, `round ${round}`).to.equal(3);
        past.dropUpTo(state.appliedIndex);
      }
    });
  });

  it('keeps what it has when a state is too large to be kept', () => {
    const strideBytes = 1;
    state.apply(writer.batch());
    const stateBytesMax = state.encode().length;
    const past = new PastStates({ strideBytes, statesMax: 8, stateBytesMax });
    past.note(state);
    expect(past.length, 'exactly as large as may be').to.equal(1);
    const producer = { producerId: 5_000_000, producerEpoch: 3, baseSequence: 0 };
    state.apply(writer.batch({ producer }));
    expect(state.encode().length).to.be.greaterThan(stateBytesMax);
    past.note(state);
    expect(past.newestBelow(offset(99))?.index).to.equal(1);
  });

  it('takes little memory by default: a state every 4 MiB of log', () => {
    const past = new PastStates();
    for (let i = 0; i < 33; i += 1) {
      state.apply(writer.batch({ valueBytes: 1024 * 1024 }));
      past.note(state);
    }
    expect(past.length).to.equal(8);
  });

  it('has as many as it may, and as many bytes', () => {
    const strideBytes = 1;
    const encoded: number[] = [];
    const past = new PastStates({ ...LIMITS, strideBytes, statesMax: 3 });
    for (let i = 0; i < 3; i += 1) {
      append(past, 1);
      encoded.push(state.encode().length);
    }
    expect(past.length).to.equal(3);
    append(past, 1);
    expect(past.length, 'every other one').to.equal(2);

    const again = new LogWriter();
    const sum = encoded.reduce((a, b) => a + b);
    const inBytes = new PastStates({ strideBytes, statesMax: 9, stateBytesMax: sum });
    const short = new PastStates({ strideBytes, statesMax: 9, stateBytesMax: sum - 1 });
    state = new PartitionState();
    for (let i = 0; i < 3; i += 1) {
      state.apply(again.batch({ records: 2, valueBytes: 500 }));
      inBytes.note(state);
      short.note(state);
    }
    expect(inBytes.length).to.equal(3);
    expect(short.length).to.equal(1);
  });

  it('drops those that the truncation reaches, and no more', () => {
    const past = new PastStates({ ...LIMITS, strideBytes: 1 });
    append(past, 4);
    past.dropUpTo(logIndex(2));
    expect(past.length).to.equal(2);
    expect(past.newestBelow(offset(4))).to.equal(undefined);
    expect(past.newestBelow(offset(6))?.index).to.equal(3);
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
