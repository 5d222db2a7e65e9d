/** CRC-32C (Castagnoli, reflected polynomial 0x82F63B78) of `bytes`, as an unsigned 32-bit number. */
export type Crc32c = (bytes: Uint8Array) => number;

const POLYNOMIAL = 0x82f63b78;
const SLICES = 8;

/** TABLES[s * 256 + b]: the CRC of byte b followed by s zero bytes (slicing-by-8). */
const TABLES = buildTables();

function buildTables(): Uint32Array {
  const tables = new Uint32Array(SLICES * 256);
  for (let byte = 0; byte < 256; byte += 1) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    tables[byte] = crc;
  }
  for (let slice = 1; slice < SLICES; slice += 1) {
    for (let byte = 0; byte < 256; byte += 1) {
      const previous = tables[(slice - 1) * 256 + byte] ?? 0;
      tables[slice * 256 + byte] = (previous >>> 8) ^ (tables[previous & 0xff] ?? 0);
    }
  }
  return tables;
}

/**
 * The portable implementation. Brokers are given a native one instead ({@link Crc32c} is passed in
 * where bytes are many); both give the same numbers.
 */
export function crc32c(bytes: Uint8Array): number {
  const t = TABLES as unknown as Readonly<Record<number, number>> & { readonly length: number };
  let crc = 0xffffffff;
  let i = 0;
  const end = bytes.length - 7;
  const b = bytes as unknown as Readonly<Record<number, number>>;
  for (; i < end; i += 8) {
    crc ^= at(b, i) | (at(b, i + 1) << 8) | (at(b, i + 2) << 16) | (at(b, i + 3) << 24);
    crc =
      at(t, 1792 + (crc & 0xff)) ^
      at(t, 1536 + ((crc >>> 8) & 0xff)) ^
      at(t, 1280 + ((crc >>> 16) & 0xff)) ^
      at(t, 1024 + (crc >>> 24)) ^
      at(t, 768 + at(b, i + 4)) ^
      at(t, 512 + at(b, i + 5)) ^
      at(t, 256 + at(b, i + 6)) ^
      at(t, at(b, i + 7));
  }
  for (; i < bytes.length; i += 1) crc = (crc >>> 8) ^ at(t, (crc ^ at(b, i)) & 0xff);
  return (crc ^ 0xffffffff) >>> 0;
}

/** An element known to exist: spares the hot loop a check for undefined. */
function at(table: Readonly<Record<number, number>>, index: number): number {
  return table[index] as number;
}
