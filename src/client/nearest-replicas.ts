import type { Cancel, World } from '../ports/world.js';
import type { ClusterView } from './cluster-view.js';
import { addressKey } from './connection.js';
import type { PartitionCursor } from './partition-cursor.js';
import type { BrokerAddress, BrokerInfo } from './types.js';

/** Whom to read from instead of the leaders. */
export interface NearestOptions {
  readonly rack: string;
  readonly maxStalenessMs: number;
}

export interface NearestDeps {
  readonly world: World;
  readonly view: ClusterView;
  /** Where partitions are to be read may have changed. */
  changed(): void;
}

interface Detour {
  failures: number;
  /** Until then the partition is read from its leader, or nothing from the broker. */
  isOver: boolean;
  timer: Cancel | undefined;
}

/** Where a partition is read from; undefined: from its leader. */
interface Place {
  readonly replica: string | undefined;
  readonly sinceMs: number;
}

/** A replica that says nothing of a partition for so long is not waited for any more. */
const SILENCE_MS = 3_000;
/** How long the leader is read from after a replica did not serve; doubles each time it does so again. */
const DETOUR = { firstMs: 2_000, maxMs: 60_000 };
/** Replicas move and brokers come back: who reads for days hears of it. */
const REFRESH_MS = 60_000;
const METADATA_MS = 10_000;

/**
 * Chooses for each partition the replica to read from: one in the reader's own rack, the partitions
 * spread over those there are, or else the leader. Whatever a replica says that is not records sends
 * its reader to the leader, who has the last word; after a while, and with fresh metadata, the replica is
 * tried again. So is one whose broker was away.
 *
 * Invariant: a partition on a detour is read from its leader alone, so that no error of a replica ever
 * reaches the application.
 */
export class NearestReplicas {
  private readonly options: NearestOptions;
  private readonly deps: NearestDeps;
  /** Different consumers spread differently. */
  private readonly salt: number;
  private readonly ofPartitions = new Map<PartitionCursor, Detour>();
  private readonly places = new Map<PartitionCursor, Place>();
  private readonly ofBrokers = new Map<string, Detour>();
  private readonly topics = new Set<string>();
  private refresher: Cancel | undefined;
  private isClosed = false;

  constructor(options: NearestOptions, deps: NearestDeps) {
    this.options = options;
    this.deps = deps;
    this.salt = deps.world.random.u32();
  }

  /** Undefined: the leader. */
  choose(cursor: PartitionCursor): BrokerAddress | undefined {
    const { clock, timers } = this.deps.world;
    this.refresher ??= timers.every(REFRESH_MS, () => void this.refreshAll());
    this.topics.add(cursor.topic);
    const near = this.nearestTo(cursor);
    // It is looked for again in good time, not only when everything is refreshed.
    if (near === undefined && this.isNearFenced(cursor)) this.avoid(cursor);
    const replica = near && addressKey(near);
    const place = this.places.get(cursor);
    if (place === undefined || place.replica !== replica) {
      this.places.set(cursor, { replica, sinceMs: clock.monotonicMs() });
    }
    return near;
  }

  /** Nothing was heard of it for too long, all of it while it was read from the same place. */
  isSilent(cursor: PartitionCursor, nowMs: number): boolean {
    const turnedMs = this.places.get(cursor)?.sinceMs ?? nowMs;
    return nowMs - Math.max(cursor.silentSinceMs, turnedMs) >= SILENCE_MS;
  }

  /** Whether it is somebody else than the known leader who is read from there. */
  isFollower(cursor: PartitionCursor, address: BrokerAddress): boolean {
    const leader = this.deps.view.leader(cursor.topic, cursor.partition);
    return leader === undefined || addressKey(leader.address) !== addressKey(address);
  }

  /** The replica served it. */
  served(cursor: PartitionCursor, address: BrokerAddress): void {
    this.ofPartitions.delete(cursor);
    this.ofBrokers.delete(addressKey(address));
  }

