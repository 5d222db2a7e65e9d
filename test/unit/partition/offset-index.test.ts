import { expect } from 'chai';
import fc from 'fast-check';
import { ByteReader, ByteWriter } from '../../../src/base/bytes.js';
import { logIndex, offset } from '../../../src/model/ids.js';
import { OffsetIndex } from '../../../src/partition/offset-index.js';

const LIMITS = { strideBytes: 100, itemsMax: 8 };

interface Batch {
  readonly offset: number;
  readonly endOffset: number;
  readonly index: number;
  readonly bytes: number;
  readonly maxTimestamp: number;
  readonly timeMs: number;
}

const batches = fc
  .array(
    fc.record({
      records: fc.integer({ min: 1, max: 5 }),
      gap: fc.integer({ min: 0, max: 2 }),
      bytes: fc.integer({ min: 61, max: 250 }),
      maxTimestamp: fc.integer({ min: -5, max: 1_000 }),
      elapsed: fc.integer({ min: 0, max: 10 }),
    }),
    { minLength: 1, maxLength: 120 },
  )
  .map((steps) => {
    const log: Batch[] = [];
    let [at, index, timeMs] = [0, 0, 0];
    for (const { records, gap, bytes, maxTimestamp, elapsed } of steps) {
      index += 1 + gap;
      timeMs += elapsed;
      log.push({ offset: at, endOffset: at + records, index, bytes, maxTimestamp, timeMs });
      at += records;
    }
    return log;
  });

function add(to: OffsetIndex, batch: Batch): void {
  to.add({
    ...batch,
    offset: offset(batch.offset),
    endOffset: offset(batch.endOffset),
    index: logIndex(batch.index),
  });
}

