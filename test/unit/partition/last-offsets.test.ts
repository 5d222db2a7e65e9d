import { expect } from 'chai';
import fc from 'fast-check';

import { crc32c } from '../../../src/base/crc32c.js';
import { BrokerError } from '../../../src/model/errors.js';
import { offset, term } from '../../../src/model/ids.js';
import { NO_PRODUCER, RecordBatchBuilder } from '../../../src/model/record-batch-builder.js';
import { readBatchHeader, stampBatch } from '../../../src/model/record-batch.js';
import {
  ABSENT,
  keyedRecords,
  LastOffsets,
  onlyKeyOf,
} from '../../../src/partition/last-offsets.js';

const PLENTY = { keysMax: 1_000, bytesMax: 1_000_000 };
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const bounds = (logStart: number, tombstonesBelow = 0) => ({
  logStartOffset: offset(logStart),
  tombstonesBelow: offset(tombstonesBelow),
});

function batchOf(records: readonly { key?: Uint8Array; value?: Uint8Array }[]): Uint8Array {
  const builder = new RecordBatchBuilder();
  for (const record of records) builder.append(record, 1_000);
  return builder.finish(NO_PRODUCER, crc32c);
}

describe('last offsets of keys', () => {
  it('are what the log says, in whatever order and however often it was noted', () => {
    const record = fc.record({
      key: fc.constantFrom('a', 'b', 'c', ''),
      isTombstone: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.array(record, { maxLength: 40 }),
        fc.array(fc.nat(200), { maxLength: 60 }),
        fc.nat(40),
        fc.nat(40),
        fc.boolean(),
        (log, picks, logStart, tombstonesBelow, isPruned) => {
          const at = bounds(logStart, tombstonesBelow);
          const table = new LastOffsets(PLENTY);
          const note = (i: number): void => {
            const one = log[i];
            if (one === undefined) return;
            expect(table.note(bytes(one.key), offset(i), one.isTombstone)).to.equal(true);
          };
          // Some more often, some early; then the rest of what is still in the log.
          for (const pick of picks) note(pick);
          if (isPruned) table.prune(at);
          for (let i = log.length - 1; i >= logStart; i -= 1) note(i);
          for (const key of ['a', 'b', 'c', '', 'd']) {
            let want: number = ABSENT;
            log.forEach((one, i) => {
              if (one.key !== key) return;
              const isGone = i < logStart || (one.isTombstone && i < tombstonesBelow);
              want = isGone ? ABSENT : i;
            });
            expect(table.lastOf(bytes(key), at), key).to.equal(want);
          }
        },
      ),
    );
  });

  it('keep to their limits, and forget what no longer counts', () => {
    const table = new LastOffsets({ keysMax: 3, bytesMax: 1_000 });
    for (let i = 0; i < 3; i += 1)
      expect(table.note(bytes(`k${i}`), offset(i), false)).to.equal(true);
    expect(table.note(bytes('k3'), offset(3), false)).to.equal(false);
    expect(table.note(bytes('k2'), offset(4), false), 'known').to.equal(true);
    expect(table.note(new Uint8Array(2_000), offset(5), false)).to.equal(false);
    table.prune(bounds(2));
    expect(table.keys).to.equal(1);
    expect(table.note(bytes('k3'), offset(6), false)).to.equal(true);
    expect(table.note(new Uint8Array(2_000), offset(7), false), 'by bytes').to.equal(false);
    table.prune(bounds(100));
    expect([table.keys, table.bytes]).to.eql([0, 0]);
  });

  it('have room for exactly as much as they may hold', () => {
    const exact = new LastOffsets({ keysMax: 10, bytesMax: 2 * 66 });
    expect(exact.note(bytes('k0'), offset(0), false)).to.equal(true);
    expect(exact.note(bytes('k1'), offset(1), true)).to.equal(true);
    expect([exact.keys, exact.bytes]).to.eql([2, 132]);
    expect(exact.note(bytes('k2'), offset(2), false)).to.equal(false);
    exact.prune(bounds(0, 2));
    expect([exact.keys, exact.bytes]).to.eql([1, 66]);
    expect(exact.lastOf(bytes('k0'), bounds(0)), 'not a tombstone').to.equal(0);
  });

  it('know the tombstone at offset 0 for one', () => {
    const table = new LastOffsets(PLENTY);
    table.note(bytes('a'), offset(0), true);
    expect(table.lastOf(bytes('a'), bounds(0))).to.equal(0);
    expect(table.lastOf(bytes('a'), bounds(0, 1))).to.equal(ABSENT);
  });

  it('tell keys apart by every byte', () => {
    const table = new LastOffsets(PLENTY);
    const long = new Uint8Array(10_000).fill(0xff);
    const other = long.slice();
    other[9_999] = 0xfe;
    table.note(long, offset(1), false);
    table.note(Uint8Array.of(0xc3, 0xa4), offset(2), false);
    expect(table.lastOf(other, bounds(0))).to.equal(ABSENT);
    expect(table.lastOf(Uint8Array.of(0xe4), bounds(0))).to.equal(ABSENT);
    expect(table.lastOf(long, bounds(0))).to.equal(1);
    // Around the lengths at which a key is taken in one piece, in two, in three.
    for (const length of [4_095, 4_096, 4_097, 8_192, 8_193]) {
      const key = new Uint8Array(length).fill(0x61);
      table.note(key, offset(length), false);
      const last = key.slice();
      last[length - 1] = 0x62;
      expect(table.lastOf(last, bounds(0))).to.equal(ABSENT);
    }
    const whole = new LastOffsets(PLENTY);
    const large = new Uint8Array(500_000);
    whole.note(large, offset(1), false);
    expect(whole.bytes, 'a character a byte').to.equal(500_000 + 64);
    expect(whole.lastOf(large, bounds(0))).to.equal(1);
    for (const length of [4_095, 4_096, 4_097, 8_192, 8_193]) {
      expect(table.lastOf(new Uint8Array(length).fill(0x61), bounds(0))).to.equal(length);
    }
  });
});

