import { crc32c } from '../../../src/base/crc32c.js';
import { concatBytes } from '../../../src/base/bytes.js';
import type {
  ClientTransport,
  FetchCall,
  FetchHandlers,
  FetchLink,
  FetchPosition,
  FetchedPartition,
  MembershipHandlers,
  MembershipLink,
  ProduceAnswer,
  ProduceCall,
  ProduceHandlers,
  ProduceLink,
} from '../../../src/client/connection.js';
import type { BrokerAddress, ClusterMethods, Metadata } from '../../../src/client/types.js';
import { BrokerError } from '../../../src/model/errors.js';
import { offset, term } from '../../../src/model/ids.js';
import {
  SEQUENCE_LIMIT,
  checkProducedBatch,
  readBatchHeader,
  stampBatch,
  type RecordBatchHeader,
} from '../../../src/model/record-batch.js';
import { splitBatches, type StoredRecord } from '../../../src/model/record.js';
import { FakeCoordinator, FakeMembershipLink, type MembershipHost } from './fake-coordinator.js';
import type { VirtualWorld } from './virtual-world.js';
import { recordsOf } from '../../support/records-of.js';

/** What happens to one produce request. */
export type Fate =
  | { readonly kind: 'serve'; readonly delayMs?: number }
  | { readonly kind: 'refuse'; readonly error: BrokerError }
  /** The connection breaks before or after the append. */
  | { readonly kind: 'break'; readonly afterAppend: boolean }
  /** Appended, but the answer says that this is not known. */
  | { readonly kind: 'doubt'; readonly isAppended: boolean }
  /** No answer, ever; nor anything after it on this link. */
  | { readonly kind: 'freeze' };

interface ProducerState {
  epoch: number;
  readonly recent: { first: number; last: number; baseOffset: number }[];
}

export class FakePartition {
  leader: number;
  epoch = 1;
  logStart = 0;
  /** Where the records end that were written in this epoch or before. */
  endOfEpoch: (epoch: number) => number = () => Infinity;
  readonly batches: Uint8Array[] = [];
  readonly producers = new Map<number, ProducerState>();

  constructor(leader: number) {
    this.leader = leader;
  }

  get end(): number {
    const last = this.batches.at(-1);
    if (last === undefined) return 0;
    const header = readBatchHeader(last);
    return header.baseOffset + header.lastOffsetDelta + 1;
  }

  /** The last offset of the key of a batch's first record; -1: none. */
  lastOf(batch: Uint8Array): number {
    const keyOf = (bytes: Uint8Array | undefined): string =>
      Buffer.from(bytes ?? []).toString('hex');
    const allOf = (b: Uint8Array): StoredRecord[] => recordsOf(readBatchHeader(b), b.subarray(61));
    if ((readBatchHeader(batch).attributes & 7) !== 0) return -1;
    const key = keyOf(allOf(batch)[0]?.key);
    return this.batches.flatMap(allOf).findLast((r) => keyOf(r.key) === key)?.offset ?? -1;
  }

  /** Values in the log, in order. */
  values(): string[] {
    return this.batches
      .flatMap((b) => splitBatches(b, crc32c))
      .flatMap(({ header, bytes }) => recordsOf(header, bytes.subarray(61)))
      .map((r) => Buffer.from(r.value ?? []).toString());
  }
}

/**
 * A cluster in one object, with the idempotence rules of the real one, faults on request, and one
 * millisecond of delay each way. Everything happens on the virtual clock.
 */
