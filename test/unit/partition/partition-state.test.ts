import { expect } from 'chai';
import fc from 'fast-check';
import { logIndex, offset, term } from '../../../src/model/ids.js';
import { LIMITS as MODEL } from '../../../src/model/limits.js';
import type { LogEntry } from '../../../src/model/log-entry.js';
import { PartitionState, type PartitionLimits } from '../../../src/partition/partition-state.js';
import { LogWriter } from './log-fixture.js';
import { casesOf } from '../../support/cases.js';

const SMALL: PartitionLimits = {
  producers: { producersMax: 4, expiryMs: 5_000 },
  index: { strideBytes: 300, itemsMax: 6 },
};

function applied(entries: readonly LogEntry[], limits = SMALL): PartitionState {
  const state = new PartitionState(limits);
  for (const entry of entries) state.apply(entry);
  return state;
}

/** Logs with plain and idempotent batches, new terms, trims, quiet times and entries without records. */
const logs = fc
  .array(
    fc.oneof(
      {
        weight: 5,
        arbitrary: fc.record({
          kind: fc.constant('batch' as const),
          records: fc.integer({ min: 1, max: 4 }),
          valueBytes: fc.integer({ min: 0, max: 150 }),
          timestampMs: fc.integer({ min: 0, max: 9_999 }),
        }),
      },
      {
        weight: 5,
        arbitrary: fc.record({
          kind: fc.constant('idempotent' as const),
          id: fc.integer({ min: 0, max: 5 }),
          records: fc.integer({ min: 1, max: 3 }),
          bump: fc.boolean(),
        }),
      },
      {
        weight: 1,
        arbitrary: fc.record({
          kind: fc.constant('term' as const),
          by: fc.integer({ min: 1, max: 3 }),
        }),
      },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('trim' as const), to: fc.nat() }) },
      {
        weight: 1,
        arbitrary: fc.record({
          kind: fc.constant('quiet' as const),
          ms: fc.integer({ min: 0, max: 6_000 }),
        }),
      },
    ),
    { maxLength: 80 },
  )
  .map((steps) => {
    const log = new LogWriter();
    // The producers as a careful leader sees them: what its table has forgotten starts at 0.
    const state = new PartitionState(SMALL);
    for (const step of steps) {
      if (step.kind === 'batch') state.apply(log.batch(step));
      else if (step.kind === 'quiet') log.timeMs += step.ms;
      else if (step.kind === 'trim') state.apply(log.moveLogStart(step.to % (log.nextOffset + 2)));
      else if (step.kind === 'term') {
        log.term = term(log.term + step.by);
        state.apply(log.noop());
      } else {
        const known = state.producers.get(step.id);
        const isNew = known === undefined || step.bump;
        const producer = {
          producerId: step.id,
          producerEpoch: (known?.epoch ?? 0) + (step.bump ? 1 : 0),
          baseSequence: isNew ? 0 : (known.batches.at(-1)?.lastSequence ?? 0) + 1,
        };
        state.apply(log.batch({ records: step.records, producer }));
      }
    }
    return log.entries;
  });

