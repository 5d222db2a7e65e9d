import type { MultiRaft, RaftGroup } from '../host/raft-group.js';
import type { TopicSettings } from '../metadata/topic-config.js';
import { BrokerError } from '../model/errors.js';
import type { BrokerId, Offset, RaftGroupId } from '../model/ids.js';
import type { ReplicaSpec } from '../ports/log-store.js';
import type { Cancel } from '../ports/world.js';
import type { OffsetAt, OffsetFound, PartitionFacts } from './admin-types.js';
import { PartitionReplica, type ReplicaDeps } from './partition-replica.js';
import type { PartitionHost } from './types.js';

/**
 * Retention looks at a share of the replicas at a time, and at the replicas of one partition at
 * different times: truncating is work, of which no broker should get all at once, nor all brokers.
 */
const RETENTION_PHASES = 8;

/**
 * The partition replicas of this broker. The reconciler says which there are; retention is checked
 * here, for each of them once in every interval.
 *
 * Invariants: at most one replica object per group; opening and removing one group never overlap; a
 * replica is found by services only while it is open.
 */
export class PartitionManager implements PartitionHost {
  /** Open, or opening. */
  readonly replicas = new Map<RaftGroupId, PartitionReplica>();
  private readonly multiRaft: MultiRaft;
  private readonly deps: ReplicaDeps;
  private readonly retentionCheckMs: number;
  /** Per group, what is under way: the next step waits for it. */
  private readonly steps = new Map<RaftGroupId, Promise<unknown>>();
  private timer: Cancel | undefined;
  private phase = 0;
  private isStopped = false;

  constructor(
    multiRaft: MultiRaft,
    deps: ReplicaDeps,
    settings: { readonly retentionCheckMs: number },
  ) {
    this.multiRaft = multiRaft;
    this.deps = deps;
    this.retentionCheckMs = settings.retentionCheckMs;
  }

  start(): void {
    const intervalMs = Math.ceil(this.retentionCheckMs / RETENTION_PHASES);
    this.timer ??= this.deps.world.timers.every(intervalMs, () => this.checkRetention());
  }

  /** The groups themselves are stopped by whoever owns MultiRaft. */
  stop(): void {
    this.isStopped = true;
    this.timer?.();
    this.timer = undefined;
    const error = new BrokerError('SHUTTING_DOWN', 'this broker is shutting down');
    for (const replica of this.replicas.values()) replica.stop(error);
    this.replicas.clear();
  }

  ensure(spec: ReplicaSpec, settings: TopicSettings, preferredLeader?: BrokerId): Promise<void> {
    return this.inTurn(spec.groupId, async () => {
      const existing = this.replicas.get(spec.groupId);
      if (existing !== undefined) {
        existing.configure(settings);
        return;
      }
      if (this.isStopped) throw new BrokerError('SHUTTING_DOWN', 'this broker is shutting down');
      const { groupId, topic, partition } = spec;
      const log = this.deps.log.child({ raftGroup: groupId, topic, partition });
      const replica = new PartitionReplica(spec, settings, { ...this.deps, log });
      this.replicas.set(groupId, replica);
      const { durability } = settings;
      try {
        replica.attach(await this.multiRaft.open(spec, replica, { preferredLeader, durability }));
      } catch (error) {
        this.replicas.delete(groupId);
        replica.stop(BrokerError.from(error));
        throw error;
      }
    });
  }

  configure(groupId: RaftGroupId, settings: TopicSettings): void {
    this.replicas.get(groupId)?.configure(settings);
  }

  remove(groupId: RaftGroupId): Promise<void> {
    return this.inTurn(groupId, async () => {
      const replica = this.replicas.get(groupId);
      this.replicas.delete(groupId);
      const message = 'the replica of this partition on this broker was removed';
      replica?.stop(new BrokerError('LEADER_UNKNOWN', message));
      await this.multiRaft.delete(groupId);
    });
  }

  list(): readonly RaftGroupId[] {
    return [...this.replicas].filter(([, r]) => r.group !== undefined).map(([id]) => id);
  }

  group(groupId: RaftGroupId): RaftGroup | undefined {
    return this.replicas.get(groupId)?.group;
  }

  async describe(groupId: RaftGroupId): Promise<PartitionFacts> {
    return this.mustFind(groupId).describe();
  }

  knownHighWatermark(groupId: RaftGroupId): Offset | undefined {
    return this.replicas.get(groupId)?.knownHighWatermark;
  }

  async listOffset(
    groupId: RaftGroupId,
    at: OffsetAt,
    options: { readonly linearizable: boolean; readonly deadlineMs: number },
  ): Promise<OffsetFound> {
    return this.mustFind(groupId).listOffset(at, options);
  }

  async trim(
    groupId: RaftGroupId,
    beforeOffset: number,
    options: { readonly deadlineMs: number },
  ): Promise<Offset> {
    return this.mustFind(groupId).trim(beforeOffset, options);
  }

  private mustFind(groupId: RaftGroupId): PartitionReplica {
    const replica = this.replicas.get(groupId);
    if (replica !== undefined) return replica;
    throw new BrokerError('NOT_LEADER', `Raft group ${groupId} has no replica on this broker`, {
      leader: this.deps.leaders.hint(groupId),
    });
  }

  /** How far the replica here has compacted its log, whether it leads or not. */
  async compactedTo(groupId: RaftGroupId): Promise<Offset> {
    return this.mustFind(groupId).compactedTo();
  }

  private checkRetention(): void {
    this.phase = (this.phase + 1) % RETENTION_PHASES;
    let lag = 0;
    for (const [groupId, replica] of this.replicas) {
      lag += replica.compactionLag;
      if ((groupId + 3 * this.deps.self) % RETENTION_PHASES !== this.phase) continue;
      replica.checkRetention();
      replica.checkCompaction();
    }
    this.deps.compactionMetrics.lagging(lag);
  }

  private inTurn<T>(groupId: RaftGroupId, step: () => Promise<T>): Promise<T> {
    const before = this.steps.get(groupId) ?? Promise.resolve();
    const run = before.then(step, step);
    this.steps.set(groupId, run);
    const forget = (): void => {
      if (this.steps.get(groupId) === run) this.steps.delete(groupId);
    };
    run.then(forget, forget);
    return run;
  }
}