export class FakeCluster implements ClientTransport, MembershipHost {
  readonly topic = 'events';
  topicId = 'a'.repeat(32);
  isDeleted = false;
  /** Of the topic. */
  config: Readonly<Record<string, string>> = {};
  configVersion = 1;
  readonly partitions: FakePartition[];
  readonly brokers: number;
  readonly down = new Set<number>();
  /** Said to be out of service. */
  readonly fenced = new Set<number>();
  readonly produced: ProduceCall[] = [];
  readonly fetches: FetchCall[] = [];
  readonly openFetches = new Set<FakeFetchLink>();
  readonly copiesBatches: boolean = true;
  fate: (call: ProduceCall, broker: number) => Fate = () => ({ kind: 'serve' });
  /** What the next reads of a partition are answered, one each. */
  readonly readRefusals: BrokerError[] = [];
  /** Up to where a follower has the partition, or why it does not serve it. Undefined: no follower does. */
  onFollow: ((broker: number, partition: number) => number | BrokerError) | undefined;
  /** What followers say the end is, if not how far they have the partition. */
  followerMark: number | undefined;
  /** Racks of the brokers, from the first on. */
  racks: readonly string[] = [];
  /** Brokers that have replicas of all partitions. */
  replicas: readonly number[] = [1, 2, 3];
  /** Overrides an administrative call. */
  onCall: (method: string, request: unknown, broker: number) => unknown = () => undefined;
  calls: string[] = [];
  nextProducerId = 1;
  readonly producerEpochs = new Map<number, number>();
  readonly committed = new Map<string, number>();
  /** Every commit that was taken, in order. */
  readonly commits: { readonly partition: number; readonly offset: number }[] = [];
  readonly coordinator: FakeCoordinator;
  /** Broker that leads the metadata group, and so coordinates. */
  controller = 1;
  controllerTerm = 1;
  readonly world: VirtualWorld;
  private readonly links = new Set<FakeProduceLink>();
  private readonly memberships = new Set<FakeMembershipLink>();

  constructor(world: VirtualWorld, options: { partitions?: number; brokers?: number } = {}) {
    this.world = world;
    this.coordinator = new FakeCoordinator(
      world,
      () => ({ topic: this.topic, topicId: this.topicId }),
      () => this.partitions.length,
    );
    this.brokers = options.brokers ?? 3;
    this.partitions = Array.from(
      { length: options.partitions ?? 1 },
      (_, i) => new FakePartition((i % this.brokers) + 1),
    );
  }

  partition(p = 0): FakePartition {
    return this.partitions[p]!;
  }

  /** Another broker leads from now on. */
  moveLeader(p = 0, to?: number): void {
    const partition = this.partition(p);
    partition.leader = to ?? (partition.leader % this.brokers) + 1;
    partition.epoch += 1;
    for (const link of this.openFetches) link.poke();
  }

  kill(broker: number): void {
    this.down.add(broker);
    for (const link of [...this.links]) if (link.broker === broker) link.break();
    for (const link of [...this.openFetches]) if (link.broker === broker) link.break();
    for (const link of [...this.memberships]) {
      if (link.broker === broker) link.end(new BrokerError('BROKER_UNAVAILABLE', 'reset'));
    }
  }

  /** Another broker coordinates from now on; the one before knows it, or is dead. */
  moveController(to: number): void {
    this.controller = to;
    this.controllerTerm += 1;
    this.coordinator.failOver();
    for (const link of [...this.memberships]) link.end(this.notController());
  }

  isDown(broker: number): boolean {
    return this.down.has(broker);
  }

  redirect(broker: number): BrokerError | undefined {
    return broker === this.controller ? undefined : this.notController();
  }

  openMembership(to: BrokerAddress, handlers: MembershipHandlers): MembershipLink {
    const link = new FakeMembershipLink(this, to.port, handlers);
    this.memberships.add(link);
    return link;
  }

  forgetMembership(link: FakeMembershipLink): void {
    this.memberships.delete(link);
  }

  private notController(): BrokerError {
    const { controller: brokerId, controllerTerm: term } = this;
    const leader = { brokerId, host: 'b', port: brokerId, term };
    return new BrokerError('NOT_LEADER', 'not the coordinator', { leader });
  }

  append(p: number, batch: Uint8Array): number {
    const partition = this.partition(p);
    const base = partition.end;
    const stored = batch.slice();
    stampBatch(stored, { baseOffset: offset(base), leaderEpoch: term(partition.epoch) });
    partition.batches.push(stored);
    for (const link of this.openFetches) link.poke();
    return base;
  }

