const KIB = 1024;
const MIB = 1024 * KIB;
const WRITE_BUFFER_MIN = 128 * KIB;
const WRITE_BUFFER_MAX = 8 * MIB;
const CACHE_BYTES_MIN = 32 * KIB;
const CACHE_BYTES_MAX = 2 * MIB;
/** Shares are never cut larger than if this many replicas were open. */
const REPLICAS_EXPECTED_MIN = 8;
/** LevelDB fills a second write buffer while the first is being stored. */
const WRITE_BUFFERS = 2;

export interface MemoryShare {
  readonly writeBufferBytes: number;
  readonly cacheBytes: number;
}

/**
 * Every open replica has a floor, which is part of what the broker's memory for replicas counts for each
 * (`LIMITS.replicaMemoryBytes`); what it gets above the floor comes out of one budget for all. LevelDB's
 * sizes are fixed when it is opened, so a share is cut by how many replicas the broker holds then, and
 * never takes more than a quarter of what is left. A write buffer costs only what is in it, so idle
 * replicas cost next to nothing.
 *
 * Invariant: what is given above the floors never comes to more than the budget.
 */
export class MemoryBudget {
  private readonly totalBytes: number;
  private givenBytes = 0;

  constructor(totalBytes: number) {
    this.totalBytes = totalBytes;
  }

  take(replicas: number): MemoryShare {
    const fair = this.totalBytes / Math.max(REPLICAS_EXPECTED_MIN, replicas);
    const left = Math.max(0, this.totalBytes - this.givenBytes) / 4;
    const bytes = Math.min(fair, left);
    const share = {
      writeBufferBytes: atMost(WRITE_BUFFER_MAX, WRITE_BUFFER_MIN + (bytes * 0.9) / WRITE_BUFFERS),
      cacheBytes: atMost(CACHE_BYTES_MAX, CACHE_BYTES_MIN + bytes * 0.1),
    };
    this.givenBytes += costOf(share) - FLOOR_BYTES;
    return share;
  }

  giveBack(share: MemoryShare): void {
    this.givenBytes -= costOf(share) - FLOOR_BYTES;
  }
}

/** Of a replica for which nothing is left. */
export const FLOOR_BYTES = WRITE_BUFFER_MIN * WRITE_BUFFERS + CACHE_BYTES_MIN;

function costOf(share: MemoryShare): number {
  return share.writeBufferBytes * WRITE_BUFFERS + share.cacheBytes;
}

function atMost(max: number, value: number): number {
  return Math.floor(Math.min(max, value));
}
