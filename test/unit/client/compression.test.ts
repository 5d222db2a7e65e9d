import { gzipSync } from 'node:zlib';
import { expect } from 'chai';
import fc from 'fast-check';
import { compressFrameSync } from 'lz4-napi';
import { compressSync } from 'snappy';
import { Codecs } from '../../../src/client/compression/codecs.js';
import { snappyBlocks, snappyFrame } from '../../../src/client/compression/xerial.js';
import { MalformedBytesError } from '../../../src/base/bytes.js';
import { BrokerError } from '../../../src/model/errors.js';
import { COMPRESSION_CODES, type Compression } from '../../../src/model/record-batch.js';

const bytes = (hex: string): Uint8Array => Buffer.from(hex.replace(/\s/g, ''), 'hex');
const text = (b: Uint8Array): string => Buffer.from(b).toString();

/** Everything but zstd, which only newer Nodes can write. */
const WRITABLE: Compression[] = ['none', 'gzip', 'snappy', 'lz4'];

describe('codecs', () => {
  const codecs = new Codecs();

  for (const codec of WRITABLE) {
    it(`give back what ${codec} took`, async () => {
      await fc.assert(
        fc.asyncProperty(fc.uint8Array({ maxLength: 5_000 }), async (records) => {
          const packed = await codecs.compress(codec, records);
          const back = await codecs.decompress(COMPRESSION_CODES[codec], packed);
          expect(Buffer.compare(back, records)).to.equal(0);
        }),
        { numRuns: 30 },
      );
    });

    it(`make repetition small with ${codec}`, async () => {
      const packed = await codecs.compress(codec, new Uint8Array(100_000).fill(65));
      expect(packed.length).to.be.below(codec === 'none' ? 100_001 : 6_000);
    });
  }

  it('read what others compressed', async () => {
    const records = Buffer.from('the quick brown fox '.repeat(50));
    const raw = compressSync(records);
    const framed = Buffer.concat([snappyFrame(raw), Buffer.from([0, 0, 0, raw.length]), raw]);
    expect(text(await codecs.decompress(1, gzipSync(records)))).to.equal(records.toString());
    expect(text(await codecs.decompress(2, raw))).to.equal(records.toString());
    expect(text(await codecs.decompress(2, framed))).to.equal(records.toString().repeat(2));
    expect(text(await codecs.decompress(3, compressFrameSync(records)))).to.equal(
      records.toString(),
    );
  });

  for (const code of [1, 2, 3, 4, 5, 7]) {
    it(`call garbage garbage, with codec ${code}`, async () => {
      for (const garbage of [bytes(''), bytes('ff'.repeat(40)), bytes('82534e4150505900')]) {
        const error = await codecs.decompress(code, garbage).catch((thrown: unknown) => thrown);
        expect(error).to.be.instanceOf(BrokerError).with.property('code', 'CORRUPT_BATCH');
      }
    });
  }

  it('do not unfold without end', async () => {
    // 300 MiB of zeros in a few hundred kilobytes.
    const bomb = gzipSync(Buffer.alloc(300 * 1024 * 1024), { level: 1 });
    const error = await codecs.decompress(1, bomb).catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(BrokerError).with.property('code', 'CORRUPT_BATCH');
  });

  const malformed: [string, string][] = [
    ['a frame cut in its header', '82534e4150505900 00000001'],
    ['a frame cut in a length', '82534e4150505900 00000001 00000001 0000'],
    ['a block longer than the frame', '82534e4150505900 00000001 00000001 00000009 05'],
    ['a negative block length', '82534e4150505900 00000001 00000001 ffffffff 05'],
    ['a block without its length', 'ffffffffff'],
  ];
  for (const [name, hex] of malformed) {
    it(`refuse ${name}`, () => {
      expect(() => snappyBlocks(bytes(hex))).to.throw(MalformedBytesError);
    });
  }
});