  openProduce(to: BrokerAddress, handlers: ProduceHandlers): ProduceLink {
    const link = new FakeProduceLink(this, this.world, to.port, handlers);
    this.links.add(link);
    return link;
  }

  openFetch(to: BrokerAddress, call: FetchCall, handlers: FetchHandlers): FetchLink {
    this.fetches.push(call);
    const link = new FakeFetchLink(this, this.world, to.port, call, handlers);
    this.openFetches.add(link);
    return link;
  }

  async call<Method extends keyof ClusterMethods>(
    to: BrokerAddress,
    method: Method,
    request: ClusterMethods[Method]['request'],
  ): Promise<ClusterMethods[Method]['answer']> {
    await this.wait(1);
    if (this.down.has(to.port)) throw new BrokerError('BROKER_UNAVAILABLE', 'refused');
    this.calls.push(method);
    const scripted = this.onCall(method, request, to.port);
    if (scripted instanceof Error) throw scripted;
    if (scripted !== undefined) return scripted as ClusterMethods[Method]['answer'];
    await this.wait(1);
    return this.answer(method, request) as ClusterMethods[Method]['answer'];
  }

  close(): void {
    this.links.clear();
    this.openFetches.clear();
  }

  metadata(): Metadata {
    return {
      clusterId: 'c',
      brokers: Array.from({ length: this.brokers }, (_, i) => ({
        id: i + 1,
        host: 'b',
        port: i + 1,
        rack: this.racks[i] ?? '',
        isFenced: this.fenced.has(i + 1),
        peerHost: '',
        peerPort: 0,
        httpPort: 0,
      })),
      topics: [
        {
          topic: this.topic,
          topicId: this.topicId,
          partitions: this.partitions.map((p, partition) => ({
            partition,
            replicas: this.replicas,
            leader: this.down.has(p.leader) ? undefined : p.leader,
            leaderEpoch: p.epoch,
          })),
          config: this.config,
          configVersion: this.configVersion,
          error: undefined,
        },
      ],
      controller: this.controller,
      metadataVersion: 1,
    };
  }

  /** The leader's half: the rules of idempotence, then the append. */
  serve(call: ProduceCall, broker: number): ProduceAnswer {
    const partition = this.partition(call.partition);
    if (partition.leader !== broker) return refusal(call, this.notLeader(partition));
    const batchBytesMax = Number(this.config['max.batch.bytes'] ?? 1 << 20);
    let header: RecordBatchHeader;
    try {
      header = checkProducedBatch(call.batch, { batchBytesMax, crc32c });
    } catch (thrown) {
      return refusal(call, BrokerError.from(thrown));
    }
    const answer = (baseOffset: number, isDuplicate: boolean): ProduceAnswer => ({
      correlationId: call.correlationId,
      error: undefined,
      baseOffset,
      appendTimeMs: this.world.nowMs,
      leaderEpoch: partition.epoch,
      brokerId: broker,
      isDuplicate,
    });
    if (header.producerId < 0) return answer(this.append(call.partition, call.batch), false);
    const verdict = judge(partition, header);
    if (verdict instanceof BrokerError) return refusal(call, verdict);
    if (verdict !== undefined) return answer(verdict, true);
    const { expectedOffset = partition.end } = call;
    if (expectedOffset !== partition.end) {
      const facts = { logEndOffset: partition.end };
      return refusal(call, new BrokerError('EXPECTATION_FAILED', 'elsewhere', facts));
    }
    const { expectedKeyOffset } = call;
    const keyOffset = partition.lastOf(call.batch);
    if (expectedKeyOffset !== undefined && expectedKeyOffset !== keyOffset) {
      return refusal(call, new BrokerError('EXPECTATION_FAILED', 'elsewhere', { keyOffset }));
    }
    const baseOffset = this.append(call.partition, call.batch);
    remember(partition, header, baseOffset);
    return answer(baseOffset, false);
  }

  notLeader({ leader: brokerId, epoch: term }: FakePartition): BrokerError {
    const leader = this.down.has(brokerId)
      ? undefined
      : { brokerId, host: 'b', port: brokerId, term };
    return new BrokerError('NOT_LEADER', 'not leader', { leader });
  }

