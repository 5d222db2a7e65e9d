import { invariant } from '../base/assert.js';
import type { Crc32c } from '../base/crc32c.js';
import type { ProposalObserver, RaftGroup, RaftGroupOwner } from '../host/raft-group.js';
import type { TopicSettings } from '../metadata/topic-config.js';
import { BrokerError } from '../model/errors.js';
import {
  offset,
  type BrokerId,
  type LogIndex,
  type Offset,
  type RaftGroupId,
  type Term,
} from '../model/ids.js';
import { encodePartitionCommand, type PartitionCommand } from '../partition/command.js';
import {
  PARTITION_LIMITS,
  PartitionState,
  type PartitionLimits,
} from '../partition/partition-state.js';
import { decideRetention } from '../partition/retention.js';
import type { ReplicaSpec } from '../ports/log-store.js';
import type { BatchCodecs } from '../ports/batch-codecs.js';
import type { Logger } from '../ports/telemetry.js';
import type { World } from '../ports/world.js';
import type { OffsetAt, OffsetFound, PartitionFacts } from './admin-types.js';
import { CommitSamples, describePartition } from './describe-partition.js';
import { CompactionPlanner } from './compaction-planner.js';
import type { CompactionMetrics } from './compaction-metrics.js';
import type { DiskGuard } from './disk-guard.js';
import { KeyCheck } from './key-check.js';
import { LogCompactor } from './log-compactor.js';
import { KeyComparison } from './key-comparison.js';
import { outOfRange, truncated, LogReader } from './log-reader.js';
import { LogTruncator } from './log-truncator.js';
import { findHighestTime, findOffsetByTime, findRecord } from './offset-by-time.js';
import { PartitionAppender } from './partition-appender.js';
import type { CommittedTo } from './partition-ops.js';
import { PendingCommand } from './pending-command.js';
import type { PendingProduce, ProduceContext } from './pending-produce.js';
import { redirect } from './redirect.js';
import type { Lane } from './replica-job.js';
import type { LeaderTable } from './types.js';
import { Waiters, type ReplicaWaiter } from './waiters.js';

export interface ReplicaDeps {
  readonly self: BrokerId;
  readonly world: World;
  readonly leaders: LeaderTable;
  readonly crc32c: Crc32c;
  readonly produce: ProduceContext;
  /** For truncations. */
  readonly lane: Lane;
  /** For compactions: they take longer, and only one broker's share of a core and its disk. */
  readonly compactionLane: Lane;
  readonly codecs: BatchCodecs;
  readonly compactionMetrics: CompactionMetrics;
  /** How far the replica of a group on another broker has compacted its log. */
  askCompacted(broker: BrokerId, groupId: RaftGroupId): Promise<Offset>;
  readonly disk: Pick<DiskGuard, 'refusal'>;
  readonly log: Logger;
  readonly limits?: PartitionLimits;
}

/** The type of {@link RaftGroup.status} without its absence. */
type RoleChange = Parameters<RaftGroupOwner['roleChanged']>[0];

/**
 * One partition replica of this broker: owns the replicated state, hears from its Raft group, and
 * offers what services and the reconciler need of it.
 *
 * Invariants: whatever a client is told as the leader's word (offsets, records, high watermark) is
 * said only while this replica leads and has applied an entry of its own term (CORRECTNESS 23);
 * whoever waits here is woken by every commit and every change of leadership.
 */
export class PartitionReplica implements RaftGroupOwner {
  readonly machine: PartitionState;
  readonly spec: ReplicaSpec;
  readonly name: string;
  private readonly deps: ReplicaDeps;
  private readonly limits: PartitionLimits;
  private readonly appender: PartitionAppender;
  private readonly waiters: Waiters;
  private readonly commits: CommitSamples;
  private settings: TopicSettings;
  private raftGroup: RaftGroup | undefined;
  private logReader: LogReader | undefined;
  private truncator: LogTruncator | undefined;
  private compactor: LogCompactor | undefined;
  private planner: CompactionPlanner | undefined;
  private readonly keyCheck: KeyCheck;
  /** Only rises, also while a reopened replica applies its log anew. */
  private knownEnd = offset(0);
  private isRetentionPending = false;
  private isCompactionPending = false;
  /** Ends the wait for background work that this life of the replica may leave hanging. */
  private readonly abandoned = new Set<() => void>();

