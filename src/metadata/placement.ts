import { chainHash } from '../base/chain-hash.js';
import { invariant } from '../base/assert.js';
import type { BrokerId } from '../model/ids.js';
import type { MetadataImage } from './image.js';

export interface PlacementBroker {
  readonly id: BrokerId;
  readonly rack: string;
  /** Replicas that it can take; undefined: as many as come. */
  readonly room?: number | undefined;
}

/** How many replicas, and how many preferred leaderships, every broker holds already. */
export interface Load {
  readonly replicas: Map<BrokerId, number>;
  readonly leaders: Map<BrokerId, number>;
}

export function loadOf(image: MetadataImage): Load {
  const load: Load = { replicas: new Map(), leaders: new Map() };
  for (const topic of image.topicsById.values()) {
    for (const { replicas } of topic.partitions) addLoad(load, replicas);
  }
  return load;
}

function addLoad(load: Load, replicas: readonly BrokerId[]): void {
  replicas.forEach((id, rank) => {
    load.replicas.set(id, (load.replicas.get(id) ?? 0) + 1);
    if (rank === 0) load.leaders.set(id, (load.leaders.get(id) ?? 0) + 1);
  });
}

/**
 * Replicas for new partitions: the first of each goes where the fewest preferred leaders are, the
 * others to racks not yet used by the partition and where the fewest replicas are. Ties fall by a
 * hash of the salt, so that topics don't all begin on the same broker. Where that comes to nothing since
 * brokers are nearly full, each replica goes where the most room is, which succeeds if anything does. The
 * same input gives the same placement. Undefined: there is not room for all of them.
 */
export function placeReplicas(wanted: Wanted): BrokerId[][] | undefined {
  return place(wanted, { isRoomFirst: false }) ?? place(wanted, { isRoomFirst: true });
}

interface Wanted {
  readonly brokers: readonly PlacementBroker[];
  readonly load: Load;
  readonly partitions: number;
  readonly replicationFactor: number;
  readonly salt: number;
}

function place(
  wanted: Wanted,
  { isRoomFirst }: { isRoomFirst: boolean },
): BrokerId[][] | undefined {
  const { brokers, partitions, replicationFactor, salt } = wanted;
  invariant(replicationFactor >= 1, 'a partition has a replica');
  invariant(replicationFactor <= brokers.length, 'enough brokers', { replicationFactor });
  const load: Load = {
    replicas: new Map(wanted.load.replicas),
    leaders: new Map(wanted.load.leaders),
  };
  const room = new Map(brokers.map((broker) => [broker.id, broker.room ?? Infinity]));
  const fullness = (id: BrokerId): number => (isRoomFirst ? -(room.get(id) ?? 0) : 0);
  const placed: BrokerId[][] = [];
  for (let partition = 0; partition < partitions; partition += 1) {
    const replicas: PlacementBroker[] = [];
    while (replicas.length < replicationFactor) {
      const left = brokers.filter((one) => !replicas.includes(one) && (room.get(one.id) ?? 0) > 0);
      if (left.length === 0) return undefined;
      const tieOf = (id: BrokerId): number => chainHash(salt, [partition, id]);
      replicas.push(pick(left, replicas, { load, fullness, tieOf }));
    }
    for (const { id } of replicas) room.set(id, (room.get(id) ?? 0) - 1);
    const ids = replicas.map((broker) => broker.id);
    addLoad(load, ids);
    placed.push(ids);
  }
  return placed;
}

function pick(
  left: readonly PlacementBroker[],
  taken: readonly PlacementBroker[],
  by: {
    readonly load: Load;
    readonly fullness: (id: BrokerId) => number;
    readonly tieOf: (id: BrokerId) => number;
  },
): PlacementBroker {
  const { load, fullness, tieOf } = by;
  const rankOf = (broker: PlacementBroker): number[] => [
    fullness(broker.id),
    taken.filter((other) => other.rack !== '' && other.rack === broker.rack).length,
    taken.length === 0 ? (load.leaders.get(broker.id) ?? 0) : 0,
    load.replicas.get(broker.id) ?? 0,
    tieOf(broker.id),
    broker.id,
  ];
  let best: { broker: PlacementBroker; rank: number[] } | undefined;
  for (const broker of left) {
    const rank = rankOf(broker);
    if (best === undefined || isBelow(rank, best.rank)) best = { broker, rank };
  }
  invariant(best !== undefined, 'a broker is left to place a replica on');
  return best.broker;
}

function isBelow(a: readonly number[], b: readonly number[]): boolean {
  for (let i = 0; i < a.length; i += 1) {
    const [x, y] = [a[i] ?? 0, b[i] ?? 0];
    if (x !== y) return x < y;
  }
  return false;
}
