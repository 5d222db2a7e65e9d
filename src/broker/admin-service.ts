import { compareStrings } from '../base/collections.js';
import type { RaftGroup } from '../host/raft-group.js';
import { hexOf } from '../base/bytes.js';
import { findPartition, otherTopic, type FoundPartition } from '../metadata/decide.js';
import type { MetadataImage, PartitionImage, TopicImage } from '../metadata/image.js';
import { topicNameProblem } from '../metadata/names.js';
import { effectiveTopicConfig, topicSettings, type TopicConfig } from '../metadata/topic-config.js';
import { durabilityPromise } from '../model/durability.js';
import { BrokerError } from '../model/errors.js';
import {
  logIndex,
  METADATA_GROUP,
  topicId,
  type BrokerId,
  type LogIndex,
  type Offset,
  type RaftGroupId,
  type Term,
  type TopicId,
  type TopicPartition,
} from '../model/ids.js';
import { LIMITS } from '../model/limits.js';
import { membersOf } from '../model/membership.js';
import type { World } from '../ports/world.js';
import type {
  AddPartitionsRequest,
  AddPartitionsResult,
  AdminService,
  AlterTopicRequest,
  AlterTopicResult,
  BrokerDescription,
  CallOptions,
  CommittedOffset,
  CreateTopicRequest,
  CreateTopicResult,
  DeleteTopicRequest,
  DescribeClusterResult,
  DescribeTopicResult,
  GetMetadataRequest,
  GetMetadataResult,
  InitProducerRequest,
  InitProducerResult,
  MoveReplicasRequest,
  OffsetAnswer,
  OffsetQuery,
  TopicMetadata,
  TransferLeadershipRequest,
  TrimPartitionRequest,
} from './admin-types.js';
import type { ControllerLink } from './controller-link.js';
import type { MetadataGroupDescription } from './controller-ops.js';
import { Deadline } from './deadline.js';
import type { PublishedMetadata } from './metadata-view.js';
import type { GroupOffsetQuery } from './partition-ops.js';
import type { PartitionService } from './partition-service.js';
import { ProducerIds } from './producer-ids.js';
import { deletedMeanwhile, raise } from './propose.js';
import type { LeaderTable } from './types.js';

/** How long an answer waits until this broker's own metadata shows what was changed. */
const FOLLOW_MS = 1_000;
const DESCRIBE_MS = 2_000;
const CHANGE_DEADLINE_MS = 30_000;

export interface ClusterAdminDeps {
  readonly self: BrokerId;
  readonly clusterId: string;
  readonly world: World;
  readonly view: PublishedMetadata;
  readonly leaders: LeaderTable;
  readonly link: ControllerLink;
  readonly partitions: PartitionService;
  /** The local replica of the metadata group. */
  metadataGroup(): RaftGroup | undefined;
}

/**
 * What any broker does for the Cluster API: reads from its own copy of the metadata,
 * changes through the metadata leader, facts of partitions from their leaders.
 *
 * Invariant: a change is answered with success only once it is committed; usually the answering
 * broker's own metadata shows it by then.
 */
export class ClusterAdmin implements AdminService {
  readonly #deps: ClusterAdminDeps;
  readonly #producerIds: ProducerIds;

  constructor(deps: ClusterAdminDeps) {
    this.#deps = deps;
    this.#producerIds = new ProducerIds(deps.link);
  }

  // ---- Metadata ----