  constructor(spec: ReplicaSpec, settings: TopicSettings, deps: ReplicaDeps) {
    this.spec = spec;
    this.name = `partition ${spec.topic}-${spec.partition}`;
    this.settings = settings;
    this.deps = deps;
    this.limits = deps.limits ?? PARTITION_LIMITS;
    this.machine = new PartitionState(this.limits);
    this.waiters = new Waiters(deps.world.timers);
    this.commits = new CommitSamples(deps.world.clock);
    this.appender = new PartitionAppender({
      world: deps.world,
      crc32c: deps.crc32c,
      state: this.machine,
      settings: () => this.settings,
      redirect: () => this.redirect(),
      refusal: () => deps.disk.refusal(),
      compareKeys: (resume) => this.compareKeys(resume),
    });
    this.keyCheck = new KeyCheck({
      codecs: deps.codecs,
      needsKeys: () => this.settings.compaction !== undefined,
      next: (pending) => this.appender.submit(pending),
    });
  }

  // ---- Its life ----

  /** The group is open; it may have called back before. */
  attach(group: RaftGroup): void {
    this.raftGroup = group;
    group.setDurability(this.settings.durability);
    this.logReader = new LogReader(this.machine, group);
    this.truncator = new LogTruncator(group, this.machine, {
      log: this.deps.log,
      limits: this.limits,
      lane: (work) => this.deps.lane(() => this.untilLifeEnds(work)),
    });
    this.compactor = new LogCompactor({
      ...this.deps,
      group,
      state: this.machine,
      metrics: this.deps.compactionMetrics,
      lane: (work) => this.deps.compactionLane(() => this.untilLifeEnds(work)),
    });
    this.planner = new CompactionPlanner({
      self: this.deps.self,
      group,
      state: this.machine,
      askCompacted: (broker) => this.deps.askCompacted(broker, this.spec.groupId),
    });
    const status = group.status();
    if (status !== undefined && group.isLeaderReady()) this.leaderReady(status.term);
  }

  configure(settings: TopicSettings): void {
    this.settings = settings;
    this.raftGroup?.setDurability(settings.durability);
  }

  get group(): RaftGroup | undefined {
    return this.raftGroup;
  }

  stop(error: BrokerError): void {
    this.truncator?.stop();
    this.compactor?.stop();
    this.abandonWork();
    this.appender.stop(error);
    this.raftGroup = undefined;
    this.wake();
  }

  // ---- What the Raft group says (RaftGroupOwner) ----

  roleChanged(change: RoleChange): void {
    if (change.leader !== undefined) {
      this.deps.leaders.learn(this.spec.groupId, change.leader, change.term);
    }
    if (change.role === 'leader') {
      if (this.appender.term === change.term) return;
      this.appender.step(true);
    } else {
      this.appender.step(change.leader === undefined);
    }
    this.isRetentionPending = false;
    this.wake();
  }

  leaderReady(term: Term): void {
    const group = this.raftGroup;
    if (group === undefined || this.appender.term === term) return;
    this.deps.leaders.announce(this.spec.groupId, term);
    this.appender.begin(term, group);
    this.wake();
  }

  applied(index: LogIndex): void {
    this.commits.note(index);
    if (this.machine.highWatermark > this.knownEnd) {
      this.knownEnd = this.machine.highWatermark;
      this.wake();
    } else if (this.appender.term === undefined) {
      // Readers of a follower wait until it has applied what the leader named, records or not.
      this.wake();
    }
    this.truncator?.applied();
  }

  fenced(): void {
    this.truncator?.lifeEnded();
    this.compactor?.lifeEnded();
    this.abandonWork();
    this.appender.step(false);
    this.wake();
  }

  // ---- What the services ask ----

  produce(pending: PendingProduce): void {
    this.keyCheck.submit(pending);
  }

  /** Of the leadership that is ready here; undefined: ask somebody else, or wait. */
  get leaderTerm(): Term | undefined {
    return this.appender.term;
  }