describe('OffsetIndex', () => {
  it('finds a span that holds the offset, in few items, whatever was written and trimmed', () => {
    fc.assert(
      fc.property(batches, fc.nat(), (log, trim) => {
        const index = new OffsetIndex(LIMITS);
        for (const batch of log) add(index, batch);
        const end = log.at(-1)?.endOffset ?? 0;
        const logStart = trim % (end + 1);
        index.trimBefore(offset(logStart));
        expect(index.length).to.be.at.most(LIMITS.itemsMax);
        if (logStart === end) {
          expect(index.spanOf(offset(end))).to.equal(undefined);
          return;
        }
        for (const batch of log) {
          for (let at = Math.max(batch.offset, logStart); at < batch.endOffset; at += 1) {
            const span = index.spanOf(offset(at));
            expect(span?.offset).to.be.at.most(at);
            expect(span?.endOffset).to.be.above(at);
            expect(span?.index).to.be.at.most(batch.index);
            const first = log.find((b) => b.offset === span?.offset);
            expect(first?.index).to.equal(span?.index);
          }
        }
      }),
    );
  });

  it('finds the first span with a record that late', () => {
    fc.assert(
      fc.property(batches, fc.integer({ min: -10, max: 1_010 }), fc.nat(), (log, time, start) => {
        const index = new OffsetIndex(LIMITS);
        for (const batch of log) add(index, batch);
        const from = start % (log.at(-1)?.endOffset ?? 1);
        const batch = log.find((b) => b.endOffset > from && b.maxTimestamp >= time);
        const span = index.spanOfTime(time, offset(from));
        // A span may hold a late record below `from`; it never skips one above.
        if (batch === undefined) return;
        expect(span).to.not.equal(undefined);
        expect(span?.offset).to.be.at.most(batch.offset);
      }),
    );
  });

  it('covers the log with spans that add up to its bytes', () => {
    fc.assert(
      fc.property(batches, (log) => {
        const index = new OffsetIndex(LIMITS);
        for (const batch of log) add(index, batch);
        let [at, bytes, timeMs] = [0, 0, 0];
        for (const span of index.spans()) {
          expect(span.offset).to.equal(at);
          expect(span.bytesBefore).to.equal(bytes);
          const inside = log.filter((b) => b.offset >= span.offset && b.offset < span.endOffset);
          expect(span.maxTimestamp).to.equal(Math.max(...inside.map((b) => b.maxTimestamp)));
          expect(span.lastTimeMs).to.equal(inside.at(-1)?.timeMs);
          expect(span.lastTimeMs).to.be.at.least(timeMs);
          [at, bytes, timeMs] = [span.endOffset, span.bytesAfter, span.lastTimeMs];
        }
        expect(bytes).to.equal(log.reduce((sum, b) => sum + b.bytes, 0));
        expect(at).to.equal(log.at(-1)?.endOffset);
      }),
    );
  });

  it('goes on the same after encoding, byte for byte', () => {
    fc.assert(
      fc.property(batches, fc.nat(), (log, cut) => {
        const at = cut % (log.length + 1);
        let index = new OffsetIndex(LIMITS);
        const through = new OffsetIndex(LIMITS);
        log.forEach((batch, i) => {
          if (i === at) {
            const w = new ByteWriter();
            index.encode(w);
            index = OffsetIndex.decode(new ByteReader(w.finish()), LIMITS);
          }
          add(index, batch);
          add(through, batch);
        });
        const [a, b] = [new ByteWriter(), new ByteWriter()];
        index.encode(a);
        through.encode(b);
        expect(a.finish()).to.deep.equal(b.finish());
      }),
    );
  });

  describe('over spans of 100 bytes and ten records', () => {
    const even = (count: number, limits = LIMITS): OffsetIndex => {
      const index = new OffsetIndex(limits);
      for (let i = 0; i < count; i += 1) {
        const [at, endOffset] = [i * 10, i * 10 + 10];
        add(index, {
          offset: at,
          endOffset,
          index: i + 1,
          bytes: 100,
          maxTimestamp: i,
          timeMs: i,
        });
      }
      return index;
    };

    it('counts bytes below an offset, in proportion within a span', () => {
      const below = [0, 4, 9, 10, 25, 40, 99].map((at) => even(4).bytesBelow(offset(at)));
      expect(below).to.deep.equal([0, 40, 90, 100, 250, 400, 400]);
    });

    it('counts what was before the oldest span as below all that is left', () => {
      const index = even(4);
      index.trimBefore(offset(20));
      expect(index.bytesBelow(offset(5))).to.equal(200);
      expect(index.bytesBelow(offset(25))).to.equal(250);
      index.trimBefore(offset(40));
      expect(index.length).to.equal(0);
      expect(index.bytesBelow(offset(5))).to.equal(400);
      expect(index.bytesTotal).to.equal(400);
    });

    it('keeps the span that the log start lies in', () => {
      const index = even(4);
      index.trimBefore(offset(9));
      expect(index.length).to.equal(4);
      index.trimBefore(offset(10));
      expect(index.length).to.equal(3);
      index.trimBefore(offset(39));
      expect([...index.spans()].map((span) => span.offset)).to.deep.equal([30]);
    });

    it('has as many items as it may before it thins them', () => {
      expect(even(8).length).to.equal(8);
      const index = even(9);
      expect([...index.spans()].map((span) => span.endOffset - span.offset)).to.deep.equal([
        20, 20, 20, 20, 10,
      ]);
      for (const at of [90, 100]) {
        const [i, bytes] = [at / 10, 100];
        add(index, {
          offset: at,
          endOffset: at + 10,
          index: i + 1,
          bytes,
          maxTimestamp: i,
          timeMs: i,
        });
      }
      expect(index.length, 'with twice the stride').to.equal(6);
    });

    it('finds no span of a time later than all, or below the log start only', () => {
      const index = even(4);
      expect(index.spanOfTime(3, offset(0))?.offset).to.equal(30);
      expect(index.spanOfTime(4, offset(0))).to.equal(undefined);
      expect(index.spanOfTime(1, offset(19))?.offset).to.equal(10);
      expect(index.spanOfTime(1, offset(20))?.offset).to.equal(20);
      expect(index.spanOfTime(0, offset(40))).to.equal(undefined);
    });

    it('is not restored with more items than it may have', () => {
      const w = new ByteWriter();
      even(8).encode(w);
      const bytes = w.finish();
      expect(OffsetIndex.decode(new ByteReader(bytes), LIMITS).length).to.equal(8);
      const fewer = { ...LIMITS, itemsMax: 7 };
      expect(() => OffsetIndex.decode(new ByteReader(bytes), fewer)).to.throw(/8 index items/);
    });

    it('has an item for every 256 KiB unless told otherwise', () => {
      const index = new OffsetIndex();
      const spans = [256 * 1024 - 1, 1, 1, 256 * 1024].map((bytes, i) => {
        const rest = { index: i + 1, bytes, maxTimestamp: 0, timeMs: 0 };
        add(index, { offset: i, endOffset: i + 1, ...rest });
        return index.length;
      });
      expect(spans).to.deep.equal([1, 1, 2, 2]);
    });
  });
});
