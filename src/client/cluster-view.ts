import { BrokerError, type ErrorCode, type LeaderHint } from '../model/errors.js';
import type { Cancel, World } from '../ports/world.js';
import { abortable, onAbort } from './abort.js';
import { checkArgument } from './check-argument.js';
import { addressKey, partitionKey, type ClientTransport } from './connection.js';
import { guardedHooks, type ClientHooks } from './hooks.js';
import { KnownBrokers } from './known-brokers.js';
import { RetryBudget, type RetryBudgetOptions } from './retry-budget.js';
import { TopicFollowers } from './topic-followers.js';
import type { BrokerAddress, BrokerInfo, ClusterMethods, Metadata, TopicInfo } from './types.js';

/** Who leads a partition, as far as this client knows; a later epoch replaces an earlier one. */
export interface KnownLeader {
  readonly brokerId: number;
  readonly address: BrokerAddress;
  readonly epoch: number;
}

interface TopicView {
  info: TopicInfo;
  /** Metadata version the info is from: an older answer never replaces a topic. */
  version: number;
  readonly leaders: Map<number, KnownLeader>;
}

export interface CallOptions {
  readonly deadlineMs: number;
  /** Try again although an attempt may have taken effect. */
  readonly retryUnknown: boolean;
  /** Told of every attempt that may have taken effect. */
  readonly inDoubt?: (() => void) | undefined;
  /** Aborted: no attempt is begun any more; the one that is under way is awaited. */
  readonly stop?: AbortSignal | undefined;
  /** Aborted: rejects at once with CANCELLED, and ends the attempt that is under way. */
  readonly signal?: AbortSignal | undefined;
}

export interface ViewListener {
  /** A leader of a later epoch (or at another address) is known. */
  leaderChanged(topic: string, partition: number): void;
  /** The name now stands for another topic, or for none. */
  topicReplaced(topic: string): void;
}

const METADATA_DEADLINE_MS = 1_000;
/** How old what is known of a topic's partitions and settings may get. */
const REFRESH_MS = 30_000;
const REFRESH_MS_MIN = 100;
const REFRESH_MS_MAX = 3_600_000;
/** While a leader is missing, ask this often at first: elections are over quickly. */
const SEARCH_PACE_MS = 20;
const SEARCH_SLOW_AFTER_MS = 2_000;
const SEARCH_SLOW_PACE_MS = 250;
/** What a healthy broker answers at once: one that hangs is left for another after this long. */
const ATTEMPT_MS = 3_000;
const QUICK_METHODS: ReadonlySet<keyof ClusterMethods> = new Set([
  'getMetadata',
  'describeCluster',
  'listOffsets',
  'initProducer',
  'commitOffsets',
  'fetchOffsets',
  'listGroups',
]);
const UNRESPONSIVE: ReadonlySet<ErrorCode> = new Set(['BROKER_UNAVAILABLE', 'DEADLINE_EXCEEDED']);
const UNKNOWN_THINGS: ReadonlySet<ErrorCode> = new Set(['UNKNOWN_TOPIC', 'UNKNOWN_PARTITION']);
const CALL_BACKOFF = { firstMs: 20, maxMs: 500 };

/**
 * What the client knows of the cluster: brokers, topics, leaders. Learns from metadata answers and
 * from hints, never goes back to an earlier epoch, and looks for leaders that were reported missing
 * until each is found or no longer sought.
 *
 * Invariant: at most one search request is out at a time, however many partitions look for a leader.
 */
export class ClusterView {
  /** Of everything that this client tries again. */
  readonly retries: RetryBudget;
  /** Told of everything that this client does. */
  readonly hooks: ClientHooks;
  /** Whom to ask. */
  readonly brokers: KnownBrokers;
  private readonly transport: ClientTransport;
  private readonly world: World;
  private readonly topics = new Map<string, TopicView>();
  /** Under way, by topic. */
  private readonly loads = new Map<string, Promise<TopicInfo>>();
  private readonly reloads = new Map<string, Promise<TopicInfo>>();
  private readonly listeners = new Set<ViewListener>();
  private readonly followers: TopicFollowers;
  /** Partitions that need a leader of an epoch above the given one. */
  private readonly sought = new Map<
    string,
    { readonly topic: string; readonly partition: number; epochAbove: number }
  >();
  private searchTimer: Cancel | undefined;
  /** Calls that wait before their next attempt. */
  private readonly sleepers = new Set<() => void>();
  private isSearching = false;
  private searchingSinceMs = 0;
  private isClosed = false;

