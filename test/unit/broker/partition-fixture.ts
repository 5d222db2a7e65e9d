import { crc32c } from '../../../src/base/crc32c.js';
import { gunzipSync, gzipSync } from 'node:zlib';
import { createPartitionFloor } from '../../../src/broker/partition-floor.js';
import {
  DEFAULT_BROKER_SETTINGS,
  type BrokerSettings,
  type FetchedPartition,
  type FetchPartition,
  type FetchRequest,
  type LeaderTable,
  type MetadataView,
  type PartitionFloor,
  type ProduceRequest,
  type ProduceResult,
} from '../../../src/broker/types.js';
import type {
  MultiRaft,
  ProposalObserver,
  ProposeOutcome,
  RaftGroup,
  RaftGroupOwner,
} from '../../../src/host/raft-group.js';
import { NO_TARGET, type MetadataImage, type TopicImage } from '../../../src/metadata/image.js';
import { topicSettings, type TopicSettings } from '../../../src/metadata/topic-config.js';
import { BrokerError } from '../../../src/model/errors.js';
import { FSYNC, type Durability } from '../../../src/model/durability.js';
import {
  brokerId,
  logIndex,
  raftGroupId,
  term,
  topicId,
  type BrokerId,
  type LogIndex,
  type RaftGroupId,
  type Term,
} from '../../../src/model/ids.js';
import {
  rewrittenEntry,
  type IndexRange,
  type LogEntry,
  type RewrittenPayload,
} from '../../../src/model/log-entry.js';
import { membershipOf } from '../../../src/model/membership.js';
import {
  PrefixTruncatedError,
  type BrokerStore,
  type ReplicaSpec,
} from '../../../src/ports/log-store.js';
import type { BatchCodecs } from '../../../src/ports/batch-codecs.js';
import type { Logger, Telemetry } from '../../../src/ports/telemetry.js';
import type { PeerCaller, PeerCallHandler } from '../../../src/ports/transport.js';
import type { Cancel, World } from '../../../src/ports/world.js';
import type { PeerStatus, RaftStatus, RefusalReason } from '../../../src/raft/io.js';

export const SELF = brokerId(1);
export const OTHER = brokerId(2);
export const TOPIC = 'logs';
export const TOPIC_ID = topicId('0123456789abcdef0123456789abcdef');

/** A world whose time moves when told to. */
export class ManualWorld implements World {
  now = 1_000_000;
  private queue: { at: number; sequence: number; run: () => void; isCancelled: boolean }[] = [];
  private sequence = 0;
  readonly clock = { nowMs: () => this.now, monotonicMs: () => this.now };
  readonly timers = {
    after: (delayMs: number, run: () => void): Cancel => this.schedule(delayMs, run),
    every: (periodMs: number, run: () => void): Cancel => {
      let cancel = (): void => undefined;
      const again = (): void => {
        cancel = this.schedule(periodMs, () => {
          again();
          run();
        });
      };
      again();
      return () => cancel();
    },
    defer: (run: () => void): void => void this.schedule(0, run),
  };
  readonly random = { u32: () => 4, bytes: (length: number) => new Uint8Array(length) };

  advance(byMs: number): void {
    const until = this.now + byMs;
    for (;;) {
      this.queue.sort((a, b) => a.at - b.at || a.sequence - b.sequence);
      const next = this.queue[0];
      if (next === undefined || next.at > until) break;
      this.queue.shift();
      this.now = Math.max(this.now, next.at);
      if (!next.isCancelled) next.run();
    }
    this.now = until;
  }

  private schedule(delayMs: number, run: () => void): Cancel {
    const timer = { at: this.now + delayMs, sequence: this.sequence++, run, isCancelled: false };
    this.queue.push(timer);
    return () => {
      timer.isCancelled = true;
    };
  }
}

/** A Raft group of which the test is the consensus. */
export class FakeGroup implements RaftGroup {
  readonly id: RaftGroupId;
  readonly entries: LogEntry[] = [];
  term: Term = term(0);
  isLeading = false;
  refusal: RefusalReason | undefined;
  /** Entries below it are only in the store. */
  recentFrom = 1;
  reads = 0;
  rewrites = 0;
  savedNote: Uint8Array | undefined;
  base: { index: LogIndex; state: Uint8Array } | undefined;
  durability: Durability = FSYNC;
  peers: readonly PeerStatus[] = [];
  /** What readBarrier does. */
  barrier: () => Promise<void> = () => Promise.resolve();
  private readonly world: World;
  private readonly owner: RaftGroupOwner;
  private readonly observers = new Map<number, ProposalObserver>();
  private applied = logIndex(0);
  private readyTerm = 0;

