import { crc32c as nativeCrc32c } from '@node-rs/crc32';
import { expect } from 'chai';
import { crc32c } from '../../../src/base/crc32c.js';
import { checkProducedBatch, readBatchHeader } from '../../../src/model/record-batch.js';
import { NO_PRODUCER, RecordBatchBuilder } from '../../../src/model/record-batch-builder.js';
import { splitBatches } from '../../../src/model/record.js';
import { recordsOf } from '../../support/records-of.js';

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replace(/\s/g, ''), 'hex'));
const text = (s: string): Uint8Array => Uint8Array.from(Buffer.from(s, 'utf8'));

/** Writes the CRC-32C of bytes 21 to the end, by another implementation than the one under test. */
function sealed(hex: string): Uint8Array {
  const batch = bytes(hex);
  new DataView(batch.buffer).setUint32(17, nativeCrc32c(Buffer.from(batch.subarray(21))));
  return batch;
}

/*
 * Put together by hand from the table of Kafka's public format. 1700000000000 = 0x018BCFE56800.
 */
const PLAIN = sealed(`
  0000000000000000 0000003c ffffffff 02 00000000 0000 00000000
  0000018bcfe56800 0000018bcfe56800 ffffffffffffffff ffff ffffffff 00000001
  14 00 00 00 02 6b 06 76 616c 00`);
/* 10 bytes → 14; delta 0; offset 0; key length 1 → 02 'k'; value length 3 → 06 'val'; no headers. */

const IDEMPOTENT = sealed(`
  0000000000000000 00000056 ffffffff 02 00000000 0000 00000002
  0000018bcfe56800 0000018bcfe56bea 0000000000000007 0003 0000002a 00000003
  0c 00 00 00 01 00 00
  18 00 d40f 02 01 04 c3a9 02 02 68 01
  20 00 09 04 04 6162 08 00ff0d0a 02 02 78 02 79`);
/*
 * 1: null key, empty value. 2: 1002 ms later (0x07d4 zigzag → d4 0f), null key, 'é', header h = null.
 * 3: 5 ms earlier than the first (→ 09), key 'ab', value 00 ff 0d 0a, header x = 'y'.
 */

describe('record batch v2, golden bytes', () => {
  it('writes a plain batch as the format says', () => {
    const builder = new RecordBatchBuilder();
    builder.append({ key: text('k'), value: text('val') }, 1_700_000_000_000);
    expect(hex(builder.finish(NO_PRODUCER, crc32c))).to.equal(hex(PLAIN));
  });

  it('writes an idempotent batch with headers, nulls and times out of order', () => {
    const builder = new RecordBatchBuilder(61);
    builder.append({ value: new Uint8Array() }, 1_700_000_000_000);
    builder.append(
      { value: text('é'), headers: [{ key: 'h', value: undefined }] },
      1_700_000_001_002,
    );
    builder.append(
      { key: text('ab'), value: bytes('00ff0d0a'), headers: [{ key: 'x', value: text('y') }] },
      1_699_999_999_995,
    );
    const batch = builder.finish({ producerId: 7, producerEpoch: 3, baseSequence: 42 }, crc32c);
    expect(hex(batch)).to.equal(hex(IDEMPOTENT));
  });

  it('is what the broker accepts', () => {
    for (const batch of [PLAIN, IDEMPOTENT]) {
      expect(checkProducedBatch(batch, { batchBytesMax: 1024, crc32c }).bytes).to.equal(batch.length);
    }
  });

  it('reads both, one after the other', () => {
    const both = splitBatches(Uint8Array.from([...IDEMPOTENT, ...PLAIN]), crc32c);
    const records = both.flatMap((b) => recordsOf(b.header, b.bytes.subarray(61)));
    expect(both.map((b) => b.header.recordsCount)).to.deep.equal([3, 1]);
    expect(
      records.map((r) => [r.offset, r.timestampMs, r.key && hex(r.key), r.value && hex(r.value)]),
    ).to.deep.equal([
      [0, 1_700_000_000_000, undefined, ''],
      [1, 1_700_000_001_002, undefined, 'c3a9'],
      [2, 1_699_999_999_995, '6162', '00ff0d0a'],
      [0, 1_700_000_000_000, '6b', '76616c'],
    ]);
    expect(records[1]?.headers).to.deep.equal([{ key: 'h', value: undefined }]);
    expect(records[2]?.headers).to.deep.equal([{ key: 'x', value: text('y') }]);
    expect(readBatchHeader(IDEMPOTENT)).to.include({
      producerId: 7,
      producerEpoch: 3,
      baseSequence: 42,
      maxTimestamp: 1_700_000_001_002,
      lastOffsetDelta: 2,
    });
  });
});

function hex(b: Uint8Array): string {
  return Buffer.from(b).toString('hex');
}
