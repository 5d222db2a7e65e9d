import { expect } from 'chai';
import fc from 'fast-check';
import { MalformedBytesError } from '../../../src/base/bytes.js';
import { crc32c } from '../../../src/base/crc32c.js';
import { offset, term } from '../../../src/model/ids.js';
import {
  readBatchHeader,
  stampBatch,
  stampLogAppendTime,
  type RecordBatchHeader,
} from '../../../src/model/record-batch.js';
import { NO_PRODUCER, RecordBatchBuilder } from '../../../src/model/record-batch-builder.js';
import { RecordTable } from '../../../src/model/record-table.js';
import type { RecordFields, StoredRecord } from '../../../src/model/record.js';
import { naiveRecords } from '../../support/naive-records.js';

const NOW = 1_700_000_000_000;
const HEADER_BYTES = 61;

const field = fc.option(fc.uint8Array({ maxLength: 400 }), { nil: undefined });
const header = fc.record({ key: fc.string({ unit: 'grapheme' }), value: field });
const record = fc.record({
  key: field,
  value: field,
  headers: fc.array(header, { maxLength: 3 }),
});
const timed = fc.tuple(record, fc.integer({ min: -(2 ** 50), max: 2 ** 50 }));

function build(records: readonly (readonly [RecordFields, number])[]): Uint8Array {
  const builder = new RecordBatchBuilder();
  for (const [fields, timestampMs] of records) builder.append(fields, timestampMs);
  const batch = builder.finish(NO_PRODUCER, crc32c);
  stampBatch(batch, { baseOffset: offset(2 ** 40), leaderEpoch: term(9) });
  return batch;
}

function tableOf(batch: Uint8Array): RecordTable {
  return new RecordTable(readBatchHeader(batch), batch.subarray(HEADER_BYTES));
}

/** What a walk over these bytes gives; undefined: they are refused. */
function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    expect(error).to.be.instanceOf(MalformedBytesError);
    return undefined;
  }
}

describe('model/record-table', () => {
  it('finds what decoding one record after the other finds', () => {
    fc.assert(
      fc.property(fc.array(timed, { minLength: 1, maxLength: 20 }), (records) => {
        const batch = build(records);
        const wanted = naiveRecords(readBatchHeader(batch), batch.subarray(HEADER_BYTES));
        const table = tableOf(batch);
        expect(table.records()).to.deep.equal(wanted);
        for (const [i, one] of wanted.entries()) expectPlaces(table, i, one);
      }),
    );
  });

  function expectPlaces(table: RecordTable, i: number, wanted: StoredRecord): void {
    const { bytes } = table;
    const cut = (start: number, end: number): Uint8Array | undefined =>
      start < 0 ? undefined : bytes.subarray(start, end);
    expect(table.offset(i)).to.equal(wanted.offset);
    expect(table.timestampMs(i)).to.equal(wanted.timestampMs);
    expect(table.headersOf(i)).to.deep.equal(wanted.headers);
    expect(table.key(i)).to.deep.equal(wanted.key);
    expect(table.value(i)).to.deep.equal(wanted.value);
    expect(cut(table.keyStart(i), table.keyEnd(i))).to.deep.equal(wanted.key);
    expect(cut(table.valueStart(i), table.valueEnd(i))).to.deep.equal(wanted.value);
  }

  it('takes the time of the append where the topic says so', () => {
    const batch = build([[{ value: new Uint8Array(3) }, NOW]]);
    stampLogAppendTime(batch, NOW + 77, crc32c);
    const table = tableOf(batch);
    expect(table.timestampMs(0)).to.equal(NOW + 77);
    expect(table.record(0).timestampMs).to.equal(NOW + 77);
  });

  it('hands out views that are no Buffers, whatever the bytes came in', () => {
    const batch = Buffer.from(build([[{ key: Uint8Array.of(1), value: Uint8Array.of(2) }, NOW]]));
    const table = new RecordTable(readBatchHeader(batch), batch.subarray(HEADER_BYTES));
    const { key, value } = table.record(0);
    expect(key?.constructor).to.equal(Uint8Array);
    expect(value?.constructor).to.equal(Uint8Array);
    expect(value?.buffer).to.equal(batch.buffer);
  });

  it('finds records by offset, also where compaction has left holes', () => {
    const batch = build([1, 2, 3].map((i) => [{ value: Uint8Array.of(i) }, NOW] as const));
    // Offset deltas of the three are 0, 1, 2: the last becomes 5.
    const holed = batch.with(batch.length - 5, 10);
    const wide: RecordBatchHeader = { ...readBatchHeader(batch), lastOffsetDelta: 5 };
    const table = new RecordTable(wide, holed.subarray(HEADER_BYTES));
    const found = [0, 1, 2, 5, 6].map((delta) => table.indexFrom(2 ** 40 + delta));
    expect(found).to.deep.equal([0, 1, 2, 2, 3]);
  });

  it('is empty for a batch that compaction has emptied', () => {
    const emptied = { ...readBatchHeader(build([[{}, NOW]])), recordsCount: 0 };
    expect(new RecordTable(emptied, new Uint8Array(0)).records()).to.deep.equal([]);
    expect(() => new RecordTable(emptied, new Uint8Array(1))).to.throw(MalformedBytesError);
  });

  it('refuses a count that no bytes are there for, before it takes memory for it', () => {
    const batch = build([[{}, NOW]]);
    for (const recordsCount of [-1, 2, 2 ** 31 - 1]) {
      const lying = { ...readBatchHeader(batch), recordsCount };
      expect(() => new RecordTable(lying, batch.subarray(HEADER_BYTES))).to.throw(
        MalformedBytesError,
      );
    }
  });

  it('knows no record but its own', () => {
    const table = tableOf(build([[{}, NOW]]));
    for (const index of [-1, 1]) expect(() => table.offset(index)).to.throw(RangeError);
  });

  it('judges damaged records as decoding one after the other does', () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 });
    const records = fc.array(timed, { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(records, damage, fc.nat(3), (given, changes, cut) => {
        const batch = build(given);
        const broken = batch.slice(HEADER_BYTES, batch.length - cut);
        for (const [at, byte] of changes) broken[at % broken.length] = byte;
        const asRecords = attempt(() => naiveRecords(readBatchHeader(batch), broken));
        const asTable = attempt(() => new RecordTable(readBatchHeader(batch), broken).records());
        expect(asTable).to.deep.equal(asRecords);
      }),
      { numRuns: 1_000 },
    );
  });

  it('refuses garbage, and never reads past its end', () => {
    const { length } = build([[{ value: new Uint8Array(30) }, NOW]]);
    const three = readBatchHeader(build([1, 2, 3].map(() => [{}, NOW] as const)));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: length }), (garbage) => {
        const asRecords = attempt(() => naiveRecords(three, garbage));
        expect(attempt(() => new RecordTable(three, garbage).records())).to.deep.equal(asRecords);
      }),
      { numRuns: 1_000 },
    );
  });
});