  /** It may be settled soon who leads, and it may be this replica. */
  get isUnsettled(): boolean {
    return this.raftGroup !== undefined && this.appender.unsettled;
  }

  get reader(): LogReader | undefined {
    return this.logReader;
  }

  /** Committed as far as this replica has known in this process. */
  get knownHighWatermark(): Offset {
    return this.knownEnd;
  }

  redirect(): BrokerError {
    return redirect(this.deps, this.spec.groupId, this.name);
  }

  /** Whether a reader of `leaderEpoch` may read at `at`; the caller knows that this replica leads. */
  readError(at: number, leaderEpoch: number, term: Term): BrokerError | undefined {
    // It has read from a later leader: this one was deposed and has not heard of it yet.
    if (leaderEpoch > term) return this.redirect();
    const end = this.appender.logEnd ?? this.machine.highWatermark;
    if (at < this.machine.logStartOffset) return outOfRange(at, this.machine);
    const shared = leaderEpoch > 0 ? this.machine.epochs.endOffsetOf(leaderEpoch, end) : end;
    if (leaderEpoch > 0 && at > shared) return truncated(at, shared, this.machine);
    return at > end ? outOfRange(at, this.machine) : undefined;
  }

  wait(waiter: ReplicaWaiter): void {
    this.waiters.add(waiter);
  }

  stopWaiting(waiter: ReplicaWaiter): void {
    this.waiters.delete(waiter);
  }

  /** Whoever waits here looks again. */
  wake(): void {
    this.waiters.wake();
  }

  /** As the leader: what was committed when it was asked is applied with the entry that it names. */
  async committedTo(deadlineMs: number): Promise<CommittedTo> {
    await this.mustLead().group.readBarrier(deadlineMs);
    return { index: this.machine.appliedIndex, leaderEpoch: this.mustLead().term };
  }

  // ---- What the admin service asks ----

  async describe(): Promise<PartitionFacts> {
    const { group } = this.mustLead();
    const sizeBytes = await group.sizeBytes();
    const { term, group: still } = this.mustLead();
    const status = still.status();
    if (status === undefined) throw this.redirect();
    return describePartition(status, {
      term,
      inSyncFrom: this.commits.settled(status.commit),
      state: this.machine,
      sizeBytes,
      compactedTo: this.compactor?.known?.to ?? offset(0),
    });
  }

  async listOffset(
    at: OffsetAt,
    options: { readonly linearizable: boolean; readonly deadlineMs: number },
  ): Promise<OffsetFound> {
    const { group } = this.mustLead();
    if (options.linearizable) await group.readBarrier(options.deadlineMs);
    const { term, reader } = this.mustLead();
    const { logStartOffset, highWatermark } = this.machine;
    if (at.kind === 'earliest')
      return { offset: logStartOffset, timestampMs: -1, leaderEpoch: term };
    if (at.kind === 'latest') return { offset: highWatermark, timestampMs: -1, leaderEpoch: term };
    if (at.kind === 'maxTimestamp') {
      return { ...(await findHighestTime(reader, logStartOffset)), leaderEpoch: term };
    }
    const found =
      at.kind === 'record'
        ? await findRecord(reader, offset(Math.max(at.offset, logStartOffset)))
        : await findOffsetByTime(reader, at.timestampMs, logStartOffset);
    return { ...found, leaderEpoch: term };
  }

  async trim(beforeOffset: number, options: { readonly deadlineMs: number }): Promise<Offset> {
    this.mustLead();
    const to = offset(beforeOffset === -1 ? this.machine.highWatermark : beforeOffset);
    if (to < 0 || to > this.machine.highWatermark) throw outOfRange(to, this.machine);
    const pending = new PendingCommand(this.deps.produce.deadlines, options.deadlineMs);
    this.propose({ kind: 'moveLogStart', to, cause: 'trim' }, pending);
    const result = await pending.result;
    if (result.kind !== 'moved') throw outOfRange(to, this.machine);
    return result.logStartOffset;
  }

