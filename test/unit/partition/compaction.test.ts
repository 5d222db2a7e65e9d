import { expect } from 'chai';
import fc from 'fast-check';
import { gunzipSync, gzipSync } from 'node:zlib';
import { crc32c } from '../../../src/base/crc32c.js';
import { offset, term } from '../../../src/model/ids.js';
import { rewrittenEntry, type LogEntry } from '../../../src/model/log-entry.js';
import { NO_PRODUCER, RecordBatchBuilder } from '../../../src/model/record-batch-builder.js';
import { isWholeBatch, readBatchHeader, stampBatch } from '../../../src/model/record-batch.js';
import {
  codecOfBatch,
  compactBatch,
  firstKeyless,
  KeyTable,
  noteKeys,
  rebuildBatch,
  recordsOfBatch,
  type BatchRecords,
} from '../../../src/partition/compaction.js';
import { PartitionState } from '../../../src/partition/partition-state.js';
import { LogWriter } from './log-fixture.js';
import { casesOf } from '../../support/cases.js';
import { recordsOf } from '../../support/records-of.js';

interface Given {
  /** Undefined: no key. */
  readonly key: number | undefined;
  /** Undefined: a tombstone. */
  readonly value: number | undefined;
}

interface Kept extends Given {
  readonly offset: number;
}

const KEYS = ['', 'a', '\u00ff', 'aa', 'long key '.repeat(900)].map((text) =>
  Uint8Array.from(Buffer.from(text, 'latin1')),
);

const NOTHING = { count: 0, bytes: new Uint8Array() };

const givens = fc.record({
  key: fc.option(fc.nat(KEYS.length - 1), { nil: undefined, freq: 8 }),
  value: fc.option(fc.nat(255), { nil: undefined, freq: 3 }),
});
const logsOfBatches = fc.array(
  fc.record({ records: fc.array(givens, { minLength: 1, maxLength: 5 }), gzip: fc.boolean() }),
  { maxLength: 14 },
);

function batchOf(records: readonly Given[], at: number, gzip: boolean): Uint8Array {
  const builder = new RecordBatchBuilder();
  for (const { key, value } of records) {
    const fields = {
      key: key === undefined ? undefined : KEYS[key],
      value: value === undefined ? undefined : Uint8Array.of(value),
    };
    builder.append(fields, 1_000 + at);
  }
  const batch = builder.finish(
    NO_PRODUCER,
    crc32c,
    gzip ? { codec: 'gzip', records: gzipSync(builder.records()) } : undefined,
  );
  stampBatch(batch, { baseOffset: offset(at), leaderEpoch: term(1) });
  return batch;
}

function opened(batch: Uint8Array): BatchRecords {
  const packed = recordsOfBatch(batch);
  if (codecOfBatch(batch) === 0) return packed;
  return recordsOfBatch(batch, new Uint8Array(gunzipSync(packed.records)));
}

/** What a log of batches holds. */
function contents(batches: readonly Uint8Array[]): Kept[] {
  return batches.flatMap((batch) => {
    const { header, records } = opened(batch);
    return recordsOf(header, records).map((record) => {
      const key = KEYS.findIndex(
        (one) => Buffer.compare(one, record.key ?? Buffer.from('?')) === 0,
      );
      return {
        offset: record.offset,
        key: key < 0 ? undefined : key,
        value: record.value?.[0],
      };
    });
  });
}

/** What compaction means, said as plainly as possible. */
function model(all: readonly Kept[], to: number, tombstonesBelow: number): Kept[] {
  return all.filter((record) => {
    if (record.offset >= to) return true;
    const isLast = !all.some(
      (other) => other.key === record.key && other.offset > record.offset && other.offset < to,
    );
    const isGone = record.value === undefined && record.offset < tombstonesBelow;
    return record.key !== undefined && isLast && !isGone;
  });
}

interface Progress {
  readonly to: number;
  readonly tombstonesBelow: number;
}