  async getMetadata(
    request: GetMetadataRequest,
    { deadlineMs }: CallOptions,
  ): Promise<GetMetadataResult> {
    const { clusterId, view, leaders } = this.#deps;
    if (request.linearizable) await this.#catchUp(deadlineMs);
    const image = view.image();
    const names =
      request.topics.length === 0
        ? [...image.topicsByName.keys()].sort(compareStrings)
        : request.topics;
    return {
      clusterId,
      brokers: brokersOf(image),
      topics: names.map((name) => this.#topicMetadata(image, name)),
      controller: leaders.leaderOf(METADATA_GROUP)?.leader,
      metadataVersion: image.version,
    };
  }

  async describeCluster({ deadlineMs }: CallOptions): Promise<DescribeClusterResult> {
    const { clusterId, view, leaders, link } = this.#deps;
    const group = await link
      .call('describe', undefined, Math.min(deadlineMs, DESCRIBE_MS))
      .catch(() => this.#metadataGroupSeenFromHere());
    const image = view.image();
    const known = leaders.leaderOf(METADATA_GROUP);
    return {
      clusterId,
      brokers: brokersOf(image),
      controller: group.controller ?? known?.leader,
      controllerTerm: group.term ?? known?.term,
      metadataMembers: group.members,
      metadataCommitIndex: group.commitIndex,
      topics: image.topicsById.size,
      partitions: image.groups.size,
    };
  }

  // ---- Topics ----

  async createTopic(request: CreateTopicRequest, options: CallOptions): Promise<CreateTopicResult> {
    const problem = topicNameProblem(request.topic);
    if (problem !== undefined) throw new BrokerError('INVALID_TOPIC_NAME', problem);
    const deadline = this.#deadline(options, request.timeoutMs);
    const id = request.topicId ?? topicId(hexOf(this.#deps.world.random.bytes(16)));
    const { topic, partitions, replicationFactor, config } = request;
    const waitMs = Math.ceil(deadline.remainingMs() / 2);
    const { index } = await this.#deps.link.call(
      'createTopic',
      { topicId: id, topic, partitions, replicationFactor, config, waitMs },
      deadline.remainingMs(),
      { attemptMs: waitMs + 3_000 },
    );
    await this.#follow(index, deadline);
    const image = this.#deps.view.image();
    const created = image.topicsById.get(id);
    const risk = riskOf(created?.config ?? config);
    if (created === undefined) {
      const count = partitions ?? 1;
      return { topicId: id, partitions: count, replicationFactor: replicationFactor ?? 0, ...risk };
    }
    if (!request.noWait) await this.#untilLed(created, index, deadline);
    return {
      topicId: id,
      partitions: created.partitions.length,
      replicationFactor: created.partitions[0]?.replicas.length ?? 0,
      ...risk,
    };
  }

  async deleteTopic(request: DeleteTopicRequest, options: CallOptions): Promise<void> {
    const { link } = this.#deps;
    const deadline = this.#deadline(options, request.timeoutMs);
    // By id from here on: a repetition must not hit a topic created meanwhile under the same name.
    const id = await this.#idOf(request, deadline);
    const { index } = await link.call('deleteTopic', id, deadline.remainingMs(), {
      settle: (error) => (error.code === 'UNKNOWN_TOPIC' ? { index: logIndex(0) } : undefined),
    });
    await this.#follow(index, deadline);
  }

  async addPartitions(
    request: AddPartitionsRequest,
    options: CallOptions,
  ): Promise<AddPartitionsResult> {
    const { link, view } = this.#deps;
    const deadline = this.#deadline(options, request.timeoutMs);
    // By id from here on, as for a delete.
    const topicId = await this.#idOf(request, deadline);
    const { partitions } = request;
    const waitMs = Math.ceil(deadline.remainingMs() / 2);
    const { index } = await link.call(
      'addPartitions',
      { topicId, partitions, waitMs },
      deadline.remainingMs(),
      { attemptMs: waitMs + 3_000 },
    );
    await this.#follow(index, deadline);
    const topic = view.image().topicsById.get(topicId);
    if (topic === undefined || topic.partitions.length < partitions) return { topicId, partitions };
    if (!request.noWait) await this.#untilLed(topic, index, deadline);
    return { topicId, partitions: topic.partitions.length };
  }

  async describeTopic(topic: string, options: CallOptions): Promise<DescribeTopicResult> {
    const found = (await this.#mustFind({ topic, partition: 0 })).topic;
    const facts = await this.#deps.partitions.describe(
      found.partitions.map((p) => p.groupId),
      Math.min(options.deadlineMs, DESCRIBE_MS),
    );
    return {
      topic,
      topicId: found.id,
      config: found.config,
      effectiveConfig: effectiveTopicConfig(found.config),
      configVersion: found.configVersion,
      configHistory: found.configHistory,
      durabilityPromise: durabilityPromise(found.settings.durability),
      partitions: found.partitions.map(({ partition, groupId, replicas }) => ({
        partition,
        groupId,
        targetReplicas: replicas,
        facts: facts.get(groupId) ?? new BrokerError('INTERNAL', 'no answer'),
      })),
    };
  }

  async alterTopic(request: AlterTopicRequest, options: CallOptions): Promise<AlterTopicResult> {
    const deadline = this.#deadline(options, undefined);
    const { index, ...altered } = await this.#deps.link.call(
      'alterTopic',
      request,
      deadline.remainingMs(),
    );
    await this.#follow(index, deadline);
    return { ...altered, ...riskOf(altered.config) };
  }

  async moveReplicas(request: MoveReplicasRequest, options: CallOptions): Promise<void> {
    const deadline = this.#deadline(options, undefined);
    const { index } = await this.#deps.link.call('moveReplicas', request, deadline.remainingMs());
    await this.#follow(index, deadline);
  }

  // ---- Partitions ----

  async listOffsets(
    request: { readonly queries: readonly OffsetQuery[]; readonly linearizable: boolean },
    { deadlineMs }: CallOptions,
  ): Promise<readonly OffsetAnswer[]> {
    const answers = new Map<OffsetQuery, OffsetAnswer['answer']>();
    let open: { query: OffsetQuery; groupId: RaftGroupId }[] = [];
    for (const query of request.queries) {
      const found = findPartition(this.#deps.view.image(), query);
      if (found.kind === 'rejected') {
        answers.set(query, new BrokerError(found.code, found.message));
      } else open.push({ query, groupId: found.partition.groupId });
    }
    // One query a group and round; only who asks twice about a partition needs a second round.
    while (open.length > 0) {
      const round = new Map<RaftGroupId, GroupOffsetQuery>();
      const asked = open.filter(({ query, groupId }) => {
        if (round.has(groupId)) return false;
        round.set(groupId, { groupId, at: query.at });
        return true;
      });
      open = open.filter((one) => !asked.includes(one));
      const { linearizable } = request;
      const found = await this.#deps.partitions.listOffsets(round, { linearizable, deadlineMs });
      for (const { query, groupId } of asked) {
        answers.set(query, found.get(groupId) ?? new BrokerError('INTERNAL', 'no answer'));
      }
    }
    return request.queries.map((query) => ({
      topic: query.topic,
      partition: query.partition,
      answer: answers.get(query) ?? new BrokerError('INTERNAL', 'no answer'),
    }));
  }

  async trimPartition(request: TrimPartitionRequest, { deadlineMs }: CallOptions): Promise<Offset> {
    const { groupId } = (await this.#mustFind(request)).partition;
    return this.#deps.partitions.trim(groupId, request.beforeOffset, deadlineMs);
  }

  async transferLeadership(
    request: TransferLeadershipRequest,
    { deadlineMs }: CallOptions,
  ): Promise<{ readonly leader: BrokerId; readonly leaderEpoch: Term }> {
    const { link, leaders, partitions } = this.#deps;
    if (request.partition === undefined) {
      const moved = await link.call(
        'transfer',
        { to: request.toBroker, timeoutMs: Math.ceil(deadlineMs) },
        deadlineMs,
        { attemptMs: deadlineMs },
      );
      leaders.learn(METADATA_GROUP, moved.leader, moved.leaderEpoch);
      return moved;
    }
    const { groupId } = (await this.#mustFind(request.partition)).partition;
    return partitions.transfer(groupId, request.toBroker, deadlineMs);
  }

  // ---- Producers and consumer groups ----

  initProducer(
    request: InitProducerRequest,
    { deadlineMs }: CallOptions,
  ): Promise<InitProducerResult> {
    return this.#producerIds.init(request, deadlineMs);
  }

  async commitOffsets(
    request: Parameters<AdminService['commitOffsets']>[0],
    { deadlineMs }: CallOptions,
  ): Promise<readonly CommittedOffset[]> {
    if (request.offsets.length > LIMITS.offsetCommitsPerRequestMax) {
      throw new BrokerError(
        'INVALID_ARGUMENT',
        `a request commits at most ${LIMITS.offsetCommitsPerRequestMax} offsets`,
      );
    }
    const { group, offsets, memberId = '', memberEpoch = 0, sequence = 0 } = request;
    const answer = await this.#deps.link.commitOffsets(
      { group, offsets, memberId, memberEpoch, sequence },
      deadlineMs,
    );
    return request.offsets.map(({ topic, partition, offset, metadata }, at) => {
      const error = answer.errors[at];
      const commitTimeMs = error === undefined ? answer.commitTimeMs : 0;
      return { topic, partition, offset, metadata, error, commitTimeMs };
    });
  }

  async fetchOffsets(
    request: { readonly group: string; readonly partitions: readonly TopicPartition[] },
    { deadlineMs }: CallOptions,
  ): Promise<readonly CommittedOffset[]> {
    return this.#deps.link.call('fetchOffsets', request, deadlineMs);
  }

  // ---- Helpers ----

  #deadline({ deadlineMs }: CallOptions, timeoutMs: number | undefined): Deadline {
    const wantedMs = Math.min(timeoutMs ?? CHANGE_DEADLINE_MS, LIMITS.requestDeadlineMsMax);
    return new Deadline(this.#deps.world.clock, Math.min(deadlineMs, wantedMs));
  }

  /** Of the topic that has the name now, if it is the one that is meant. */
  async #idOf(
    { topic, topicId }: { readonly topic: string; readonly topicId?: TopicId | undefined },
    deadline: Deadline,
  ): Promise<TopicId> {
    const id = await this.#deps.link.call('topicId', topic, deadline.remainingMs());
    return topicId === undefined || topicId === id ? id : raise(otherTopic(topic, topicId));
  }

  /** Until this broker's metadata holds everything acknowledged before the call. */
  async #catchUp(deadlineMs: number): Promise<void> {
    const deadline = new Deadline(this.#deps.world.clock, deadlineMs);
    const { index } = await this.#deps.link.call('barrier', undefined, deadlineMs);
    await this.#deps.view.waitForVersion(index, deadline.remainingMs());
  }

  /** The change is committed; that this broker's copy lags is no reason to call it failed. */
  async #follow(index: LogIndex, deadline: Deadline): Promise<void> {
    const waitMs = Math.min(FOLLOW_MS, deadline.remainingMs());
    await this.#deps.view.waitForVersion(index, waitMs).catch(() => undefined);
  }

  /** The metadata entry at `index` made the topic what it is. */
  async #untilLed(topic: TopicImage, index: LogIndex, deadline: Deadline): Promise<void> {
    const { leaders, world, view } = this.#deps;
    const leaderless = new Set(topic.partitions.map((p) => p.groupId));
    const settle = (): void => {
      for (const groupId of leaderless) {
        if (leaders.leaderOf(groupId) !== undefined) leaderless.delete(groupId);
      }
    };
    settle();
    if (leaderless.size === 0) return;
    await new Promise<void>((resolve, reject) => {
      const end = (finish: () => void): void => {
        stopLeaders();
        stopView();
        stopTimer();
        finish();
      };
      const check = (): void => {
        settle();
        if (leaderless.size === 0) end(resolve);
        // Metadata from before the creation (this broker's replica was opened anew) says nothing.
        else if (view.image().version >= index && !view.image().topicsById.has(topic.id)) {
          end(() => reject(deletedMeanwhile()));
        }
      };
      const stopLeaders = leaders.onChange((groupId) => {
        if (leaderless.has(groupId)) check();
      });
      const stopView = view.onChange(check);
      const stopTimer = world.timers.after(deadline.remainingMs(), () =>
        end(() =>
          reject(
            new BrokerError(
              'DEADLINE_EXCEEDED',
              `topic ${topic.name} is there, but ${leaderless.size} of its partitions have no leader yet`,
            ),
          ),
        ),
      );
    });
  }

  #topicMetadata(image: MetadataImage, name: string): TopicMetadata {
    const found = findPartition(image, { topic: name, partition: 0 });
    if (found.kind === 'rejected') {
      const problem = topicNameProblem(name);
      const error =
        problem === undefined
          ? new BrokerError(found.code, found.message)
          : new BrokerError('INVALID_TOPIC_NAME', problem);
      return { topic: name, error };
    }
    const { topic } = found;
    return {
      topic: name,
      topicId: topic.id,
      config: topic.config,
      configVersion: topic.configVersion,
      partitions: topic.partitions.map(({ partition, replicas, groupId }) => {
        const known = this.#deps.leaders.leaderOf(groupId);
        return { partition, replicas, leader: known?.leader, leaderEpoch: known?.term };
      }),
    };
  }