  constructor(id: RaftGroupId, owner: RaftGroupOwner, world: World) {
    this.id = id;
    this.owner = owner;
    this.world = world;
  }

  setDurability(durability: Durability): void {
    this.durability = durability;
  }

  get last(): LogIndex {
    return logIndex(this.entries.length);
  }

  // What the test makes happen.

  elect(): void {
    this.term = term(this.term + 1);
    this.isLeading = true;
    this.push('noop', new Uint8Array());
    this.owner.roleChanged({ role: 'leader', term: this.term, leader: SELF });
  }

  /** Elected and ready. */
  lead(): void {
    this.elect();
    this.commit();
  }

  stepDown(next: BrokerId | 'nobody' = OTHER): void {
    const leader = next === 'nobody' ? undefined : next;
    this.term = term(this.term + 1);
    this.isLeading = false;
    const lost = [...this.observers.values()];
    this.observers.clear();
    this.entries.length = this.applied;
    for (const observer of lost) observer.failed();
    this.owner.roleChanged({ role: 'follower', term: this.term, leader });
  }

  fence(): void {
    this.owner.fenced(new Error('its disk'));
  }

  persist(): void {
    for (const observer of this.observers.values()) observer.persisted?.();
  }

  /** Commits and applies up to `upTo`, as the host does. */
  commit(upTo: number = this.last): void {
    for (const entry of this.entries.slice(this.applied, upTo)) {
      const result = this.owner.machine.apply(entry);
      this.applied = entry.index;
      if (this.isLeading && entry.term === this.term && this.readyTerm !== entry.term) {
        this.readyTerm = entry.term;
        this.owner.leaderReady(entry.term);
      }
      const observer = this.observers.get(entry.index);
      this.observers.delete(entry.index);
      observer?.committed(result, entry);
    }
    this.owner.applied(this.applied);
  }

  // RaftGroup.

  status(): RaftStatus {
    return {
      self: SELF,
      role: this.isLeading ? 'leader' : 'follower',
      term: this.term,
      leader: this.isLeading ? SELF : OTHER,
      votedFor: undefined,
      needsRepair: false,
      commit: this.applied,
      applied: this.applied,
      last: { term: this.term, index: this.last },
      durable: this.last,
      snapshotIndex: logIndex(this.firstIndex() - 1),
      membership: membershipOf([1, 2, 3]),
      peers: this.peers,
      transferringTo: undefined,
    };
  }

  isLeaderReady(): boolean {
    return this.isLeading && this.readyTerm === this.term;
  }

  propose(
    proposal: { readonly kind: 'batch' | 'command'; readonly payload: Uint8Array },
    observer: ProposalObserver,
  ): ProposeOutcome {
    if (!this.isLeading) return { accepted: false, reason: 'notLeader', leader: OTHER };
    if (this.refusal !== undefined) {
      return { accepted: false, reason: this.refusal, leader: SELF };
    }
    const entry = this.push(proposal.kind, proposal.payload);
    this.observers.set(entry.index, observer);
    return { accepted: true, id: entry, timeMs: entry.timeMs };
  }

  readBarrier(): Promise<void> {
    return this.barrier();
  }

  changeMembership(): Promise<void> {
    return Promise.resolve();
  }

  transferLeadership(): Promise<void> {
    return Promise.resolve();
  }

  recent(range: IndexRange, bytesMax: number): readonly LogEntry[] | undefined {
    return range.first < this.recentFrom ? undefined : this.slice(range, bytesMax);
  }

  read(range: IndexRange, bytesMax: number): Promise<readonly LogEntry[]> {
    this.reads += 1;
    if (range.first < this.firstIndex()) {
      return Promise.reject(new PrefixTruncatedError(`index ${range.first} was truncated`));
    }
    return Promise.resolve(this.slice(range, bytesMax));
  }

  firstIndex(): LogIndex {
    return logIndex((this.base?.index ?? 0) + 1);
  }

  truncatePrefix(last: LogIndex, state: Uint8Array): Promise<void> {
    this.base = { index: last, state };
    return Promise.resolve();
  }

  baseState(): Promise<{ index: LogIndex; state: Uint8Array } | undefined> {
    return Promise.resolve(this.base);
  }

  rewrite(payloads: readonly RewrittenPayload[]): Promise<void> {
    for (const { index, payload } of payloads) {
      const found = this.entries[index - 1];
      if (found !== undefined) this.entries[index - 1] = rewrittenEntry(found, payload, crc32c);
    }
    this.rewrites += 1;
    return Promise.resolve();
  }

