import { hexOf } from '../base/bytes.js';
import { BrokerError } from '../model/errors.js';
import { LIMITS } from '../model/limits.js';
import type { World } from '../ports/world.js';
import { abortable, type Abortable } from './abort.js';
import type { CallOptions, ClusterView } from './cluster-view.js';
import type {
  GroupDescription,
  GroupSummary,
  ResetOffset,
  ResetTo,
  TopicPartitions,
  TopicSelection,
} from './group-types.js';
import type {
  AddPartitionsRequest,
  AlteredTopic,
  AlterTopicRequest,
  ClusterDescription,
  ClusterMethods,
  CommittedOffset,
  CreateTopicRequest,
  CreatedTopic,
  GrownTopic,
  Metadata,
  OffsetAnswer,
  OffsetQuery,
  OffsetToCommit,
  TopicDescription,
  TopicInfo,
  TopicPartition,
} from './types.js';

const DEFAULT_TIMEOUT_MS = 30_000;

/**
 * Everything of the Cluster service. Any broker is asked; calls go round the brokers and are retried
 * until their timeout. A change names the topic that it is for by its id, so that an attempt that was held up
 * on its way reaches no other topic, nor makes one again that was deleted.
 */
export class Admin {
  private readonly view: ClusterView;
  private readonly world: World;
  private readonly timeoutMs: number;

  /** @internal */
  constructor(
    view: ClusterView,
    world: World,
    options: { readonly timeoutMs?: number | undefined } = {},
  ) {
    this.view = view;
    this.world = world;
    this.timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  }

  /**
   * Brokers, topics and leaders: of the given topics, or of all. Linearizable unless told otherwise: it has
   * everything acknowledged before the call.
   */
  async metadata(
    options: {
      readonly topics?: readonly string[] | undefined;
      readonly linearizable?: boolean | undefined;
    } & Abortable = {},
  ): Promise<Metadata> {
    const { topics = [], linearizable = true, signal } = options;
    return await this.read('getMetadata', { topics, linearizable }, signal);
  }

  /** Brokers, and the members of the metadata group. */
  async describeCluster({ signal }: Abortable = {}): Promise<ClusterDescription> {
    return await this.read('describeCluster', {}, signal);
  }

  /** Resolves once every partition has a leader, unless `wait` is false. */
  async createTopic(
    request: CreateTopicRequest,
    { signal }: Abortable = {},
  ): Promise<CreatedTopic> {
    const topicId = hexOf(this.world.random.bytes(16));
    const whole = { ...request, topicId, timeoutMs: this.changeTimeoutMs };
    return await this.view.call('createTopic', whole, this.options(signal));
  }

  /**
   * Deletes a topic with all its records. Resolves once that is decided; brokers that are down delete
   * theirs when they are back. UNKNOWN_TOPIC if there is none.
   */
  async deleteTopic(topic: string, { signal }: Abortable = {}): Promise<void> {
    const options = this.until(signal);
    const { topicId } = await this.topicNow(topic, options());
    try {
      const request = { topic, topicId, timeoutMs: this.changeTimeoutMs };
      await this.view.call('deleteTopic', request, options());
    } catch (thrown) {
      const error = BrokerError.from(thrown);
      // An attempt whose answer was lost did it.
      if (error.code !== 'UNKNOWN_TOPIC' || error.outcome !== 'unknown') throw error;
    }
  }

  /**
   * Gives a topic more partitions. Records stay where they are, but most keys go to other partitions from
   * then on. Groups that have committed offsets of the topic begin at the beginning of the new ones.
   */
  async addPartitions(
    request: AddPartitionsRequest,
    { signal }: Abortable = {},
  ): Promise<GrownTopic> {
    const options = this.until(signal);
    const { topicId } = await this.topicNow(request.topic, options());
    const whole = { ...request, topicId, timeoutMs: this.changeTimeoutMs };
    const grown = await this.view.call('addPartitions', whole, options());
    // For producers and consumers of this client; the others hear of it with their next refresh.
    await abortable(signal, async () => await this.view.refresh(request.topic));
    return grown;
  }