describe('keyed records of a batch', () => {
  it('leave out what has no key, and know tombstones', () => {
    const batch = batchOf([
      { key: bytes('a'), value: bytes('1') },
      { value: bytes('2') },
      { key: bytes('b') },
    ]);
    const header = readBatchHeader(batch);
    const records = keyedRecords(header, batch);
    expect(records.map(({ delta, isTombstone }) => [delta, isTombstone])).to.eql([
      [0, false],
      [2, true],
    ]);
    expect(onlyKeyOf(header, records)).to.equal(undefined);
  });

  it('count their place from the beginning of the batch, wherever in the log it stands', () => {
    const batch = batchOf([{ value: bytes('1') }, { key: bytes('a') }]);
    stampBatch(batch, { baseOffset: offset(700), leaderEpoch: term(3) });
    const [only] = keyedRecords(readBatchHeader(batch), batch);
    expect(only?.delta).to.equal(1);
    expect(ABSENT, 'no offset is').to.be.lessThan(0);
  });

  it('have one key, or not', () => {
    const only = (...keys: (string | undefined)[]): string | undefined => {
      const batch = batchOf(keys.map((key) => (key === undefined ? {} : { key: bytes(key) })));
      const header = readBatchHeader(batch);
      const key = onlyKeyOf(header, keyedRecords(header, batch));
      return key && new TextDecoder().decode(key);
    };
    expect(only('a', 'a')).to.equal('a');
    expect(only('a', 'b')).to.equal(undefined);
    expect(only('a', undefined)).to.equal(undefined);
    expect(only(undefined)).to.equal(undefined);
    expect(only('')).to.equal('');
  });

  it('cannot be told of compressed batches, nor of garbage', () => {
    const packed = batchOf([{ key: bytes('a') }]);
    packed[22] = 1;
    const garbage = batchOf([{ key: bytes('a') }]);
    garbage[61] = 0x7f;
    for (const batch of [packed, garbage]) {
      expect(() => keyedRecords(readBatchHeader(batch), batch))
        .to.throw(BrokerError)
        .with.property('code', 'INVALID_BATCH');
    }
  });
});