  forgetLink(link: FakeProduceLink | FakeFetchLink): void {
    this.links.delete(link as FakeProduceLink);
    this.openFetches.delete(link as FakeFetchLink);
  }

  private answer(method: keyof ClusterMethods, request: unknown): unknown {
    switch (method) {
      case 'getMetadata': {
        const { topics } = request as ClusterMethods['getMetadata']['request'];
        const metadata = this.metadata();
        const known = metadata.topics.filter((t) => !this.isDeleted && topics.includes(t.topic));
        const unknown = topics
          .filter((t) => this.isDeleted || t !== this.topic)
          .map((topic) => ({
            topic,
            topicId: '',
            partitions: [],
            config: {},
            configVersion: 0,
            error: new BrokerError('UNKNOWN_TOPIC', `topic ${topic} does not exist`),
          }));
        return { ...metadata, topics: [...known, ...unknown] };
      }
      case 'initProducer': {
        const { producerId } = request as ClusterMethods['initProducer']['request'];
        const id = producerId ?? this.nextProducerId++;
        const epoch = producerId === undefined ? 0 : (this.producerEpochs.get(id) ?? 0) + 1;
        this.producerEpochs.set(id, epoch);
        return { producerId: id, producerEpoch: epoch };
      }
      case 'listOffsets': {
        const { queries } = request as ClusterMethods['listOffsets']['request'];
        return queries.map(({ topic, partition, at }) => ({
          topic,
          partition,
          error: undefined,
          offset:
            at === 'earliest'
              ? this.partition(partition).logStart
              : at === 'latest'
                ? this.partition(partition).end
                : at === 'maxTimestamp'
                  ? undefined
                  : this.offsetAt(partition, at.timestampMs),
          timestampMs: undefined,
          leaderEpoch: 1,
        }));
      }
      case 'commitOffsets': {
        const { group, offsets, member } = request as ClusterMethods['commitOffsets']['request'];
        return offsets.map((o) => {
          const code =
            member && this.coordinator.refusalOf(member.memberId, member.memberEpoch, o.partition);
          if (code === undefined) {
            this.committed.set(`${group}/${o.partition}`, o.offset);
            this.commits.push({ partition: o.partition, offset: o.offset });
          }
          const error = code && new BrokerError(code, code);
          return { ...o, metadata: '', commitTimeMs: 0, error };
        });
      }
      case 'fetchOffsets': {
        const { group, partitions } = request as ClusterMethods['fetchOffsets']['request'];
        return partitions.map((p) => ({
          ...p,
          offset: this.committed.get(`${group}/${p.partition}`),
          metadata: '',
          commitTimeMs: 0,
          error: undefined,
        }));
      }
      default:
        return {};
    }
  }

  private offsetAt(p: number, timestampMs: number): number | undefined {
    for (const bytes of this.partition(p).batches) {
      const header = readBatchHeader(bytes);
      if (header.maxTimestamp >= timestampMs) return header.baseOffset;
    }
    return undefined;
  }

  private async wait(ms: number): Promise<void> {
    await new Promise<void>((resolve) => this.world.timers.after(ms, resolve));
  }
}

function refusal(call: ProduceCall, error: BrokerError): ProduceAnswer {
  return {
    correlationId: call.correlationId,
    error,
    baseOffset: -1,
    appendTimeMs: 0,
    leaderEpoch: 0,
    brokerId: 0,
    isDuplicate: false,
  };
}

/** An error, the offset of the original, or undefined: append it. */
function judge(partition: FakePartition, h: RecordBatchHeader): BrokerError | number | undefined {
  const known = partition.producers.get(h.producerId);
  const last = (h.baseSequence + h.recordsCount - 1) % SEQUENCE_LIMIT;
  if (known === undefined || h.producerEpoch > known.epoch) {
    return h.baseSequence === 0 ? undefined : new BrokerError('UNKNOWN_PRODUCER', 'unknown');
  }
  if (h.producerEpoch < known.epoch) return new BrokerError('PRODUCER_FENCED', 'fenced');
  const same = known.recent.find((r) => r.first === h.baseSequence && r.last === last);
  if (same !== undefined) return same.baseOffset;
  const expectedSequence = ((known.recent.at(-1)?.last ?? -1) + 1) % SEQUENCE_LIMIT;
  if (h.baseSequence === expectedSequence) return undefined;
  return new BrokerError('OUT_OF_ORDER_SEQUENCE', 'gap', { expectedSequence });
}