  /** Settings, and every partition from its leader. UNKNOWN_TOPIC if there is none. */
  async describeTopic(topic: string, { signal }: Abortable = {}): Promise<TopicDescription> {
    return await this.read('describeTopic', { topic }, signal);
  }

  /** Resolves with what is set afterwards. Brokers use it from the moment they hear of it. */
  async alterTopic(request: AlterTopicRequest, { signal }: Abortable = {}): Promise<AlteredTopic> {
    const altered = await this.altered(request, this.until(signal));
    await abortable(signal, async () => await this.view.refresh(request.topic));
    return altered;
  }

  /**
   * Offsets of partitions by place or time, each answered by itself. Linearizable unless told otherwise:
   * leaders confirm that they lead.
   */
  async listOffsets(
    queries: readonly OffsetQuery[],
    options: { readonly linearizable?: boolean | undefined } & Abortable = {},
  ): Promise<readonly OffsetAnswer[]> {
    const { linearizable = true, signal } = options;
    return await this.read('listOffsets', { queries, linearizable }, signal);
  }

  /** Gives up every record below the offset; -1: all there are. Resolves with the new log start. */
  async trimPartition(
    at: TopicPartition,
    beforeOffset: number,
    { signal }: Abortable = {},
  ): Promise<number> {
    const options = this.until(signal);
    const { topicId } = await this.topicNow(at.topic, options());
    return await this.view.call('trimPartition', { ...at, topicId, beforeOffset }, options());
  }

  /** Each answer says for itself whether it was taken. */
  async commitOffsets(
    group: string,
    offsets: readonly OffsetToCommit[],
    { signal }: Abortable = {},
  ): Promise<readonly CommittedOffset[]> {
    return await this.view.commitOffsets({ group, offsets }, this.options(signal));
  }

  /** No partitions: all of the group. */
  async fetchOffsets(
    group: string,
    partitions: readonly TopicPartition[] = [],
    { signal }: Abortable = {},
  ): Promise<readonly CommittedOffset[]> {
    return await this.read('fetchOffsets', { group, partitions }, signal);
  }

  /** All groups, by name: those with members, and those of which only offsets are left. */
  async listGroups(
    options: { readonly prefix?: string | undefined } & Abortable = {},
  ): Promise<readonly GroupSummary[]> {
    const { prefix = '', signal } = options;
    const all: GroupSummary[] = [];
    for (;;) {
      const after = all.at(-1)?.group ?? '';
      const { groups, hasMore } = await this.read('listGroups', { prefix, after }, signal);
      all.push(...groups);
      if (!hasMore || groups.length === 0) return all;
    }
  }

  /** Members, assignment, committed offsets, and unless told otherwise how far behind they are. */
  async describeGroup(
    group: string,
    { lag: withLag = true, signal }: { readonly lag?: boolean | undefined } & Abortable = {},
  ): Promise<GroupDescription> {
    return await this.read('describeGroup', { group, withLag }, signal);
  }

  /**
   * Sets the committed offsets of a group without members: of the given topics, or of all that have
   * one. Offsets outside of a log are moved to its nearer end. A dry run says what would be set.
   */
  async resetOffsets(
    group: string,
    to: ResetTo,
    options: {
      readonly topics?: readonly TopicSelection[] | undefined;
      readonly dryRun?: boolean | undefined;
    } & Abortable = {},
  ): Promise<readonly ResetOffset[]> {
    const { topics = [], dryRun: isDryRun = false, signal } = options;
    const request = { group, topics, to, isDryRun };
    // Shifted twice it would be wrong: whether a lost attempt took effect is for the caller to see.
    const isRelative = typeof to === 'object' && 'shiftBy' in to && !isDryRun;
    const calling = { ...this.options(signal), retryUnknown: !isRelative };
    return await this.view.call('resetGroupOffsets', request, calling);
  }