describe('PartitionState', () => {
  it('gives the same bytes whether entries are replayed or a state is restored on the way', () => {
    fc.assert(
      fc.property(logs, fc.nat(), fc.nat(), (entries, first, second) => {
        const cuts = [first, second].map((n) => n % (entries.length + 1)).sort((a, b) => a - b);
        const whole = applied(entries);
        let state = new PartitionState(SMALL);
        for (let i = 0; i <= entries.length; i += 1) {
          if (cuts.includes(i)) {
            const restored = new PartitionState(SMALL);
            restored.restore(i === 0 ? undefined : state.encode(), logIndex(i));
            state = restored;
          }
          const entry = entries[i];
          if (entry !== undefined) state.apply(entry);
        }
        expect(state.encode()).to.deep.equal(whole.encode());
        expect(state.appliedIndex).to.equal(entries.length);
      }),
      { numRuns: casesOf(300) },
    );
  });

  it('does not depend on entries without records or commands', () => {
    fc.assert(
      fc.property(logs, (entries) => {
        const relevant = entries.filter((e) => e.kind === 'batch' || e.kind === 'command');
        const state = applied(relevant);
        expect(state.encode()).to.deep.equal(applied(entries).encode());
      }),
    );
  });

  it('keeps its bounds, whatever is applied', () => {
    fc.assert(
      fc.property(logs, (entries) => {
        const state = new PartitionState(SMALL);
        let [highWatermark, logStart] = [0, 0];
        for (const entry of entries) {
          state.apply(entry);
          expect(state.producers.size).to.be.at.most(4);
          expect(state.index.length).to.be.at.most(6);
          expect(state.highWatermark).to.be.at.least(highWatermark);
          expect(state.logStartOffset).to.be.within(logStart, state.highWatermark);
          [highWatermark, logStart] = [state.highWatermark, state.logStartOffset];
        }
      }),
    );
  });

  it('applies a batch exactly at the next offset', () => {
    const log = new LogWriter();
    const [first, second] = [log.batch({ records: 3 }), log.batch()];
    const state = applied([first]);
    expect(state.highWatermark).to.equal(3);
    expect(() => state.apply({ ...first, index: second.index })).to.throw(/offset gap/);
  });

  it('applies entries in order, each once', () => {
    const log = new LogWriter();
    const entry = log.batch();
    const state = applied([entry]);
    expect(() => state.apply(entry)).to.throw(/in order/);
  });

  it('checks that a batch carries the term it was appended in', () => {
    const log = new LogWriter();
    const entry = log.batch();
    expect(() => applied([{ ...entry, term: term(2) }])).to.throw(/carries the term/);
  });

  it('moves the log start forward only, and never beyond the high watermark', () => {
    const log = new LogWriter();
    const state = applied([log.batch({ records: 10 })]);
    expect(state.apply(log.moveLogStart(4))).to.deep.equal({ kind: 'moved', logStartOffset: 4 });
    expect(state.apply(log.moveLogStart(2))).to.deep.equal({ kind: 'moved', logStartOffset: 4 });
    expect(state.apply(log.moveLogStart(11))?.kind).to.equal('rejected');
    expect(state.apply(log.moveLogStart(10))).to.deep.equal({ kind: 'moved', logStartOffset: 10 });
    expect(state.logStartOffset).to.equal(10);
  });

  it('forgets epochs and spans that end below the log start', () => {
    const log = new LogWriter();
    const state = applied([log.batch({ records: 4, valueBytes: 200 })]);
    log.term = term(3);
    state.apply(log.batch({ records: 4, valueBytes: 200 }));
    state.apply(log.moveLogStart(4));
    expect(state.epochs.epochOf(offset(3))).to.equal(undefined);
    expect(state.epochs.epochOf(offset(4))).to.equal(3);
    expect(state.index.length).to.equal(1);
    expect(state.index.spanOf(offset(4))?.offset).to.equal(4);
  });

  it('takes nothing from a leader whose time falls', () => {
    const log = new LogWriter();
    const state = applied([log.batch(), log.batch()]);
    expect(state.timeMs).to.equal(1_000);
    log.timeMs = 999;
    const late = log.batch();
    expect(() => state.apply(late)).to.throw(/time never falls/);
  });

  it('takes no batch with more records than offsets', () => {
    const entry = new LogWriter().batch({ records: 3 });
    const payload = entry.payload.slice();
    new DataView(payload.buffer).setInt32(23, 1);
    expect(() => applied([{ ...entry, payload }])).to.throw(/no more records than offsets/);
    new DataView(payload.buffer).setInt32(23, -1);
    expect(() => applied([{ ...entry, payload }])).to.throw(/has offsets/);
  });

  it('counts what was written since the log was compacted', () => {
    const log = new LogWriter();
    const first = log.batch({ records: 2, valueBytes: 300 });
    const state = applied([first, log.batch({ valueBytes: 300 })]);
    const all = state.index.bytesTotal;
    expect(state.bytesSinceCompaction).to.equal(all);
    state.apply(log.compact(2, 0, 1));
    expect(state.bytesSinceCompaction).to.equal(all - first.payload.length);
    expect(state.settled).to.deep.equal({ below: 1, sinceMs: 1_000 });
    log.timeMs = 2_000;
    expect(state.apply(log.compact(1, 1, 1))).to.deep.equal({
      kind: 'compacting',
      to: 2,
      tombstonesBelow: 1,
    });
    expect(state.bytesSinceCompaction).to.equal(all - first.payload.length);
    expect(state.settled, 'it was known').to.deep.equal({ below: 1, sinceMs: 1_000 });
    expect(state.apply(log.compact(4, 0, 0))?.kind, 'beyond the end').to.equal('rejected');
  });

  it('remembers how much lay below the bound when it rose, however often the bound is repeated', () => {
    const log = new LogWriter();
    const state = applied([log.batch({ records: 2 }), log.compact(2, 0)]);
    expect(state.bytesSinceCompaction).to.equal(0);
    const long = log.batch({ records: 2, valueBytes: 900 });
    state.apply(long);
    state.apply(log.compact(2, 0));
    expect(state.bytesSinceCompaction).to.equal(long.payload.length);
  });

  it('keeps the producer whose id is 0, and none for plain batches', () => {
    const log = new LogWriter();
    const producer = { producerId: 0, producerEpoch: 0, baseSequence: 0 };
    const state = applied([log.batch(), log.batch({ producer }), log.batch()]);
    expect([...state.producers.byAge()].map(({ producerId }) => producerId)).to.deep.equal([0]);
    expect(new PartitionState().producers.producersMax).to.equal(MODEL.producersPerPartitionMax);
  });

  it('is not compacted to begin with', () => {
    const state = new PartitionState();
    expect(state.compaction).to.deep.equal({ to: 0, tombstonesBelow: 0 });
    expect(state.settled).to.deep.equal({ below: 0, sinceMs: 0 });
  });

  it('starts from nothing again where there is no state', () => {
    const log = new LogWriter();
    const producer = { producerId: 3, producerEpoch: 0, baseSequence: 0 };
    const state = applied([log.batch({ records: 5, producer }), log.batch({ records: 5 })]);
    for (const entry of [log.moveLogStart(6), log.compact(8, 7, 7)]) state.apply(entry);
    state.restore(undefined, logIndex(2));
    expect(state.appliedIndex).to.equal(2);
    expect(state.encode()).to.deep.equal(new PartitionState(SMALL).encode());
    expect([state.highWatermark, state.logStartOffset, state.timeMs]).to.deep.equal([0, 0, 0]);
    expect(state.settled).to.deep.equal({ below: 0, sinceMs: 0 });
    expect(state.bytesSinceCompaction).to.equal(0);
  });

  it('refuses a state that it did not write', () => {
    const bytes = applied([new LogWriter().batch()]).encode();
    const state = new PartitionState(SMALL);
    expect(() => state.restore(bytes.subarray(0, bytes.length - 1), logIndex(1))).to.throw();
    expect(() => state.restore(Uint8Array.of(9, ...bytes.subarray(1)), logIndex(1))).to.throw(
      /version 9/,
    );
    expect(() => state.restore(Uint8Array.of(0, ...bytes.subarray(1)), logIndex(1))).to.throw(
      /version 0/,
    );
    expect(() => state.restore(Uint8Array.of(...bytes, 0), logIndex(1))).to.throw(/too many/);
    // Version, next offset 1, log start: 2 is beyond it.
    const beyond = bytes.slice();
    beyond[2] = 2;
    expect(() => state.restore(beyond, logIndex(1))).to.throw(/within the log/);
  });

  it('refuses a command that it does not know instead of skipping it', () => {
    const log = new LogWriter();
    const entry = log.moveLogStart(0);
    const payload = entry.payload.slice();
    payload[1] = 77;
    expect(() => applied([{ ...entry, payload }])).to.throw(/kind 77/);
  });
});