function remember(partition: FakePartition, h: RecordBatchHeader, baseOffset: number): void {
  let known = partition.producers.get(h.producerId);
  if (known === undefined || known.epoch !== h.producerEpoch) {
    known = { epoch: h.producerEpoch, recent: [] };
    partition.producers.set(h.producerId, known);
  }
  const last = (h.baseSequence + h.recordsCount - 1) % SEQUENCE_LIMIT;
  known.recent.push({ first: h.baseSequence, last, baseOffset });
  if (known.recent.length > 5) known.recent.shift();
}

/** Serves requests one after the other, and answers in their order. */
class FakeProduceLink implements ProduceLink {
  readonly broker: number;
  private readonly cluster: FakeCluster;
  private readonly world: VirtualWorld;
  private readonly handlers: ProduceHandlers;
  private isClosed = false;
  private isFrozen = false;
  private freeAtMs = 0;

  constructor(
    cluster: FakeCluster,
    world: VirtualWorld,
    broker: number,
    handlers: ProduceHandlers,
  ) {
    this.cluster = cluster;
    this.world = world;
    this.broker = broker;
    this.handlers = handlers;
    world.timers.after(1, () => {
      if (this.isClosed) return;
      if (!cluster.down.has(broker)) handlers.ready();
      else this.end(new BrokerError('BROKER_UNAVAILABLE', `broker ${broker} refuses`));
    });
  }

  send(call: ProduceCall): boolean {
    const copy = { ...call, batch: call.batch.slice() };
    this.cluster.produced.push(copy);
    const fate = this.cluster.fate(copy, this.broker);
    const delayMs = fate.kind === 'serve' ? (fate.delayMs ?? 0) : 0;
    this.freeAtMs = Math.max(this.freeAtMs, this.world.nowMs + 1) + delayMs;
    this.world.timers.after(this.freeAtMs - this.world.nowMs, () => this.arrived(copy, fate));
    return true;
  }

  close(): void {
    this.isClosed = true;
    this.cluster.forgetLink(this);
  }

  break(): void {
    this.end(new BrokerError('UNKNOWN_OUTCOME', 'connection reset'));
  }

  private arrived(call: ProduceCall, fate: Fate): void {
    if (this.isClosed || this.isFrozen) return;
    switch (fate.kind) {
      case 'serve':
        this.reply(this.cluster.serve(call, this.broker));
        return;
      case 'refuse':
        this.reply(refusal(call, fate.error));
        return;
      case 'doubt':
        if (fate.isAppended) this.cluster.serve(call, this.broker);
        this.reply(refusal(call, new BrokerError('UNKNOWN_OUTCOME', 'leader stepped down')));
        return;
      case 'break':
        if (fate.afterAppend) this.cluster.serve(call, this.broker);
        this.break();
        return;
      case 'freeze':
        this.isFrozen = true;
    }
  }

  private reply(answer: ProduceAnswer): void {
    this.world.timers.after(1, () => {
      if (!this.isClosed) this.handlers.answer(answer);
    });
  }

  private end(error: BrokerError): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.cluster.forgetLink(this);
    this.world.timers.defer(() => this.handlers.closed(error));
  }
}

/** Sends whole batches from where each partition stands, as long as it is not paused. */
class FakeFetchLink implements FetchLink {
  readonly broker: number;
  private readonly allowsFollower: boolean;
  private readonly cluster: FakeCluster;
  private readonly world: VirtualWorld;
  private readonly handlers: FetchHandlers;
  private readonly positions: Map<number, FetchPosition & { offset: number }>;
  private isPaused = false;
  private isClosed = false;