  /** Forgets a group without members, with its offsets. */
  async deleteGroup(group: string, { signal }: Abortable = {}): Promise<void> {
    try {
      await this.view.call('deleteGroup', { group }, this.options(signal));
    } catch (thrown) {
      const error = BrokerError.from(thrown);
      // An attempt whose answer was lost did it.
      if (error.code !== 'UNKNOWN_GROUP' || error.outcome !== 'unknown') throw error;
    }
  }

  /** Forgets committed offsets of a group without members. Resolves with those there were. */
  async deleteGroupOffsets(
    group: string,
    topics: readonly TopicSelection[],
    { signal }: Abortable = {},
  ): Promise<readonly TopicPartitions[]> {
    return await this.read('deleteGroupOffsets', { group, topics }, signal);
  }

  /** Without a broker: to the most caught-up replica. Without a partition: the metadata group. */
  async transferLeadership(
    partition: TopicPartition | undefined,
    toBroker?: number,
    { signal }: Abortable = {},
  ): Promise<{ readonly leader: number; readonly leaderEpoch: number }> {
    return await this.read('transferLeadership', { partition, toBroker }, signal);
  }

  /**
   * Moves a partition's replicas to exactly these brokers, the preferred leader first. Resolves once that is
   * decided; copying goes on behind it.
   */
  async moveReplicas(
    at: TopicPartition,
    replicas: readonly number[],
    { signal }: Abortable = {},
  ): Promise<void> {
    await this.read('moveReplicas', { ...at, replicas }, signal);
  }

  /** What one attempt asks of the broker: it takes no longer deadlines, the call goes on after it. */
  private get changeTimeoutMs(): number {
    return Math.min(this.timeoutMs, LIMITS.requestDeadlineMsMax);
  }

  /** For calls that may be repeated without harm. */
  private async read<Method extends keyof ClusterMethods>(
    method: Method,
    request: ClusterMethods[Method]['request'],
    signal: AbortSignal | undefined,
  ): Promise<ClusterMethods[Method]['answer']> {
    return await this.view.call(method, request, this.options(signal));
  }

  private options(signal: AbortSignal | undefined): CallOptions {
    return { signal, deadlineMs: this.timeoutMs, retryUnknown: true };
  }

  /** Of calls that belong together: each has what is left of the time. */
  private until(signal: AbortSignal | undefined): () => CallOptions {
    const { clock } = this.world;
    const endMs = clock.monotonicMs() + this.timeoutMs;
    return () => ({
      ...this.options(signal),
      deadlineMs: Math.max(1, endMs - clock.monotonicMs()),
    });
  }

  /** Rejects with UNKNOWN_TOPIC if there is none. */
  private async topicNow(topic: string, options: CallOptions): Promise<TopicInfo> {
    const request = { topics: [topic], linearizable: true };
    const { topics } = await this.view.call('getMetadata', request, options);
    const info = topics.find((one) => one.topic === topic);
    const unknown = (): BrokerError =>
      new BrokerError('UNKNOWN_TOPIC', `topic ${topic} does not exist`);
    if (info === undefined || info.error !== undefined) throw info?.error ?? unknown();
    return info;
  }

  /**
   * Every attempt is made to the settings as they are found, also where the caller does not care which:
   * one that comes late finds others, and does not take back what was changed after it.
   */
  private async altered(
    request: AlterTopicRequest,
    options: () => CallOptions,
  ): Promise<AlteredTopic> {
    for (;;) {
      const found = await this.topicNow(request.topic, options());
      const { expectedVersion = found.configVersion } = request;
      const whole = { ...request, topicId: found.topicId, expectedVersion };
      try {
        return await this.view.call('alterTopic', whole, options());
      } catch (thrown) {
        const error = BrokerError.from(thrown);
        const isOvertaken =
          error.code === 'STALE_CONFIG_VERSION' && request.expectedVersion === undefined;
        if (!isOvertaken) throw error;
        if (error.outcome === 'unknown') {
          const text = `topic ${request.topic} was altered by others, too: ${error.message}`;
          throw new BrokerError('UNKNOWN_OUTCOME', text, {}, { cause: error });
        }
      }
    }
  }
}