  saveNote(note: Uint8Array): Promise<void> {
    this.savedNote = note;
    return Promise.resolve();
  }

  note(): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.savedNote);
  }

  sizeBytes(): Promise<number> {
    return Promise.resolve(4_711);
  }

  private push(kind: LogEntry['kind'], payload: Uint8Array): LogEntry {
    const index = logIndex(this.entries.length + 1);
    const timeMs = this.world.clock.nowMs();
    const entry: LogEntry = { index, term: this.term, kind, timeMs, payload };
    this.entries.push(entry);
    return entry;
  }

  private slice(range: IndexRange, bytesMax: number): readonly LogEntry[] {
    const taken: LogEntry[] = [];
    let bytes = 0;
    for (const entry of this.entries.slice(range.first - 1, range.next - 1)) {
      bytes += entry.payload.length + 48;
      if (taken.length > 0 && bytes > bytesMax) break;
      taken.push(entry);
    }
    return taken;
  }
}

/** The highest term wins; every broker has an address. */
export class FakeLeaders implements LeaderTable {
  readonly announced: [RaftGroupId, Term][] = [];
  private readonly known = new Map<RaftGroupId, { leader: BrokerId; term: Term }>();
  private mayLeadSelf = true;
  private readonly self: BrokerId;

  constructor(self: BrokerId = SELF) {
    this.self = self;
  }

  leaderOf(groupId: RaftGroupId): { leader: BrokerId; term: Term } | undefined {
    return this.known.get(groupId);
  }

  learn(groupId: RaftGroupId, leader: BrokerId, at: Term): void {
    if (at >= (this.known.get(groupId)?.term ?? 0)) this.known.set(groupId, { leader, term: at });
  }

  hint(
    groupId: RaftGroupId,
  ): { brokerId: number; host: string; port: number; term: number } | undefined {
    const known = this.known.get(groupId);
    return (
      known && { brokerId: known.leader, host: 'host', port: 7400 + known.leader, term: known.term }
    );
  }

  announce(groupId: RaftGroupId, at: Term): void {
    this.announced.push([groupId, at]);
    this.learn(groupId, this.self, at);
  }

  onChange(): Cancel {
    return () => undefined;
  }

  onReady(): Cancel {
    return () => undefined;
  }

  mayLead(id: BrokerId): boolean {
    return id !== this.self || this.mayLeadSelf;
  }

  declare(mayLead: boolean): void {
    this.mayLeadSelf = mayLead;
  }
}

/** Handlers registered here are what `call` reaches, whoever is asked. */
export class FakePeers implements PeerCaller {
  readonly handlers = new Map<string, PeerCallHandler>();
  /** Whose handlers answer calls. */
  remote: FakePeers | undefined;
  readonly calls: string[] = [];

  call(_to: unknown, method: string, body: Uint8Array): Promise<Uint8Array> {
    this.calls.push(method);
    const handler = this.remote?.handlers.get(method);
    if (handler !== undefined) return handler(SELF, body);
    return Promise.reject(new BrokerError('BROKER_UNAVAILABLE', 'nobody there'));
  }

  handle(method: string, handler: PeerCallHandler): void {
    this.handlers.set(method, handler);
  }
}

const nothing = (): void => undefined;
const silentLog: Logger = {
  trace: nothing,
  debug: nothing,
  info: nothing,
  warn: nothing,
  error: nothing,
  child: () => silentLog,
};
export const silent: Telemetry = {
  log: silentLog,
  metrics: {
    counter: () => ({ add: nothing }),
    gauge: () => ({ set: nothing }),
    histogram: () => ({ observe: nothing }),
  },
};

/** A topic with this many partitions; partition i is Raft group i + 1. */
export function viewOfTopic(partitions: number): MetadataView {
  const replicas = [1, 2, 3].map(brokerId);
  const topic: TopicImage = {
    id: TOPIC_ID,
    name: TOPIC,
    partitions: Array.from({ length: partitions }, (_, partition) => ({
      partition,
      groupId: raftGroupId(partition + 1),
      replicas,
      bootstrap: replicas,
      founders: replicas,
      movingFrom: [],
      targetVersion: NO_TARGET,
    })),
    config: new Map(),
    configVersion: logIndex(0),
    configHistory: [],
    settings: topicSettings(new Map()),
  };
  const image: MetadataImage = {
    version: logIndex(1),
    brokers: new Map(),
    topicsById: new Map([[TOPIC_ID, topic]]),
    topicsByName: new Map([[TOPIC, topic]]),
    groups: new Map(),
    replicasHeld: new Map(),
    tombstones: new Map(),
    moving: new Set(),
  };
  return {
    image: () => image,
    onChange: () => nothing,
    waitFor: () => Promise.resolve(image),
  };
}