/** As a replica does it: stretch by stretch, each over everything before it. */
function compact(
  log: Uint8Array[],
  from: Progress,
  goal: Progress,
  limits: { readonly bytesMax: number; readonly recordsMax: number },
  crashAfter = Infinity,
): Progress {
  let done = from.to;
  for (let round = 0; round === 0 || done < goal.to; round += 1) {
    const keys = new KeyTable(limits);
    let end = goal.to;
    for (const batch of log) {
      const header = readBatchHeader(batch);
      if (header.baseOffset + header.lastOffsetDelta < done) continue;
      const range = { from: offset(done), below: offset(goal.to) };
      const full = noteKeys(opened(batch), range, keys);
      if (full === undefined) continue;
      end = full;
      break;
    }
    expect(end).to.be.greaterThan(done - (round === 0 && done === goal.to ? 1 : 0));
    const step = {
      keys,
      to: offset(end),
      tombstonesBelow: offset(Math.min(goal.tombstonesBelow, end)),
    };
    for (const [at, batch] of log.entries()) {
      if (at >= crashAfter) return from;
      if (readBatchHeader(batch).baseOffset >= end) break;
      const { rest } = compactBatch(opened(batch), step);
      if (rest === undefined) continue;
      const packed = codecOfBatch(batch) !== 0 && rest.count > 0;
      const compressed = packed ? { codec: 1, bytes: gzipSync(rest.bytes) } : undefined;
      log[at] = rebuildBatch(batch, rest, { compressed, crc32c });
    }
    done = end;
  }
  return goal;
}

