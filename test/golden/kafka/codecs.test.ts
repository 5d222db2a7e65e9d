import { expect } from 'chai';
import { Codecs } from '../../../src/client/compression/codecs.js';
import { readBatchHeader } from '../../../src/model/record-batch.js';
import { recordsOf } from '../../support/records-of.js';

/*
 * The records section of one batch, key k, value val (14 00 00 00 02 'k' 06 'val' 00), as each codec
 * of the format writes it. gzip(1) wrote the first; the others are put together by hand from the
 * formats' public descriptions, as literals without compression.
 */
const RECORDS = '14000000026b0676616c00';
const SECTIONS: readonly (readonly [string, number, string])[] = [
  ['none', 0, RECORDS],
  ['gzip', 1, '1f8b08000000000002031361606060ca662b4bcc61000049674dc10b000000'],
  // Length 11, one literal of 11 bytes (tag (11 - 1) << 2).
  ['snappy, a raw block', 2, `0b28${RECORDS}`],
  // Magic, version 1, compatible with 1, then blocks of 5 and 6 bytes, each with its length.
  [
    'snappy, two blocks in a frame',
    2,
    '82534e4150505900000000010000000100000007051014000000020000000806146b0676616c00',
  ],
  // Magic, FLG (version 1, independent blocks), BD (64 KiB), header checksum, an uncompressed block
  // of 11 bytes (high bit set), end mark.
  ['lz4', 3, `04224d186040820b000080${RECORDS}00000000`],
  // Magic, descriptor (single segment), content size 11, a last raw block of 11 bytes.
  ['zstd', 4, `28b52ffd200b590000${RECORDS}`],
];

/** The header of a batch of one record at offset 7; its CRC is not looked at here. */
function headerWith(codec: number): Uint8Array {
  const header = new Uint8Array(61);
  const view = new DataView(header.buffer);
  view.setInt32(4, 7);
  view.setInt32(8, 60);
  view.setInt8(16, 2);
  view.setInt16(21, codec);
  view.setInt32(57, 1);
  return header;
}

describe('record batch v2, records sections of every codec', () => {
  for (const [name, code, hex] of SECTIONS) {
    it(`reads ${name}`, async () => {
      const section = Uint8Array.from(Buffer.from(hex, 'hex'));
      const records = await new Codecs().decompress(code, section);
      const [only] = recordsOf(readBatchHeader(headerWith(code)), records);
      expect(only).to.deep.include({ offset: 7, timestampMs: 0, headers: [] });
      expect(Buffer.from(only?.key ?? []).toString()).to.equal('k');
      expect(Buffer.from(only?.value ?? []).toString()).to.equal('val');
    });
  }
});