export function specOf(partition: number): ReplicaSpec {
  return {
    groupId: raftGroupId(partition + 1),
    topicId: TOPIC_ID,
    topic: TOPIC,
    partition,
    bootstrap: membershipOf([1, 2, 3]),
  };
}

/** Every codec is gzip, and takes no time. */
export const GZIP: BatchCodecs = {
  compress: (_, records) => Promise.resolve(gzipSync(records)),
  decompress: (_, bytes) =>
    new Promise((resolve, reject) => {
      try {
        resolve(gunzipSync(bytes));
      } catch (error) {
        reject(new BrokerError('CORRUPT_BATCH', String(error)));
      }
    }),
};

/** The partition floor of a broker, over groups that the test drives. */
export class FloorFixture {
  readonly world = new ManualWorld();
  readonly leaders = new FakeLeaders();
  readonly peers = new FakePeers();
  readonly groups = new Map<RaftGroupId, FakeGroup>();
  readonly deleted: RaftGroupId[] = [];
  readonly floor: PartitionFloor;
  /** What the volume has left. */
  freeBytes = 1e12;
  handedOver = 0;

  constructor(partitions = 2, settings: Partial<BrokerSettings> = {}) {
    const multiRaft: MultiRaft = {
      start: nothing,
      open: (spec, owner) => {
        const group = new FakeGroup(spec.groupId, owner, this.world);
        this.groups.set(spec.groupId, group);
        return Promise.resolve(group);
      },
      close: () => Promise.resolve(),
      delete: (groupId) => {
        this.deleted.push(groupId);
        return Promise.resolve();
      },
      transferAllLeaderships: () => {
        this.handedOver += 1;
        return Promise.resolve();
      },
      stop: () => Promise.resolve(),
    };
    this.floor = createPartitionFloor({
      self: SELF,
      world: this.world,
      multiRaft,
      store: { freeBytes: () => Promise.resolve(this.freeBytes) } as BrokerStore,
      view: viewOfTopic(partitions),
      leaders: this.leaders,
      peers: this.peers,
      telemetry: silent,
      crc32c,
      codecs: GZIP,
      settings: { ...DEFAULT_BROKER_SETTINGS, retentionCheckMs: 1_000, ...settings },
    });
    this.floor.start();
  }

  async open(partition = 0, settings: Partial<TopicSettings> = {}): Promise<FakeGroup> {
    await this.floor.host.ensure(specOf(partition), { ...topicSettings(new Map()), ...settings });
    const group = this.groups.get(raftGroupId(partition + 1));
    if (group === undefined) throw new Error('the group was opened');
    return group;
  }

  /** Produces; the answer is filled in when it comes. */
  produce(batch: Uint8Array, options: Partial<ProduceRequest> = {}): { result?: ProduceResult } {
    const answer: { result?: ProduceResult } = {};
    const request: ProduceRequest = {
      topic: TOPIC,
      partition: 0,
      topicId: undefined,
      acks: 'quorum',
      batch,
      timeoutMs: 5_000,
      allowForward: false,
      ...options,
    };
    this.floor.produce.produce(request, (result) => {
      const isSecond = answer.result !== undefined;
      answer.result = isSecond ? { error: new BrokerError('INTERNAL', 'answered twice') } : result;
    });
    return answer;
  }

  fetch(
    at: Partial<FetchPartition> | readonly Partial<FetchPartition>[],
    options: Partial<FetchRequest> = {},
    signal?: AbortSignal,
  ): Promise<readonly FetchedPartition[]> {
    const list = (Array.isArray(at) ? at : [at]) as readonly Partial<FetchPartition>[];
    const request: FetchRequest = {
      partitions: list.map((p) => ({
        topic: TOPIC,
        partition: 0,
        topicId: undefined,
        offset: 0,
        maxBytes: 1_048_576,
        leaderEpoch: 0,
        ...p,
      })),
      minBytes: 1,
      maxBytes: 4_194_304,
      maxWaitMs: 0,
      linearizable: false,
      allowForward: false,
      ...options,
    };
    return this.floor.fetch.fetch(request, signal).then((result) => result.partitions);
  }
}

/** Lets promises that can settle do so; work that takes turns of its own gets as many. */
export async function settled(turns = 1): Promise<void> {
  for (let i = 0; i < turns; i += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** The settings of a topic with this configuration. */
export function settingsOf(config: Readonly<Record<string, string>>): TopicSettings {
  return topicSettings(new Map(Object.entries(config)));
}