  /** As the leader: proposes a new log start if retention asks for one. On any: gives bytes back. */
  checkRetention(): void {
    this.truncator?.maybeTruncate();
    const isAsked = this.settings.deletes && !this.isRetentionPending;
    if (this.appender.term === undefined || !isAsked) return;
    const to = decideRetention(
      this.machine.index.spans(),
      {
        logStartOffset: this.machine.logStartOffset,
        endOffset: this.machine.highWatermark,
        bytesTotal: this.machine.index.bytesTotal,
        nowMs: this.deps.world.clock.nowMs(),
      },
      this.settings,
    );
    if (to === undefined) return;
    const done = (): void => {
      this.isRetentionPending = false;
    };
    try {
      this.isRetentionPending = true;
      this.propose(
        { kind: 'moveLogStart', to, cause: 'retention' },
        { committed: done, failed: done },
      );
    } catch (error) {
      done();
      this.deps.log.debug({ error }, 'retention put off');
    }
  }

  /** As the leader: decides how far the log may be compacted. On any: compacts what was decided. */
  checkCompaction(): void {
    this.compactor?.maybeRun();
    const { term } = this.appender;
    if (term === undefined || this.isCompactionPending) return;
    if (this.settings.compaction === undefined) return;
    this.isCompactionPending = true;
    void this.deps
      .compactionLane(() => this.untilLifeEnds(() => this.planCompaction(term)))
      .catch((error: unknown) => {
        this.deps.log.debug({ error }, 'compaction put off');
      })
      .finally(() => {
        this.isCompactionPending = false;
      });
  }

  /** How far this replica has compacted its log. */
  async compactedTo(): Promise<Offset> {
    const { compactor } = this;
    if (compactor === undefined) throw this.redirect();
    return (await compactor.reached()).to;
  }

  /** Offsets that it has yet to compact, as far as that is known. */
  get compactionLag(): number {
    const known = this.compactor?.known;
    return known === undefined ? 0 : Math.max(0, this.machine.compaction.to - known.to);
  }

  /** Its turn may come late: it goes by the settings of then, and for nothing if they change meanwhile. */
  private async planCompaction(term: Term): Promise<void> {
    const { compactor, planner } = this;
    const { compaction } = this.settings;
    if (compactor === undefined || planner === undefined || compaction === undefined) return;
    const nowMs = this.deps.world.clock.nowMs();
    const bounds = await planner.plan(await compactor.reached(), compaction, nowMs);
    // What was appended without a key since the topic ceased to be compacted must stay.
    const isCurrent = this.appender.term === term && this.settings.compaction === compaction;
    if (bounds === undefined || !isCurrent) return;
    // Whatever becomes of it: the next plan goes by the bounds that are applied then.
    const nobody = { committed: () => undefined, failed: () => undefined };
    this.propose({ kind: 'compact', ...bounds }, nobody);
  }

  /** A store that ended may never answer: its replica must not keep a place that others wait for. */
  private untilLifeEnds(work: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.abandoned.add(resolve);
      work()
        .then(resolve, reject)
        .finally(() => this.abandoned.delete(resolve));
    });
  }

  private abandonWork(): void {
    for (const abandon of this.abandoned) abandon();
    this.abandoned.clear();
  }

  private propose(command: PartitionCommand, observer: ProposalObserver): void {
    const { group } = this.mustLead();
    const payload = encodePartitionCommand(command);
    const outcome = group.propose({ kind: 'command', payload }, observer);
    if (outcome.accepted) return;
    if (outcome.reason === 'tailFull') {
      throw new BrokerError('THROTTLED', `${this.name} has too much that is not committed yet`, {
        retryAfterMs: 20,
      });
    }
    throw this.redirect();
  }

  private compareKeys(resume: (waiting: readonly PendingProduce[]) => void): KeyComparison {
    const { logReader: reader, name } = this;
    invariant(reader !== undefined, 'a replica that leads reads its log');
    const { world, log, produce } = this.deps;
    const { machine: state } = this;
    return new KeyComparison({
      world,
      log,
      state,
      reader,
      budget: produce.keyBudget,
      name,
      resume,
    });
  }

  private mustLead(): {
    readonly term: Term;
    readonly group: RaftGroup;
    readonly reader: LogReader;
  } {
    const term = this.appender.term;
    const group = this.raftGroup;
    const reader = this.logReader;
    if (term === undefined || group === undefined || reader === undefined) throw this.redirect();
    return { term, group, reader };
  }
}
