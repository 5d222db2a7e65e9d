import { expect } from 'chai';
import fc from 'fast-check';
import { MalformedBytesError } from '../../../src/base/bytes.js';
import { crc32c } from '../../../src/base/crc32c.js';
import { BrokerError } from '../../../src/model/errors.js';
import { offset, term } from '../../../src/model/ids.js';
import {
  readBatchHeader,
  stampBatch,
  stampLogAppendTime,
} from '../../../src/model/record-batch.js';
import {
  NO_PRODUCER,
  RecordBatchBuilder,
  recordBytesMax,
  stampProducer,
} from '../../../src/model/record-batch-builder.js';
import { splitBatches, type RecordFields } from '../../../src/model/record.js';
import { recordsOf } from '../../support/records-of.js';

const NOW = 1_700_000_000_000;

const field = fc.option(fc.uint8Array({ maxLength: 400 }), { nil: undefined });
const record = fc.record({
  key: field,
  value: field,
  headers: fc.array(fc.record({ key: fc.string({ unit: 'grapheme' }), value: field }), {
    maxLength: 3,
  }),
});
const timed = fc.tuple(record, fc.integer({ min: -(2 ** 50), max: 2 ** 50 }));

function build(records: readonly RecordFields[]): Uint8Array {
  const builder = new RecordBatchBuilder();
  for (const r of records) builder.append(r, NOW);
  return builder.finish(NO_PRODUCER, crc32c);
}

describe('records', () => {
  it('come back as they went in', () => {
    fc.assert(
      fc.property(fc.array(timed, { minLength: 1, maxLength: 20 }), (records) => {
        const builder = new RecordBatchBuilder(61);
        let bytesMax = 61;
        for (const [r, timestampMs] of records) {
          builder.append(r, timestampMs);
          bytesMax += recordBytesMax(r);
          expect(builder.bytes).to.be.at.most(bytesMax);
        }
        const batch = builder.finish(NO_PRODUCER, crc32c);
        const [only] = splitBatches(batch, crc32c);
        const back = recordsOf(only!.header, batch.subarray(61));
        expect(back).to.deep.equal(
          records.map(([r, timestampMs], i) => ({ offset: i, timestampMs, ...r })),
        );
        expect(only!.header.maxTimestamp).to.equal(Math.max(...records.map(([, t]) => t)));
      }),
    );
  });

  it('cut from a larger buffer equal records given alone', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(300), fc.nat(300), (source, a, b) => {
        const start = Math.min(a, b, source.length);
        const end = Math.min(Math.max(a, b), source.length);
        const cut = new RecordBatchBuilder(64);
        const alone = new RecordBatchBuilder();
        for (const timestampMs of [NOW, NOW + 2 ** 40]) {
          cut.appendValue(source, start, end, timestampMs);
          alone.append({ value: source.slice(start, end) }, timestampMs);
        }
        expect(cut.finish(NO_PRODUCER, crc32c)).to.deep.equal(alone.finish(NO_PRODUCER, crc32c));
      }),
    );
  });

  it('take offsets from the base offset the leader stamped', () => {
    const batch = build([{ value: new Uint8Array(3) }, { value: new Uint8Array(4) }]);
    stampBatch(batch, { baseOffset: offset(2 ** 40), leaderEpoch: term(9) });
    const [only] = splitBatches(batch, crc32c);
    const offsets = recordsOf(only!.header, batch.subarray(61)).map((r) => r.offset);
    expect(offsets).to.deep.equal([2 ** 40, 2 ** 40 + 1]);
  });

  it('take the time of the append where the topic says so', () => {
    const batch = build([{ value: new Uint8Array(3) }]);
    stampLogAppendTime(batch, NOW + 77, crc32c);
    const [only] = splitBatches(batch, crc32c);
    expect(recordsOf(only!.header, batch.subarray(61))[0]?.timestampMs).to.equal(NOW + 77);
  });

  it('keep their bytes when a batch gets a new producer stamp', () => {
    const batch = build([{ value: Uint8Array.of(1, 2, 3) }]);
    stampProducer(batch, { producerId: 5, producerEpoch: 2, baseSequence: 0 }, crc32c);
    const [only] = splitBatches(batch, crc32c);
    expect(only?.header).to.include({ producerId: 5, producerEpoch: 2, baseSequence: 0 });
    expect(recordsOf(only!.header, batch.subarray(61))[0]?.value).to.deep.equal(
      Uint8Array.of(1, 2, 3),
    );
  });

  it('never read past their end, whatever the bytes', () => {
    const header = readBatchHeader(build([{ value: new Uint8Array(30) }, {}, {}]));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (garbage) => {
        try {
          recordsOf(header, garbage);
        } catch (error) {
          expect(error).to.be.instanceOf(MalformedBytesError);
        }
      }),
    );
  });

  const damage: [string, (records: Uint8Array) => Uint8Array][] = [
    ['a byte short', (r) => r.subarray(0, -1)],
    ['a byte too many', (r) => Uint8Array.from([...r, 0])],
    ['a negative record length', (r) => Uint8Array.from([1, ...r.subarray(1)])],
    ['an overlong varint', (r) => Uint8Array.from([0xff, 0xff, 0xff, 0xff, 0xff, 1, ...r])],
    ['a varint beyond 32 bits', (r) => Uint8Array.from([0xff, 0xff, 0xff, 0xff, 0x7f, ...r])],
    ['an offset delta beyond the last', (r) => r.with(3, 8)],
    ['a value longer than its record', (r) => r.with(5, 40)],
    ['a negative value length below -1', (r) => r.with(5, 5)],
    ['more headers than bytes', (r) => r.with(9, 4)],
  ];
  for (const [name, break_] of damage) {
    it(`refuse ${name}`, () => {
      const batch = build([{ value: Uint8Array.of(1, 2, 3) }]);
      const broken = break_(batch.subarray(61));
      expect(() => recordsOf(readBatchHeader(batch), broken)).to.throw(MalformedBytesError);
    });
  }
});

describe('splitting fetched bytes into batches', () => {
  const batch = build([{ value: new Uint8Array(20) }]);
  const damage: [string, Uint8Array][] = [
    ['a cut header', batch.subarray(0, 60)],
    ['a cut batch', batch.subarray(0, -1)],
    ['another magic', batch.with(16, 1)],
    ['a negative length', batch.with(8, 0xff)],
    ['a length below a header', batch.with(11, 10)],
    ['a base offset beyond 2^53', batch.with(0, 0x7f)],
    ['a flipped bit in a record', batch.with(70, batch[70]! ^ 1)],
    ['a flipped bit in the count', batch.with(60, batch[60]! ^ 1)],
  ];
  for (const [name, bytes] of damage) {
    it(`refuses ${name}`, () => {
      expect(() => splitBatches(bytes, crc32c))
        .to.throw(BrokerError)
        .with.property('code', 'CORRUPT_BATCH');
    });
  }

  it('finds none in no bytes', () => {
    expect(splitBatches(new Uint8Array(), crc32c)).to.deep.equal([]);
  });
});
