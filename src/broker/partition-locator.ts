import { BrokerError } from '../model/errors.js';
import type { BrokerId, RaftGroupId, TopicId } from '../model/ids.js';
import type { PartitionReplica } from './partition-replica.js';
import { redirect } from './redirect.js';
import type { LeaderTable, MetadataView } from './types.js';

export interface PartitionName {
  readonly topic: string;
  readonly partition: number;
  readonly topicId: TopicId | undefined;
}

export type Located =
  | { readonly kind: 'here'; readonly groupId: RaftGroupId; readonly replica: PartitionReplica }
  /** On other brokers; the error says which of them leads, if that is known. */
  | { readonly kind: 'elsewhere'; readonly groupId: RaftGroupId; readonly error: BrokerError }
  | { readonly kind: 'unknown'; readonly error: BrokerError };

/** Finds the replica a client names, by this broker's copy of the metadata. */
export class PartitionLocator {
  readonly self: BrokerId;
  private readonly view: MetadataView;
  private readonly leaders: LeaderTable;
  private readonly replicas: ReadonlyMap<RaftGroupId, PartitionReplica>;

  constructor(
    deps: { readonly self: BrokerId; readonly view: MetadataView; readonly leaders: LeaderTable },
    replicas: ReadonlyMap<RaftGroupId, PartitionReplica>,
  ) {
    this.self = deps.self;
    this.view = deps.view;
    this.leaders = deps.leaders;
    this.replicas = replicas;
  }

  locate(name: PartitionName): Located {
    const topic = this.view.image().topicsByName.get(name.topic);
    if (topic === undefined) {
      const error = new BrokerError('UNKNOWN_TOPIC', `there is no topic ${quote(name.topic)}`);
      return { kind: 'unknown', error };
    }
    if (name.topicId !== undefined && name.topicId !== topic.id) {
      const error = new BrokerError(
        'UNKNOWN_TOPIC',
        `topic ${quote(name.topic)} has id ${topic.id}, not ${name.topicId}: it was created anew`,
      );
      return { kind: 'unknown', error };
    }
    const groupId = topic.partitions[name.partition]?.groupId;
    if (groupId === undefined) {
      const error = new BrokerError(
        'UNKNOWN_PARTITION',
        `topic ${quote(name.topic)} has ${topic.partitions.length} partitions, ` +
          `there is no partition ${name.partition}`,
      );
      return { kind: 'unknown', error };
    }
    const replica = this.replicas.get(groupId);
    if (replica !== undefined) return { kind: 'here', groupId, replica };
    const title = `partition ${name.topic}-${name.partition}`;
    const error = redirect({ self: this.self, leaders: this.leaders }, groupId, title);
    return { kind: 'elsewhere', groupId, error };
  }

  /** The other broker that leads the group; undefined if unknown or if it is this one. */
  otherLeader(groupId: RaftGroupId): BrokerId | undefined {
    const leader = this.leaders.leaderOf(groupId)?.leader;
    return leader === this.self ? undefined : leader;
  }
}

/** Names come from clients: shown cut and escaped. */
function quote(name: string): string {
  return JSON.stringify(name.length > 260 ? `${name.slice(0, 260)}…` : name);
}
