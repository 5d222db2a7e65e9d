import { expect } from 'chai';
import { ByteReader, ByteWriter } from '../../../src/base/bytes.js';
import { offset, term } from '../../../src/model/ids.js';
import { logIndex } from '../../../src/model/ids.js';
import { EpochCache } from '../../../src/partition/epoch-cache.js';
import type { IndexSpan } from '../../../src/partition/offset-index.js';
import { decideRetention } from '../../../src/partition/retention.js';

describe('EpochCache', () => {
  const cache = (): EpochCache => {
    const epochs = new EpochCache();
    for (const [epoch, start] of [
      [2, 0],
      [2, 5],
      [5, 10],
      [9, 20],
    ] as const) {
      epochs.assign(term(epoch), offset(start));
    }
    return epochs;
  };

  it('tells which epoch wrote an offset', () => {
    const epochs = cache();
    expect([0, 9, 10, 19, 20, 99].map((at) => epochs.epochOf(offset(at)))).to.deep.equal([
      2, 2, 5, 5, 9, 9,
    ]);
  });

  it('tells where the records of an epoch and of all before it end', () => {
    const epochs = cache();
    const ends = [1, 2, 3, 5, 8, 9, 10].map((e) => epochs.endOffsetOf(e, offset(30)));
    expect(ends).to.deep.equal([0, 10, 10, 20, 20, 30, 30]);
  });

  it('keeps the epoch that the log start lies in', () => {
    const epochs = cache();
    epochs.trimBefore(offset(12));
    expect(epochs.epochOf(offset(9))).to.equal(undefined);
    expect(epochs.epochOf(offset(12))).to.equal(5);
    epochs.trimBefore(offset(20));
    expect(epochs.epochOf(offset(19))).to.equal(undefined);
    expect(epochs.epochOf(offset(20))).to.equal(9);
  });

  it('knows nothing of a log without records', () => {
    const epochs = new EpochCache();
    epochs.trimBefore(offset(5));
    expect([epochs.last, epochs.epochOf(offset(0))]).to.deep.equal([undefined, undefined]);
    expect(epochs.endOffsetOf(3, offset(7))).to.equal(7);
    expect(cache().last).to.equal(9);
  });

  it('remembers the newest 4096 epochs, here and after a restart', () => {
    const epochs = new EpochCache();
    for (let epoch = 1; epoch <= 4_096; epoch += 1) epochs.assign(term(epoch), offset(epoch * 10));
    expect(epochs.epochOf(offset(10))).to.equal(1);
    const full = new ByteWriter();
    epochs.encode(full);
    expect(EpochCache.decode(new ByteReader(full.finish())).epochOf(offset(19))).to.equal(1);

    epochs.assign(term(4_097), offset(40_970));
    expect(epochs.epochOf(offset(19))).to.equal(undefined);
    expect(epochs.epochOf(offset(20))).to.equal(2);
    expect(epochs.last).to.equal(4_097);
    const tooMany = new ByteWriter().uvarint(4_097);
    expect(() => EpochCache.decode(new ByteReader(tooMany.finish()))).to.throw(/4097/);
  });

  it('refuses an epoch that falls', () => {
    expect(() => cache().assign(term(8), offset(40))).to.throw(/falls/);
  });
});

describe('decideRetention', () => {
  /** Spans of 100 offsets and 1000 bytes; the leader's time at the end of span i is (i + 1) * 10. */
  const spans = (count: number): IndexSpan[] =>
    Array.from({ length: count }, (_, i) => ({
      offset: offset(i * 100),
      endOffset: offset((i + 1) * 100),
      index: logIndex(i + 1),
      bytesBefore: i * 1_000,
      bytesAfter: (i + 1) * 1_000,
      maxTimestamp: 0,
      lastTimeMs: (i + 1) * 10,
    }));
  const at = (nowMs: number, logStart = 0) => ({
    logStartOffset: offset(logStart),
    endOffset: offset(400),
    bytesTotal: 4_000,
    nowMs,
  });
  const cases: [
    string,
    number,
    { ms?: number; bytes?: number; records?: number },
    number | undefined,
  ][] = [
    ['keeps everything without limits', 1_000_000, {}, undefined],
    ['drops spans that are too old', 71, { ms: 50 }, 200],
    ['keeps what is exactly as old as allowed', 70, { ms: 50 }, 100],
    ['drops everything when all is too old', 1_000, { ms: 50 }, 400],
    ['drops spans above the size limit, never below it', 0, { bytes: 2_500 }, 100],
    ['meets a size limit exactly', 0, { bytes: 2_000 }, 200],
    ['keeps the last span however small the limit', 0, { bytes: 1 }, 300],
    ['drops by whichever limit takes more', 71, { ms: 50, bytes: 1_000 }, 300],
    ['keeps everything below the size limit', 0, { bytes: 4_000 }, undefined],
    ['keeps exactly as many records as are wanted', 0, { records: 250 }, 150],
    ['keeps a single record if no more are wanted', 0, { records: 1 }, 399],
    ['keeps everything up to the number of records', 0, { records: 400 }, undefined],
    ['drops by count where bytes would keep more', 0, { bytes: 2_500, records: 250 }, 150],
    ['drops by bytes where count would keep more', 0, { bytes: 2_000, records: 250 }, 200],
    ['keeps nothing that is older than now', 31, { ms: 0 }, 300],
    ['keeps no bytes', 0, { bytes: 0 }, 400],
    ['keeps no record', 0, { records: 0 }, 400],
    ['drops by age where count would keep more', 1_000, { ms: 50, records: 250 }, 400],
  ];
  for (const [rule, nowMs, { ms, bytes, records }, want] of cases) {
    it(rule, () => {
      const settings = {
        retentionMs: ms ?? -1,
        retentionBytes: bytes ?? -1,
        retentionRecords: records ?? -1,
      };
      expect(decideRetention(spans(4), at(nowMs), settings)).to.equal(want);
    });
  }

  it('says nothing when the log start is already there', () => {
    const settings = { retentionMs: 50, retentionBytes: -1, retentionRecords: 300 };
    expect(decideRetention(spans(4), at(71, 200), settings)).to.equal(undefined);
    expect(decideRetention([], at(71, 400), settings)).to.equal(undefined);
  });
});
