import type { BrokerError } from '../model/errors.js';
import type { Offset, RaftGroupId } from '../model/ids.js';
import type { PartitionService } from './partition-service.js';
import type { PartitionHost } from './types.js';

const FLOORS_MAX = 200_000;

/**
 * Lower bounds of high watermarks, for checking commits against. A high watermark never falls, so
 * what any replica once knew to be committed stays true; only above it the leader is asked.
 */
export class Watermarks {
  readonly #host: PartitionHost;
  readonly #partitions: PartitionService;
  readonly #floors = new Map<RaftGroupId, Offset>();

  constructor(host: PartitionHost, partitions: PartitionService) {
    this.#host = host;
    this.#partitions = partitions;
  }

  /** For each group its bound if that reaches what is wanted, else the high watermark itself. */
  async atLeast(
    wanted: ReadonlyMap<RaftGroupId, number>,
    deadlineMs: number,
  ): Promise<Map<RaftGroupId, Offset | BrokerError>> {
    const found = new Map<RaftGroupId, Offset | BrokerError>();
    const open = new Map<RaftGroupId, number>();
    for (const [groupId, offset] of wanted) {
      const bound = this.#bound(groupId);
      if (bound !== undefined && bound >= offset) found.set(groupId, bound);
      else open.set(groupId, offset);
    }
    if (open.size === 0) return found;
    for (const [groupId, answer] of await this.#partitions.highWatermarks(open, deadlineMs)) {
      found.set(groupId, answer);
      if (typeof answer === 'number') this.#raise(groupId, answer);
    }
    return found;
  }

  #bound(groupId: RaftGroupId): Offset | undefined {
    const local = this.#host.knownHighWatermark(groupId);
    const floor = this.#floors.get(groupId);
    if (local === undefined || floor === undefined) return local ?? floor;
    return local > floor ? local : floor;
  }

  #raise(groupId: RaftGroupId, watermark: Offset): void {
    if (this.#floors.size >= FLOORS_MAX && !this.#floors.has(groupId)) this.#floors.clear();
    const floor = this.#floors.get(groupId);
    if (floor === undefined || watermark > floor) this.#floors.set(groupId, watermark);
  }
}
