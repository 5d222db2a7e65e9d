import type { Random } from '../ports/world.js';

const M = 0x5bd1e995;

/** MurmurHash2 (Appleby) with Kafka's seed, so that keys land where Kafka's clients put them. */
export function murmur2(bytes: Uint8Array): number {
  const length = bytes.length;
  let h = 0x9747b28c ^ length;
  const words = length - (length % 4);
  for (let i = 0; i < words; i += 4) {
    let k =
      (bytes[i] as number) |
      ((bytes[i + 1] as number) << 8) |
      ((bytes[i + 2] as number) << 16) |
      ((bytes[i + 3] as number) << 24);
    k = Math.imul(k, M);
    k ^= k >>> 24;
    h = Math.imul(h, M) ^ Math.imul(k, M);
  }
  const rest = length % 4;
  if (rest === 3) h ^= (bytes[words + 2] as number) << 16;
  if (rest >= 2) h ^= (bytes[words + 1] as number) << 8;
  if (rest >= 1) h = Math.imul(h ^ (bytes[words] as number), M);
  h ^= h >>> 13;
  h = Math.imul(h, M);
  return h ^ (h >>> 15);
}

/** Where a key belongs among `partitions`. */
export function partitionForKey(key: Uint8Array, partitions: number): number {
  return (murmur2(key) & 0x7fff_ffff) % partitions;
}

/**
 * Records without a key stay with one partition until its batch is closed, then move to another:
 * batches fill up, and over time all partitions get the same.
 */
export class StickyPartitioner {
  private readonly random: Random;
  private current = -1;

  constructor(random: Random) {
    this.random = random;
  }

  pick(partitions: number): number {
    if (this.current < 0 || this.current >= partitions) this.move(partitions);
    return this.current;
  }

  /** The batch of `partition` was closed: go elsewhere, if that is where records went. */
  batchClosed(partition: number, partitions: number): void {
    if (partition === this.current) this.move(partitions);
  }

  private move(partitions: number): void {
    if (partitions === 1) {
      this.current = 0;
      return;
    }
    // Any but the current one, each as likely.
    const others = this.current >= 0 && this.current < partitions ? partitions - 1 : partitions;
    const drawn = Math.floor((this.random.u32() / 0x1_0000_0000) * others);
    this.current = others < partitions && drawn >= this.current ? drawn + 1 : drawn;
  }
}
