/**
 * The hash that chains log entry headers: two 32-bit lanes mixed word by word in the manner of
 * MurmurHash3, folded to 53 bits so that a chain is a plain safe integer. It guards against damage
 * and lost writes, not against an adversary.
 */
export function chainHash(previous: number, words: readonly number[]): number {
  let a = (previous >>> 0) ^ 0x9e3779b9;
  let b = Math.floor(previous / 0x1_0000_0000) ^ 0x85ebca6b;
  for (const word of words) {
    const low = word >>> 0;
    const high = Math.floor(word / 0x1_0000_0000) >>> 0;
    a = mix(a, low);
    b = mix(b, high ^ Math.imul(low, 0x27d4eb2f));
    a ^= b >>> 15;
    b ^= a << 7;
  }
  a = finish(a ^ b);
  b = finish(b ^ Math.imul(a, 0xc2b2ae35));
  return (b & 0x1f_ffff) * 0x1_0000_0000 + (a >>> 0);
}

function mix(lane: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51);
  k = (k << 15) | (k >>> 17);
  let h = lane ^ Math.imul(k, 0x1b873593);
  h = (h << 13) | (h >>> 19);
  return (Math.imul(h, 5) + 0xe6546b64) | 0;
}

function finish(value: number): number {
  let h = value;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