  constructor(
    transport: ClientTransport,
    world: World,
    bootstrap: readonly BrokerAddress[],
    options: {
      readonly retryBudget?: RetryBudgetOptions | undefined;
      readonly hooks?: ClientHooks | undefined;
      readonly metadataRefreshMs?: number | undefined;
    } = {},
  ) {
    const { metadataRefreshMs = REFRESH_MS } = options;
    checkArgument(
      metadataRefreshMs >= REFRESH_MS_MIN && metadataRefreshMs <= REFRESH_MS_MAX,
      `metadataRefreshMs must be ${REFRESH_MS_MIN} to ${REFRESH_MS_MAX}`,
    );
    this.retries = new RetryBudget(world, options.retryBudget);
    this.hooks = guardedHooks(options.hooks ?? {});
    this.transport = transport;
    this.world = world;
    this.brokers = new KnownBrokers(world, bootstrap);
    this.followers = new TopicFollowers(world, metadataRefreshMs, async (topics) => {
      this.absorb(await this.askOne(topics));
    });
  }

  close(): void {
    this.isClosed = true;
    this.followers.close();
    this.sought.clear();
    this.searchTimer?.();
    this.searchTimer = undefined;
    for (const wake of [...this.sleepers]) wake();
  }

  onChange(listener: ViewListener): Cancel {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /**
   * Calls back with what is heard of the topic, which is asked for from time to time: it may have more
   * partitions, or other settings. Not when the name stands for another topic: see {@link onChange}.
   */
  follow(topic: string, listener: (info: TopicInfo) => void): Cancel {
    return this.followers.follow(topic, listener);
  }

  /** Asks at once about a topic that is known here. Never rejects: there is a next time. */
  async refresh(name: string): Promise<void> {
    if (!this.topics.has(name)) return;
    await this.reloadTopic(name, ATTEMPT_MS).catch(() => undefined);
  }

  topic(name: string): TopicInfo | undefined {
    return this.topics.get(name)?.info;
  }

  leader(topic: string, partition: number): KnownLeader | undefined {
    return this.topics.get(topic)?.leaders.get(partition);
  }

  /** The brokers with a replica of the partition, as last heard; none: not heard yet. */
  replicas(topic: string, partition: number): readonly BrokerInfo[] {
    const ids = this.topics.get(topic)?.info.partitions[partition]?.replicas ?? [];
    return this.brokers.all.filter(({ id }) => ids.includes(id));
  }

  /** Takes a hint from a NOT_LEADER answer. True if it names a later leadership than known. */
  learn(topic: string, partition: number, hint: LeaderHint | undefined): boolean {
    if (hint === undefined || hint.brokerId === 0 || hint.port === 0) return false;
    const view = this.topics.get(topic);
    if (view === undefined) return false;
    return this.setLeader(view, partition, {
      brokerId: hint.brokerId,
      address: { host: hint.host, port: hint.port },
      epoch: hint.term,
    });
  }

  /** Looks for a leader of an epoch above `epochAbove` until it is found or {@link settle} is called. */
  seek(topic: string, partition: number, epochAbove: number): void {
    if (this.isClosed) return;
    const key = partitionKey(topic, partition);
    const known = this.sought.get(key);
    if (known !== undefined) {
      known.epochAbove = Math.max(known.epochAbove, epochAbove);
      return;
    }
    if (this.sought.size === 0) this.searchingSinceMs = this.world.clock.monotonicMs();
    this.sought.set(key, { topic, partition, epochAbove });
    if (this.searchTimer === undefined && !this.isSearching) this.scheduleSearch(0);
  }

  /** The known leader serves again, or nobody needs it any more. */
  settle(topic: string, partition: number): void {
    if (this.sought.size > 0) this.sought.delete(partitionKey(topic, partition));
  }

  /** The topic as cached, or asked for; rejects with UNKNOWN_TOPIC once a linearizable read says so. */
  async loadTopic(name: string, deadlineMs: number): Promise<TopicInfo> {
    const cached = this.topics.get(name);
    if (cached !== undefined) return cached.info;
    return await shared(this.loads, name, () => this.fetchTopic(name, deadlineMs));
  }

  /**
   * Asks again, linearizably: has the topic gone, was it replaced, has it more partitions? Many who ask
   * at a time get one answer, which may be as old as the first one's question.
   */
  async reloadTopic(name: string, deadlineMs: number): Promise<TopicInfo> {
    return await shared(this.reloads, name, () => this.fetchAgain(name, deadlineMs));
  }

  private async fetchAgain(name: string, deadlineMs: number): Promise<TopicInfo> {
    const metadata = await this.call(
      'getMetadata',
      { topics: [name], linearizable: true },
      { deadlineMs, retryUnknown: true },
    );
    return this.topicOf(metadata, name, true);
  }

  /** Each answer says for itself whether it was taken. */
  async commitOffsets(
    request: ClusterMethods['commitOffsets']['request'],
    options: CallOptions,
  ): Promise<ClusterMethods['commitOffsets']['answer']> {
    let doubts = 0;
    const inDoubt = (): void => {
      doubts += 1;
    };
    const answers = await this.call('commitOffsets', request, { ...options, inDoubt });
    return doubts === 0 ? answers : answers.map((a) => ({ ...a, error: a.error?.inDoubt() }));
  }

  /**
   * One call, answered by any broker; goes round the brokers with back-off until the deadline. It is
   * said to have done nothing only if no attempt may have taken effect.
   */
  async call<Method extends keyof ClusterMethods>(
    method: Method,
    request: ClusterMethods[Method]['request'],
    options: CallOptions,
  ): Promise<ClusterMethods[Method]['answer']> {
    const { signal } = options;
    if (signal === undefined) return await this.callUntil(method, request, options);
    const run = async (): Promise<ClusterMethods[Method]['answer']> =>
      await this.callUntil(method, request, { ...options, stop: signal });
    return await abortable(signal, run);
  }

  private async callUntil<Method extends keyof ClusterMethods>(
    method: Method,
    request: ClusterMethods[Method]['request'],
    options: CallOptions,
  ): Promise<ClusterMethods[Method]['answer']> {
    const { clock } = this.world;
    const endMs = clock.monotonicMs() + options.deadlineMs;
    const isGivenUp = (): boolean => this.isClosed || options.stop?.aborted === true;
    let unknownThings = 0;
    let isInDoubt = false;
    for (let attempt = 1; ; attempt += 1) {
      const to = this.brokers.next();
      const leftMs = endMs - clock.monotonicMs();
      let failure: BrokerError;
      const attemptMs = QUICK_METHODS.has(method) ? Math.min(leftMs, ATTEMPT_MS) : leftMs;
      try {
        const answer = await this.transport.call(to, method, request, {
          deadlineMs: Math.max(1, Math.ceil(attemptMs)),
          signal: options.signal,
        });
        this.retries.succeeded();
        return answer;
      } catch (error) {
        failure = BrokerError.from(error);
      }
      if (failure.outcome === 'unknown') {
        isInDoubt = true;
        options.inDoubt?.();
      }
      const ended = isInDoubt ? failure.inDoubt() : failure;
      if (UNRESPONSIVE.has(failure.code)) this.brokers.markDown(to);
      // One broker may lag behind; when all of them say it, there is no such thing.
      if (UNKNOWN_THINGS.has(failure.code)) unknownThings += 1;
      const isUnknown = unknownThings >= this.brokers.count;
      const mayRetry =
        failure.retriable && !isUnknown && (options.retryUnknown || failure.outcome === 'none');
      if (!mayRetry || isGivenUp()) throw ended;
      const isRound = attempt % this.brokers.count === 0;
      const isElsewhere = failure.code === 'BROKER_UNAVAILABLE' && !isRound;
      const waitMs = isElsewhere ? 0 : this.retryDelayMs(attempt, failure, leftMs);
      if (clock.monotonicMs() + waitMs >= endMs) throw ended;
      this.hooks.onRetry?.({ kind: 'call', method, attempt, delayMs: waitMs, error: failure });
      if (waitMs > 0) await this.sleep(waitMs, options.stop);
      if (options.stop?.aborted === true) throw ended;
    }
  }

  /** However many others try again, the call's own time is not spent on one wait. */
  private retryDelayMs(attempt: number, failure: BrokerError, leftMs: number): number {
    const shareMs = Math.max(CALL_BACKOFF.maxMs, leftMs / 4);
    const waitMs = Math.min(this.retries.delayMs(CALL_BACKOFF, attempt), shareMs);
    return Math.max(waitMs, failure.facts.retryAfterMs ?? 0);
  }

  private async fetchTopic(name: string, deadlineMs: number): Promise<TopicInfo> {
    const endMs = this.world.clock.monotonicMs() + deadlineMs;
    for (const linearizable of [false, true]) {
      const leftMs = Math.max(1, endMs - this.world.clock.monotonicMs());
      const metadata = await this.call(
        'getMetadata',
        { topics: [name], linearizable },
        { deadlineMs: leftMs, retryUnknown: true },
      );
      const isKnown = metadata.topics.some((t) => t.topic === name && t.error === undefined);
      if (isKnown || linearizable) return this.topicOf(metadata, name, linearizable);
      // A broker that lags behind may not have heard of a new topic: ask one that must have.
    }
    throw new BrokerError('UNKNOWN_TOPIC', `topic ${name} does not exist`);
  }

  private topicOf(metadata: Metadata, name: string, isCurrent: boolean): TopicInfo {
    this.absorb(metadata);
    const info = metadata.topics.find((t) => t.topic === name);
    if (info !== undefined && info.error === undefined) return info;
    const error =
      info?.error ?? new BrokerError('UNKNOWN_TOPIC', `topic ${name} does not exist`, {});
    if (isCurrent && error.code === 'UNKNOWN_TOPIC' && this.topics.delete(name)) {
      for (const listener of this.listeners) listener.topicReplaced(name);
    }
    throw error;
  }

  private absorb(metadata: Metadata): void {
    this.brokers.learn(metadata);
    for (const info of metadata.topics) {
      if (info.error === undefined) this.absorbTopic(info, metadata.metadataVersion);
    }
  }

  private absorbTopic(info: TopicInfo, version: number): void {
    let view = this.topics.get(info.topic);
    const isReplaced = view !== undefined && view.info.topicId !== info.topicId;
    if (isReplaced && version < (view?.version ?? 0)) return;
    if (view === undefined || isReplaced) {
      view = { info, version, leaders: new Map() };
      this.topics.set(info.topic, view);
    } else if (version >= view.version) {
      view.info = info;
      view.version = version;
      this.followers.tell(info);
    }
    if (isReplaced) for (const listener of this.listeners) listener.topicReplaced(info.topic);
    for (const p of info.partitions) {
      const broker = this.brokers.all.find((b) => b.id === p.leader);
      if (p.leader === undefined || broker === undefined) continue;
      this.setLeader(view, p.partition, {
        brokerId: broker.id,
        address: { host: broker.host, port: broker.port },
        epoch: p.leaderEpoch,
      });
    }
  }

  private setLeader(view: TopicView, partition: number, leader: KnownLeader): boolean {
    const known = view.leaders.get(partition);
    if (known !== undefined && leader.epoch < known.epoch) return false;
    const isSame =
      known !== undefined &&
      known.epoch === leader.epoch &&
      addressKey(known.address) === addressKey(leader.address);
    if (isSame) return false;
    view.leaders.set(partition, leader);
    const topic = view.info.topic;
    const sought = this.sought.get(partitionKey(topic, partition));
    if (sought !== undefined && leader.epoch > sought.epochAbove) this.settle(topic, partition);
    this.hooks.onLeaderChange?.({
      ...{ topic, partition, brokerId: leader.brokerId, leaderEpoch: leader.epoch },
      previousBrokerId: known?.brokerId,
    });
    for (const listener of this.listeners) listener.leaderChanged(topic, partition);
    return true;
  }

  private scheduleSearch(delayMs: number): void {
    this.searchTimer = this.world.timers.after(delayMs, () => {
      this.searchTimer = undefined;
      void this.search();
    });
  }

  /** Never rejects: a failed search is followed by another. */
  private async search(): Promise<void> {
    if (!this.hasSought()) return;
    this.isSearching = true;
    const topics = [...new Set([...this.sought.values()].map((s) => s.topic))];
    const metadata = await this.askOne(topics).catch(() => undefined);
    this.isSearching = false;
    if (metadata !== undefined) this.absorb(metadata);
    // A leader that was sought and is known by now need not be sought on.
    for (const s of [...this.sought.values()]) {
      const leader = this.leader(s.topic, s.partition);
      if (leader !== undefined && leader.epoch > s.epochAbove) this.settle(s.topic, s.partition);
    }
    if (!this.hasSought()) return;
    const sinceMs = this.world.clock.monotonicMs() - this.searchingSinceMs;
    const paceMs = sinceMs < SEARCH_SLOW_AFTER_MS ? SEARCH_PACE_MS : SEARCH_SLOW_PACE_MS;
    // Many clients that lost the same leader do not ask in step.
    this.scheduleSearch(paceMs * (0.75 + this.world.random.u32() / 0x2_0000_0000));
  }

  private async askOne(topics: readonly string[]): Promise<Metadata> {
    const to = this.brokers.next();
    try {
      const request = { topics, linearizable: false };
      const options = { deadlineMs: METADATA_DEADLINE_MS };
      return await this.transport.call(to, 'getMetadata', request, options);
    } catch (thrown) {
      this.brokers.markDown(to);
      throw thrown;
    }
  }

  private hasSought(): boolean {
    return this.sought.size > 0 && !this.isClosed;
  }

  private async sleep(delayMs: number, stop: AbortSignal | undefined): Promise<void> {
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        this.sleepers.delete(wake);
        unlisten();
        cancel();
        resolve();
      };
      const cancel = this.world.timers.after(delayMs, wake);
      this.sleepers.add(wake);
      const unlisten = onAbort(stop, wake);
    });
  }
}

/** What is under way by this name; if nothing is, it is begun. */
async function shared<T>(
  underWay: Map<string, Promise<T>>,
  name: string,
  begin: () => Promise<T>,
): Promise<T> {
  const known = underWay.get(name);
  if (known !== undefined) return await known;
  const begun = begin().finally(() => underWay.delete(name));
  underWay.set(name, begun);
  return await begun;
}