  /** What is not here yet may have been made through another broker a moment ago. */
  async #mustFind(at: PlaceInTopic): Promise<{
    readonly topic: TopicImage;
    readonly partition: PartitionImage;
  }> {
    const { view } = this.#deps;
    let found = findPlace(view.image(), at);
    if (found.kind === 'rejected') {
      await this.#catchUp(FOLLOW_MS).catch(() => undefined);
      found = findPlace(view.image(), at);
    }
    return found.kind === 'rejected' ? raise(found) : found;
  }

  /** Without a metadata leader: members, but not how far they are. */
  #metadataGroupSeenFromHere(): Partial<Pick<MetadataGroupDescription, 'controller' | 'term'>> &
    Pick<MetadataGroupDescription, 'members' | 'commitIndex'> {
    const status = this.#deps.metadataGroup()?.status();
    if (status === undefined) return { members: [], commitIndex: logIndex(0) };
    return {
      commitIndex: status.commit,
      members: membersOf(status.membership).map((brokerId) => ({
        brokerId,
        role: status.membership.voters.includes(brokerId) ? 'voter' : 'learner',
        matchIndex: brokerId === this.#deps.self ? status.durable : logIndex(0),
        isActive: brokerId === this.#deps.self,
        isRepairing: false,
      })),
    };
  }
}

type PlaceInTopic = TopicPartition & { readonly topicId?: TopicId | undefined };

function findPlace(image: MetadataImage, at: PlaceInTopic): FoundPartition {
  const found = findPartition(image, at);
  const { topicId } = at;
  if (found.kind === 'rejected' || topicId === undefined || topicId === found.topic.id)
    return found;
  return otherTopic(at.topic, topicId);
}

function brokersOf(image: MetadataImage): BrokerDescription[] {
  return [...image.brokers.values()]
    .sort((a, b) => a.id - b.id)
    .map(({ id, address, rack, isFenced }) => ({ id, address, rack, isFenced }));
}

function riskOf(config: TopicConfig): { readonly risk?: string } {
  const { durability } = topicSettings(config);
  return durability.kind === 'fsync' ? {} : { risk: durabilityPromise(durability) };
}