  constructor(
    cluster: FakeCluster,
    world: VirtualWorld,
    broker: number,
    call: FetchCall,
    handlers: FetchHandlers,
  ) {
    this.cluster = cluster;
    this.world = world;
    this.broker = broker;
    this.allowsFollower = call.allowFollower === true;
    this.handlers = handlers;
    this.positions = new Map(call.partitions.map((p) => [p.partition, { ...p }]));
    world.timers.after(1, () => {
      if (cluster.down.has(broker)) this.end('BROKER_UNAVAILABLE');
      else this.poke();
    });
    const heartbeat = world.timers.every(call.maxWaitMs, () => {
      if (this.isClosed) heartbeat();
      else this.serve(true);
    });
  }

  /** Partitions that this stream still serves. */
  served(): number[] {
    return [...this.positions.keys()];
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
    this.poke();
  }

  close(): void {
    this.isClosed = true;
    this.cluster.forgetLink(this);
  }

  break(): void {
    this.end('BROKER_UNAVAILABLE');
  }

  poke(): void {
    this.world.timers.after(1, () => this.serve(false));
  }

  private serve(isHeartbeat: boolean): void {
    if (this.isClosed || this.isPaused) return;
    const fetched: FetchedPartition[] = [];
    for (const [p, at] of [...this.positions]) {
      const part = this.read(p, at);
      if (part === undefined) continue;
      if (part.error !== undefined) this.positions.delete(p);
      if (isHeartbeat || part.error !== undefined || part.batches.length > 0) fetched.push(part);
    }
    if (fetched.length === 0) return;
    this.handlers.response(fetched);
    if (fetched.some((f) => f.batches.length > 0)) this.poke();
  }

  private read(p: number, at: FetchPosition & { offset: number }): FetchedPartition | undefined {
    const partition = this.cluster.partition(p);
    const { onFollow } = this.cluster;
    const isFollowing =
      partition.leader !== this.broker && this.allowsFollower && onFollow !== undefined;
    const follows = isFollowing ? onFollow(this.broker, p) : partition.end;
    const end = typeof follows === 'number' ? follows : partition.end;
    // A follower says nothing of what is beyond its end.
    if (isFollowing && typeof follows === 'number' && at.offset > end) return undefined;
    const base = {
      topic: at.topic,
      partition: p,
      batches: new Uint8Array(),
      highWatermark: isFollowing ? (this.cluster.followerMark ?? end) : end,
      logStartOffset: partition.logStart,
      leaderEpoch: partition.epoch,
      nextOffset: at.offset,
    };
    const refusal = this.cluster.readRefusals.shift();
    if (refusal !== undefined) return { ...base, error: refusal };
    if (this.cluster.isDeleted) {
      return { ...base, error: new BrokerError('UNKNOWN_TOPIC', 'gone') };
    }
    if (typeof follows !== 'number') return { ...base, error: follows };
    if (partition.leader !== this.broker && !isFollowing) {
      return { ...base, error: this.cluster.notLeader(partition) };
    }
    const isCut = at.leaderEpoch > 0 && at.offset > partition.endOfEpoch(at.leaderEpoch);
    if (isCut || at.offset > partition.end || at.offset < partition.logStart) {
      const facts = { logStartOffset: partition.logStart, highWatermark: partition.end };
      return { ...base, error: new BrokerError('OFFSET_OUT_OF_RANGE', 'out of range', facts) };
    }
    const taken: Uint8Array[] = [];
    for (const bytes of partition.batches) {
      const header = readBatchHeader(bytes);
      const next = header.baseOffset + header.lastOffsetDelta + 1;
      if (next <= at.offset) continue;
      if (next > end) break;
      taken.push(bytes);
      at.offset = next;
      if (taken.length === 2) break;
    }
    return { ...base, error: undefined, batches: concatBytes(taken), nextOffset: at.offset };
  }

  private end(code: 'BROKER_UNAVAILABLE'): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.cluster.forgetLink(this);
    this.world.timers.defer(() => this.handlers.closed(new BrokerError(code, 'stream ended')));
  }
}