describe('compaction', () => {
  it('leaves what its definition says, by whatever steps, crashes and lost beginnings', () => {
    fc.assert(
      fc.property(
        logsOfBatches,
        fc.array(fc.tuple(fc.nat(60), fc.nat(60), fc.nat(20)), { minLength: 1, maxLength: 4 }),
        fc.record({
          bytesMax: fc.integer({ min: 1, max: 30_000 }),
          recordsMax: fc.integer({ min: 1, max: 30 }),
        }),
        fc.nat(6),
        (batches, steps, limits, dropped) => {
          let next = 0;
          const log: Uint8Array[] = [];
          for (const { records, gzip } of batches) {
            log.push(batchOf(records, next, gzip));
            next += records.length;
          }
          const before = [...log];
          const all = contents(log);
          let progress: Progress = { to: 0, tombstonesBelow: 0 };
          let goal = progress;
          for (const [to, below, crash] of steps) {
            goal = {
              to: Math.max(goal.to, Math.min(next, to)),
              tombstonesBelow: Math.max(goal.tombstonesBelow, Math.min(below, to, next)),
            };
            // Every other step dies on its way, and is taken up from where it was known to be.
            if (crash < 10) progress = compact(log, progress, goal, limits, crash);
            progress = compact(log, progress, goal, limits);
          }
          expect(contents(log)).to.deep.equal(model(all, goal.to, goal.tombstonesBelow));

          // A log that lost its beginning, and got there at once, holds the same where it has anything.
          const late = before.slice(dropped);
          compact(late, { to: 0, tombstonesBelow: 0 }, goal, { bytesMax: 1e9, recordsMax: 1e9 });
          expect(contents(late)).to.deep.equal(contents(log.slice(dropped)));

          for (const [at, batch] of log.entries()) {
            const original = before[at]!;
            expect(isWholeBatch(batch, 1, crc32c)).to.equal(true);
            const [is, was] = [readBatchHeader(batch), readBatchHeader(original)];
            if (is.recordsCount === was.recordsCount) expect(batch).to.equal(original);
            for (const field of [
              'baseOffset',
              'lastOffsetDelta',
              'maxTimestamp',
              'producerId',
              'leaderEpoch',
            ] as const) {
              expect(is[field]).to.equal(was[field]);
            }
          }
        },
      ),
      { numRuns: casesOf(400) },
    );
  });

  it('takes at least one record however little it may remember, and says where it stopped', () => {
    const keys = new KeyTable({ bytesMax: 1, recordsMax: 1 });
    const batch = opened(
      batchOf(
        [
          { key: 4, value: 1 },
          { key: 1, value: 1 },
        ],
        7,
        false,
      ),
    );
    expect(noteKeys(batch, { from: offset(0), below: offset(99) }, keys)).to.equal(8);
    expect(keys.size).to.equal(1);
  });

  it('remembers as many records as it may, and as many bytes of different keys', () => {
    const keyOf = (n: number): Uint8Array => Uint8Array.of(9, 9, 9, n);
    const three = new KeyTable({ bytesMax: 1e6, recordsMax: 3 });
    const taken = [1, 2, 2, 1].map((key, at) => three.note(keyOf(key), offset(at)));
    expect(taken).to.deep.equal([true, true, true, false]);
    expect([three.size, three.lastOf(keyOf(1)), three.lastOf(keyOf(2))]).to.deep.equal([2, 0, 2]);

    /** The least that holds so many keys. */
    const bytesFor = (count: number): number => {
      for (let bytesMax = 1; ; bytesMax += 1) {
        const keys = new KeyTable({ bytesMax, recordsMax: 100 });
        const all = Array.from({ length: count }, (_, i) => keys.note(keyOf(i), offset(i)));
        if (!all.includes(false)) return bytesMax;
      }
    };
    const each = bytesFor(2) / 2;
    expect(each).to.be.greaterThan(64);
    expect([bytesFor(3), bytesFor(5)]).to.deep.equal([3 * each, 5 * each]);
    const repeated = new KeyTable({ bytesMax: each, recordsMax: 100 });
    for (let at = 0; at < 9; at += 1) {
      expect(repeated.note(keyOf(1), offset(at)), 'a key is kept once').to.equal(true);
    }
  });

  const first = { key: 0, value: 1 };
  const dead = { key: 1, value: undefined };
  const tombstones: {
    what: string;
    records: readonly Given[];
    tombstonesBelow: number;
    want: { left: number | 'all'; firstTombstone: number | undefined };
  }[] = [
    {
      what: 'none',
      records: [first, { key: 1, value: 2 }],
      tombstonesBelow: 0,
      want: { left: 'all', firstTombstone: undefined },
    },
    {
      what: 'one in a batch of which everything stays',
      records: [first, dead],
      tombstonesBelow: 10,
      want: { left: 'all', firstTombstone: 11 },
    },
    {
      what: 'one of two, where the first is superseded',
      records: [dead, first, dead],
      tombstonesBelow: 10,
      want: { left: 2, firstTombstone: 12 },
    },
    {
      what: 'none that is old enough to go',
      records: [dead, first],
      tombstonesBelow: 11,
      want: { left: 1, firstTombstone: undefined },
    },
    {
      what: 'the first that is too young',
      records: [dead, { key: 2, value: undefined }, { key: 3, value: undefined }],
      tombstonesBelow: 11,
      want: { left: 2, firstTombstone: 11 },
    },
    {
      what: 'none in a batch without records',
      records: [],
      tombstonesBelow: 11,
      want: { left: 'all', firstTombstone: undefined },
    },
  ];
  for (const { what, records, tombstonesBelow, want } of tombstones) {
    it(`tells which tombstone stays: ${what}`, () => {
      const batch =
        records.length > 0
          ? opened(batchOf(records, 10, false))
          : opened(rebuildBatch(batchOf([first], 10, false), NOTHING, { crc32c }));
      const keys = new KeyTable({ bytesMax: 1e6, recordsMax: 1e6 });
      noteKeys(batch, { from: offset(0), below: offset(99) }, keys);
      const step = { keys, to: offset(99), tombstonesBelow: offset(tombstonesBelow) };
      const { rest, firstTombstone } = compactBatch(batch, step);
      expect({ left: rest?.count ?? 'all', firstTombstone }).to.deep.equal(want);
    });
  }

  it('looks at no record from where it ends on: neither for keys nor to take it away', () => {
    const again = { key: 0, value: 2 };
    const batch = opened(batchOf([first, again, again, dead], 10, false));
    const keys = new KeyTable({ bytesMax: 1e6, recordsMax: 1e6 });
    noteKeys(batch, { from: offset(10), below: offset(12) }, keys);
    expect([keys.size, keys.lastOf(KEYS[0]!)]).to.deep.equal([1, 11]);
    const all = new KeyTable({ bytesMax: 1e6, recordsMax: 1e6 });
    noteKeys(batch, { from: offset(10), below: offset(99) }, all);
    const left = (to: number): (number | 'all')[] => {
      const step = { keys: all, to: offset(to), tombstonesBelow: offset(99) };
      return [to, compactBatch(batch, step).rest?.count ?? 'all'];
    };
    expect([10, 11, 12, 13, 14].map(left)).to.deep.equal([
      [10, 'all'],
      [11, 3],
      [12, 2],
      [13, 2],
      [14, 1],
    ]);
  });

  it('stores records compressed only where that makes them smaller', () => {
    const batch = batchOf([first, { key: 4, value: 1 }], 0, false);
    const bytes = recordsOfBatch(batch).records;
    const stored = (by: number): Uint8Array => {
      const compressed = { codec: 1, bytes: new Uint8Array(bytes.length + by) };
      return rebuildBatch(batch, { count: 2, bytes }, { compressed, crc32c });
    };
    expect([-1, 0, 1].map((by) => codecOfBatch(stored(by)))).to.deep.equal([1, 0, 0]);
    expect(stored(0)).to.deep.equal(batch);
    expect(stored(-1).length).to.equal(batch.length - 1);
  });

  it('leaves a batch that holds no readable records as it is', () => {
    const batch = batchOf(
      [
        { key: 1, value: 1 },
        { key: 1, value: 2 },
      ],
      0,
      false,
    );
    const spoilt = { ...opened(batch), records: Uint8Array.of(1, 2, 3) };
    const keys = new KeyTable({ bytesMax: 1e6, recordsMax: 1e6 });
    const range = { from: offset(0), below: offset(9) };
    expect(noteKeys(spoilt, range, keys)).to.equal(undefined);
    const step = { keys, to: offset(9), tombstonesBelow: offset(9) };
    expect(compactBatch(spoilt, step)).to.deep.equal({
      rest: undefined,
      firstTombstone: undefined,
    });
  });

  it('names the first record without a key', () => {
    const batch = batchOf(
      [
        { key: 1, value: 1 },
        { key: undefined, value: 2 },
      ],
      5,
      false,
    );
    expect(firstKeyless(opened(batch))?.offset).to.equal(6);
    expect(firstKeyless(opened(batchOf([{ key: 0, value: 1 }], 5, false)))).to.equal(undefined);
  });

  it('leaves the state of a partition the same, whether its entries were rewritten or not', () => {
    const log = new LogWriter();
    const producer = { producerId: 5, producerEpoch: 0 };
    const raw: LogEntry[] = [
      log.batch({ records: 3, producer: { ...producer, baseSequence: 0 } }),
      log.batch({ records: 2, valueBytes: 400 }),
      log.compact(4, 2, 4),
      log.compact(3, 3, 3),
      log.batch({ records: 4, producer: { ...producer, baseSequence: 3 } }),
      log.compact(99, 0),
    ];
    // No record of theirs has a key: nothing is left of the first two batches.
    const rewritten = raw.map((entry) => {
      if (entry.kind !== 'batch') return entry;
      const step = {
        keys: new KeyTable({ bytesMax: 1, recordsMax: 1 }),
        to: offset(5),
        tombstonesBelow: offset(0),
      };
      const { rest } = compactBatch(opened(entry.payload), step);
      if (rest === undefined) return entry;
      return rewrittenEntry(entry, rebuildBatch(entry.payload, rest, { crc32c }), crc32c);
    });
    expect(rewritten.map((entry) => entry.original !== undefined).slice(0, 2)).to.deep.equal([
      true,
      true,
    ]);
    const [a, b] = [new PartitionState(), new PartitionState()];
    const results = raw.map((entry) => a.apply(entry));
    for (const entry of rewritten) b.apply(entry);
    expect(b.encode()).to.deep.equal(a.encode());
    expect(a.compaction).to.deep.equal({ to: 4, tombstonesBelow: 3 });
    expect(a.settled).to.deep.equal({ below: 4, sinceMs: 1_000 });
    expect(results[3]).to.deep.equal({ kind: 'compacting', to: 4, tombstonesBelow: 3 });
    expect(results[5]?.kind).to.equal('rejected');
    const restored = new PartitionState();
    restored.restore(a.encode(), a.appliedIndex);
    expect(restored.compaction).to.deep.equal(a.compaction);
    expect(restored.settled).to.deep.equal(a.settled);
  });
});
