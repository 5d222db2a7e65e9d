import { invariant } from '../base/assert.js';
import type { RaftGroup } from '../host/raft-group.js';
import type { BrokerRegistration, Command } from '../metadata/command.js';
import {
  decideAddPartitions,
  decideAlterTopic,
  decideCreateTopic,
  decideMoveReplicas,
  decideRegister,
  findPartition,
  REPLICATION_FACTOR_DEFAULT,
  replicationFactorOf,
  type Decision,
} from '../metadata/decide.js';
import { groupNameProblem } from '../metadata/names.js';
import type { MetadataState } from '../metadata/metadata-state.js';
import { BrokerError } from '../model/errors.js';
import {
  METADATA_GROUP,
  type BrokerId,
  type LogIndex,
  type RaftGroupId,
  type Term,
  type TopicId,
  type TopicPartition,
} from '../model/ids.js';
import { membersOf } from '../model/membership.js';
import type { Logger } from '../ports/telemetry.js';
import type { Cancel, World } from '../ports/world.js';
import type { AlterTopicResult, CommittedOffset } from './admin-types.js';
import type { ControllerHandlers } from './controller-link.js';
import type {
  AddPartitionsCommand,
  Changed,
  CommitAnswer,
  CommitRequest,
  CreateTopicCommand,
  HeartbeatRequest,
  MetadataGroupDescription,
} from './controller-ops.js';
import type { GroupCoordinator } from './group-coordinator.js';
import {
  allOffsets,
  committedAmong,
  describeGroup,
  listGroups,
  offsetOf,
} from './group-queries.js';
import type {
  GroupRecord,
  ListGroupsRequest,
  ListGroupsResult,
  TopicSlots,
} from './group-types.js';
import { LivedClock } from './lived-clock.js';
import { Liveness } from './liveness.js';
import { OffsetCommits } from './offset-commits.js';
import {
  deletedMeanwhile,
  notController,
  proposeCommand,
  raise,
  type AppliedCommand,
} from './propose.js';
import { namedSlots } from './topic-slots.js';
import { pickTransferTarget } from './transfer-target.js';
import type { BrokerSettings, LeaderTable, MetadataView } from './types.js';
import type { Watermarks } from './watermarks.js';

const BARRIER_MS = 3_000;
const MEMBERSHIP_MS = 10_000;

/** One leadership of the metadata group. */
interface Tenure {
  readonly group: RaftGroup;
  readonly term: Term;
  readonly liveness: Liveness;
  /** Brokers with a fencing or unfencing command under way. */
  readonly switching: Set<BrokerId>;
  readonly commits: OffsetCommits;
  isChangingMembers: boolean;
}

export interface ControllerDeps {
  readonly self: BrokerId;
  readonly world: World;
  readonly state: MetadataState;
  readonly view: MetadataView;
  readonly leaders: LeaderTable;
  readonly watermarks: Watermarks;
  readonly groups: GroupCoordinator;
  readonly settings: BrokerSettings;
  readonly log: Logger;
}

/**
 * The metadata leader at work: decides on requests, proposes commands and answers once they are
 * applied; watches who is alive; admits newcomers to the metadata group as learners.
 *
 * Invariant: it acts only while this broker's metadata replica leads and has applied an entry of its
 * term; everything it knows beyond the replicated state begins and ends with that tenure.
 */
export class Controller implements ControllerHandlers {
  readonly #deps: ControllerDeps;
  #tenure: Tenure | undefined;
  #cancelTick: Cancel | undefined;
  /** Topics are placed one after another, so that each sees the load of the one before. */
  #lastPlacement: Promise<unknown> = Promise.resolve();

  constructor(deps: ControllerDeps) {
    this.#deps = deps;
  }

  get isActive(): boolean {
    return this.#tenure !== undefined;
  }

  activate(group: RaftGroup, term: Term): void {
    this.deactivate();
    const { world, state, watermarks, settings, log } = this.#deps;
    const tenure: Tenure = {
      group,
      term,
      liveness: new Liveness({
        sessionMs: settings.sessionMs,
        lived: new LivedClock(world.clock, settings.heartbeatMs * 2),
      }),
      switching: new Set(),
      commits: new OffsetCommits({
        world,
        state,
        watermarks,
        propose: (command) => this.#propose(tenure, command),
      }),
      isChangingMembers: false,
    };
    this.#tenure = tenure;
    this.#cancelTick = world.timers.every(settings.heartbeatMs, () => this.#tick(tenure));
    this.#deps.groups.activate(group);
    log.info({ term }, 'became the controller');
  }