  /** The replica did not serve it: the leader does for a while. */
  avoid(cursor: PartitionCursor): void {
    this.begin(this.ofPartitions, cursor, [cursor.topic]);
  }

  /** Nothing is read from this broker for a while, whatever the partition. */
  avoidBroker(address: BrokerAddress): void {
    this.begin(this.ofBrokers, addressKey(address), [...this.topics]);
  }

  /** It is not read any more. */
  forget(cursor: PartitionCursor): void {
    this.ofPartitions.get(cursor)?.timer?.();
    this.ofPartitions.delete(cursor);
    this.places.delete(cursor);
  }

  close(): void {
    this.isClosed = true;
    this.refresher?.();
    for (const { timer } of this.ofPartitions.values()) timer?.();
    for (const { timer } of this.ofBrokers.values()) timer?.();
    this.ofPartitions.clear();
    this.ofBrokers.clear();
    this.places.clear();
  }

  private nearestTo(cursor: PartitionCursor): BrokerAddress | undefined {
    if (this.ofPartitions.get(cursor)?.isOver === false) return undefined;
    let best: BrokerInfo | undefined;
    let bestScore = -1;
    for (const broker of this.deps.view.replicas(cursor.topic, cursor.partition)) {
      const isNear = broker.rack === this.options.rack && !broker.isFenced;
      if (!isNear || this.ofBrokers.get(addressKey(broker))?.isOver === false) continue;
      const score = scoreOf(this.salt, broker.id, cursor.partition);
      if (score <= bestScore) continue;
      best = broker;
      bestScore = score;
    }
    return best && { host: best.host, port: best.port };
  }

  /** A replica is in the rack, but its broker is away. */
  private isNearFenced({ topic, partition }: PartitionCursor): boolean {
    const replicas = this.deps.view.replicas(topic, partition);
    return replicas.some(({ rack, isFenced }) => rack === this.options.rack && isFenced);
  }

  private begin<Key>(detours: Map<Key, Detour>, key: Key, topics: readonly string[]): void {
    const detour = detours.get(key) ?? { failures: 0, isOver: true, timer: undefined };
    if (!detour.isOver || this.isClosed) return;
    const { random, timers } = this.deps.world;
    const fullMs = Math.min(DETOUR.maxMs, DETOUR.firstMs * 2 ** Math.min(detour.failures, 10));
    detour.failures += 1;
    detour.isOver = false;
    // Readers that lost the same broker do not come back in step.
    const delayMs = fullMs * (0.75 + random.u32() / 2 ** 33);
    detour.timer = timers.after(delayMs, () => void this.end(detour, topics));
    detours.set(key, detour);
  }

  /** Never rejects. */
  private async end(detour: Detour, topics: readonly string[]): Promise<void> {
    await this.refresh(topics);
    detour.isOver = true;
    if (!this.isClosed) this.deps.changed();
  }

  private async refreshAll(): Promise<void> {
    await this.refresh([...this.topics]);
    if (!this.isClosed) this.deps.changed();
  }

  /** What cannot be refreshed is tried as it was known. */
  private async refresh(topics: readonly string[]): Promise<void> {
    const { view } = this.deps;
    await Promise.allSettled(
      topics.map(async (topic) => await view.reloadTopic(topic, METADATA_MS)),
    );
  }
}

/** The same for the same three numbers, and as good as random for different ones. */
function scoreOf(salt: number, broker: number, partition: number): number {
  let hash = salt ^ Math.imul(broker, 0x9e37_79b1) ^ Math.imul(partition, 0x85eb_ca77);
  hash = Math.imul(hash ^ (hash >>> 16), 0x7feb_352d);
  hash = Math.imul(hash ^ (hash >>> 15), 0x846c_a68b);
  return (hash ^ (hash >>> 16)) >>> 0;
}
