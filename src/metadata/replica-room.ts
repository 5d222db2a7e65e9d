import type { BrokerId } from '../model/ids.js';
import { LIMITS } from '../model/limits.js';
import { rejected, type Rejection } from './command.js';
import type { BrokerImage, MetadataImage, PartitionImage } from './image.js';

const BROKERS_NAMED_MAX = 5;
const KIB = 1024;

/** Brokers that have a replica of the partition, those that it is moving away from included. */
export function holdersOf({ replicas, movingFrom }: PartitionImage): readonly BrokerId[] {
  if (movingFrom.length === 0) return replicas;
  return [...new Set([...replicas, ...movingFrom])];
}

/** Replicas that the broker has memory for beyond what it holds; undefined: as many as come. */
export function roomOf(image: MetadataImage, { id, replicasMax }: BrokerImage): number | undefined {
  if (replicasMax === undefined) return undefined;
  return Math.max(0, replicasMax - (image.replicasHeld.get(id) ?? 0));
}

/** Refuses replicas for which a broker has no memory. Brokers that are not known are not judged here. */
export function roomRefusal(
  image: MetadataImage,
  assignment: readonly (readonly BrokerId[])[],
): Rejection | undefined {
  const more = new Map<BrokerId, number>();
  for (const id of assignment.flat()) more.set(id, (more.get(id) ?? 0) + 1);
  const full: BrokerImage[] = [];
  for (const [id, count] of more) {
    const broker = image.brokers.get(id);
    const room = broker && roomOf(image, broker);
    if (broker !== undefined && room !== undefined && room < count) full.push(broker);
  }
  return full.length === 0 ? undefined : noRoom(image, full, assignment.flat().length);
}

/** The same of replicas that a partition is to have in place of its own. */
export function moveRefusal(
  image: MetadataImage,
  partition: PartitionImage,
  replicas: readonly BrokerId[],
): Rejection | undefined {
  const holders = holdersOf(partition);
  return roomRefusal(image, [replicas.filter((id) => !holders.includes(id))]);
}

/** What is said where these brokers' memory is what `replicas` more of them do not fit. */
export function noRoom(
  image: MetadataImage,
  brokers: readonly BrokerImage[],
  replicas: number,
): Rejection {
  const told = brokers
    .filter(({ replicasMax }) => replicasMax !== undefined)
    .sort((a, b) => a.id - b.id);
  const named = told.slice(0, BROKERS_NAMED_MAX).map(({ id, replicasMax }) => {
    return `broker ${id} holds ${image.replicasHeld.get(id) ?? 0} of ${replicasMax ?? 0}`;
  });
  const others = told.length > named.length ? ', …' : '';
  return rejected(
    'REPLICA_LIMIT',
    `no memory for ${replicas} more replicas: ${named.join(', ')}${others}; each takes ` +
      `${LIMITS.replicaMemoryBytes / KIB} KiB of the broker's replicasMemoryBytes`,
  );
}