  deactivate(): void {
    this.#cancelTick?.();
    this.#cancelTick = undefined;
    if (this.#tenure === undefined) return;
    this.#deps.log.info({ term: this.#tenure.term }, 'is no longer the controller');
    this.#tenure = undefined;
    this.#deps.groups.deactivate();
  }

  // ---- Brokers ----

  async register(registration: BrokerRegistration): Promise<Changed> {
    const tenure = this.#mustLead();
    const changed = await this.#carryOut(tenure, () =>
      decideRegister(this.#deps.state, registration),
    );
    tenure.liveness.heard(registration.id);
    this.#admitLearners(tenure);
    return changed;
  }

  async heartbeat({ id, directoryId }: HeartbeatRequest): Promise<boolean> {
    const tenure = this.#mustLead();
    const broker = this.#deps.state.brokers.get(id);
    if (broker?.directoryId !== directoryId) return Promise.resolve(false);
    tenure.liveness.heard(id);
    if (broker.isFenced) this.#switchFence(tenure, id, false);
    return Promise.resolve(true);
  }

  async barrier(): Promise<Changed> {
    await this.#confirmLeadership(this.#mustLead());
    return { index: this.#deps.state.version };
  }

  // ---- Topics ----

  async topicId(topic: string): Promise<TopicId> {
    await this.#confirmLeadership(this.#mustLead());
    const found = findPartition(this.#deps.state, { topic, partition: 0 });
    return found.kind === 'rejected' ? raise(found) : found.topic.id;
  }

  async createTopic(wanted: CreateTopicCommand): Promise<Changed> {
    const tenure = this.#mustLead();
    const size = this.#clusterSize(tenure);
    const factor = wanted.replicationFactor ?? Math.min(REPLICATION_FACTOR_DEFAULT, size);
    await this.#waitForLiveBrokers(tenure, factor, wanted.waitMs);
    return this.#place(tenure, (salt) =>
      decideCreateTopic(this.#deps.state, wanted, this.#clusterSize(tenure), salt),
    );
  }

  async addPartitions(wanted: AddPartitionsCommand): Promise<Changed> {
    const tenure = this.#mustLead();
    const topic = this.#deps.state.topicsById.get(wanted.topicId);
    const factor = topic === undefined ? 1 : replicationFactorOf(topic);
    await this.#waitForLiveBrokers(tenure, factor, wanted.waitMs);
    return this.#place(tenure, (salt) =>
      decideAddPartitions(this.#deps.state, wanted, this.#clusterSize(tenure), salt),
    );
  }

  async deleteTopic(topicId: TopicId): Promise<Changed> {
    return this.#propose(this.#mustLead(), { kind: 'deleteTopic', topicId });
  }

  async alterTopic(wanted: {
    readonly topic: string;
    readonly set: ReadonlyMap<string, string>;
    readonly unset: readonly string[];
    readonly expectedVersion?: LogIndex | undefined;
  }): Promise<Changed & Omit<AlterTopicResult, 'risk'>> {
    const { index } = await this.#carryOut(this.#mustLead(), () =>
      decideAlterTopic(this.#deps.state, wanted),
    );
    const topic = this.#deps.state.topicsByName.get(wanted.topic);
    if (topic === undefined) throw deletedMeanwhile();
    return { index, config: topic.config, configVersion: topic.configVersion };
  }

  async moveReplicas(
    wanted: TopicPartition & { readonly replicas: readonly BrokerId[] },
  ): Promise<Changed> {
    return this.#carryOut(this.#mustLead(), () => decideMoveReplicas(this.#deps.state, wanted));
  }

  async completeMove(done: {
    readonly groupId: RaftGroupId;
    readonly replicas: readonly BrokerId[];
    readonly targetVersion: LogIndex;
  }): Promise<Changed> {
    return this.#propose(this.#mustLead(), { kind: 'completeMove', ...done });
  }

  async replicasDeleted(done: {
    readonly brokerId: BrokerId;
    readonly groupIds: readonly RaftGroupId[];
  }): Promise<Changed> {
    return this.#propose(this.#mustLead(), { kind: 'replicasDeleted', ...done });
  }

  async allocateProducers(
    count: number,
  ): Promise<{ readonly first: number; readonly count: number }> {
    const { result } = await this.#propose(this.#mustLead(), { kind: 'allocateProducers', count });
    invariant(result.kind === 'producersAllocated', 'producer ids were handed out');
    return { first: result.first, count: result.count };
  }

  // ---- Consumer groups ----

  async commitOffsets(request: CommitRequest): Promise<CommitAnswer> {
    return this.#mustLead().commits.commit(request);
  }

  async fetchOffsets(wanted: {
    readonly group: string;
    readonly partitions: readonly TopicPartition[];
  }): Promise<readonly CommittedOffset[]> {
    const tenure = this.#mustLead();
    const problem = groupNameProblem(wanted.group);
    if (problem !== undefined) throw new BrokerError('INVALID_ARGUMENT', problem);
    await this.#confirmLeadership(tenure);
    const { state } = this.#deps;
    return wanted.partitions.length === 0
      ? allOffsets(state, wanted.group)
      : wanted.partitions.map((at) => offsetOf(state, wanted.group, at));
  }

  async listGroups(request: ListGroupsRequest): Promise<ListGroupsResult> {
    await this.#confirmLeadership(this.#mustLead());
    return listGroups(this.#deps.state, request);
  }

  async describeGroup(name: string): Promise<GroupRecord> {
    await this.#confirmLeadership(this.#mustLead());
    const { state, self, groups } = this.#deps;
    const sessionOf = (memberId: string): ReturnType<typeof groups.sessionOf> =>
      groups.sessionOf(name, memberId);
    return describeGroup(state, name, { self, sessionOf });
  }

  async deleteGroup(group: string): Promise<true> {
    await this.#deps.groups.submit({ kind: 'deleteGroup', group });
    return true;
  }

  async deleteGroupOffsets(wanted: {
    readonly group: string;
    readonly topics: readonly TopicSlots[];
  }): Promise<readonly TopicSlots[]> {
    const { state, groups } = this.#deps;
    await this.#confirmLeadership(this.#mustLead());
    const slots = committedAmong(state, wanted.group, wanted.topics);
    await groups.submit({ kind: 'deleteOffsets', group: wanted.group, slots });
    return namedSlots(state, slots);
  }

  // ---- The metadata group itself ----

  async describe(): Promise<MetadataGroupDescription> {
    const { group, term } = this.#mustLead();
    const status = group.status();
    if (status === undefined) throw notController(this.#deps.leaders.hint(METADATA_GROUP));
    const { membership, peers, durable } = status;
    return Promise.resolve({
      controller: this.#deps.self,
      term,
      commitIndex: status.commit,
      members: membersOf(membership).map((brokerId) => {
        const peer = peers.find(({ id }) => id === brokerId);
        const isSelf = brokerId === this.#deps.self;
        return {
          brokerId,
          role: membership.voters.includes(brokerId) ? 'voter' : 'learner',
          matchIndex: peer?.match ?? durable,
          isActive: isSelf || peer?.isActive === true,
          isRepairing: peer?.isRepairing === true,
        };
      }),
    });
  }

  async transfer(wanted: {
    readonly to: BrokerId | undefined;
    readonly timeoutMs: number;
  }): Promise<{ readonly leader: BrokerId; readonly leaderEpoch: Term }> {
    const { group } = this.#mustLead();
    const to = pickTransferTarget(group, wanted.to, this.#deps.leaders);
    if (to !== this.#deps.self) await group.transferLeadership(to, wanted.timeoutMs);
    const status = group.status();
    if (status?.leader === undefined) {
      throw new BrokerError('TRANSFER_FAILED', 'leadership moved, but its new holder is not known');
    }
    return { leader: status.leader, leaderEpoch: status.term };
  }

  // ---- Helpers ----

  #mustLead(): Tenure {
    if (this.#tenure?.group.isLeaderReady() === true) return this.#tenure;
    throw notController(this.#deps.leaders.hint(METADATA_GROUP));
  }

  async #confirmLeadership(tenure: Tenure): Promise<void> {
    await tenure.group.readBarrier(BARRIER_MS);
    if (this.#tenure !== tenure) throw notController(this.#deps.leaders.hint(METADATA_GROUP));
  }

  /**
   * What is proposed is decided by the log; what is not, a refusal or that all is as wanted, by the state alone,
   * which another leader may have changed before this one knows: it is decided again once no other leads.
   */
  async #carryOut(tenure: Tenure, decide: () => Decision): Promise<Changed> {
    let decision = decide();
    if (decision.kind !== 'propose') {
      await this.#confirmLeadership(tenure);
      decision = decide();
    }
    switch (decision.kind) {
      case 'rejected':
        return raise(decision);
      case 'settled':
        return { index: this.#deps.state.version };
      case 'propose':
        return this.#propose(tenure, decision.command);
    }
  }

  #place(tenure: Tenure, decide: (salt: number) => Decision): Promise<Changed> {
    const earlier = this.#lastPlacement;
    const placement = (async (): Promise<Changed> => {
      await earlier.catch(() => undefined);
      return this.#carryOut(tenure, () => decide(this.#deps.world.random.u32()));
    })();
    this.#lastPlacement = placement.catch(() => undefined);
    return placement;
  }

  #propose(tenure: Tenure, command: Command): Promise<AppliedCommand> {
    return proposeCommand(tenure.group, command, () => this.#deps.leaders.hint(METADATA_GROUP));
  }

  /** Brokers the cluster is known to have: registered, or founders that are yet to register. */
  #clusterSize(tenure: Tenure): number {
    const membership = tenure.group.status()?.membership;
    const members = membership === undefined ? [] : membersOf(membership);
    return new Set([...members, ...this.#deps.state.brokers.keys()]).size;
  }

  /** While a cluster starts, brokers come one after another: give them a moment. */
  async #waitForLiveBrokers(tenure: Tenure, factor: number, forMs: number): Promise<void> {
    const size = this.#clusterSize(tenure);
    if (factor > size) return;
    const { state, settings } = this.#deps;
    const isStarting = state.brokers.size < size;
    const patienceMs = isStarting ? settings.sessionMs : settings.heartbeatMs * 4;
    const waitMs = Math.min(forMs, patienceMs);
    const isEnough = (): boolean => {
      let live = 0;
      for (const broker of state.brokers.values()) if (!broker.isFenced) live += 1;
      return live >= factor;
    };
    await this.#deps.view.waitFor(isEnough, waitMs).catch(() => undefined);
  }

  #tick(tenure: Tenure): void {
    const { state, self } = this.#deps;
    tenure.liveness.heard(self);
    const expected = [...state.brokers.values()].filter((b) => !b.isFenced).map((b) => b.id);
    const silent = tenure.liveness.silent(expected);
    for (const id of silent) this.#switchFence(tenure, id, true);
    this.#admitLearners(tenure);
  }

  #switchFence(tenure: Tenure, brokerId: BrokerId, isFenced: boolean): void {
    if (tenure.switching.has(brokerId)) return;
    tenure.switching.add(brokerId);
    const { log } = this.#deps;
    this.#propose(tenure, { kind: 'setBrokerFenced', brokerId, isFenced })
      .then(
        () => log.info({ brokerId, isFenced }, isFenced ? 'fenced a broker' : 'unfenced a broker'),
        (error: unknown) => log.debug({ brokerId, err: error }, 'fencing failed'),
      )
      .finally(() => tenure.switching.delete(brokerId))
      .catch(() => undefined);
  }

  /** Registered brokers outside the metadata group follow it as learners; never promoted by itself. */
  #admitLearners(tenure: Tenure): void {
    const membership = tenure.group.status()?.membership;
    if (membership === undefined || tenure.isChangingMembers) return;
    const members = new Set(membersOf(membership));
    const newcomers = [...this.#deps.state.brokers.keys()].filter((id) => !members.has(id));
    if (newcomers.length === 0 || membership.votersOutgoing.length > 0) return;
    tenure.isChangingMembers = true;
    const learners = [...membership.learners, ...newcomers].sort((a, b) => a - b);
    tenure.group
      .changeMembership({ voters: membership.voters, learners }, MEMBERSHIP_MS)
      .then(
        () => this.#deps.log.info({ newcomers }, 'admitted to the metadata group as learners'),
        (error: unknown) => this.#deps.log.debug({ newcomers, err: error }, 'admission failed'),
      )
      .finally(() => {
        tenure.isChangingMembers = false;
      })
      .catch(() => undefined);
  }
}
