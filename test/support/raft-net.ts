import {
  decodeMembership,
  membershipOf,
  NO_MEMBERS,
  type Membership,
} from '../../src/model/membership.js';
import {
  brokerId,
  incarnation,
  logIndex,
  term,
  type BrokerId,
  type LogIndex,
} from '../../src/model/ids.js';
import type { EntryId, LogEntry } from '../../src/model/log-entry.js';
import type { RaftConfig } from '../../src/raft/config.js';
import { DEFAULT_RAFT_CONFIG } from '../../src/raft/config.js';
import { checkInvariants } from '../../src/raft/debug.js';
import type {
  HardState,
  Persist,
  ProposeResult,
  RaftEvent,
  RaftInit,
  Ready,
  SnapshotMeta,
} from '../../src/raft/io.js';
import type { Message } from '../../src/raft/message.js';
import { createRaftNode } from '../../src/raft/raft-core.js';
import { covers } from '../../src/raft/raft-log.js';
import type { RaftNode } from '../../src/raft/raft-node.js';

export const ZERO: EntryId = { term: term(0), index: logIndex(0) };

/** What a crash leaves of a replica. */
export class Disk {
  hardState: HardState = { term: term(0), votedFor: undefined, needsRepair: false };
  incarnation = 1;
  snapshot: SnapshotMeta;
  entries: LogEntry[] = [];
  watermark: EntryId = ZERO;
  lostTail = false;

  constructor(membership: Membership) {
    this.snapshot = { last: ZERO, chain: 0, timeMs: 0, membership };
  }

  get last(): EntryId {
    const entry = this.entries.at(-1);
    return entry === undefined ? this.snapshot.last : { term: entry.term, index: entry.index };
  }

  write(persist: Persist): void {
    if (persist.hardState !== undefined) this.hardState = persist.hardState;
    if (persist.hardState?.needsRepair === false) this.lostTail = false;
    if (persist.install !== undefined) {
      this.snapshot = persist.install;
      this.entries = [];
    }
    if (persist.append !== undefined) {
      const { prev, entries } = persist.append;
      this.entries = this.entries.filter((e) => e.index <= prev.index);
      if (this.last.index !== prev.index || this.last.term !== prev.term) {
        throw new Error(`gap on disk: ${JSON.stringify(this.last)} then ${JSON.stringify(prev)}`);
      }
      this.entries.push(...entries);
    }
  }

  /** The log is found damaged: emptied, and known to be so. */
  damage(): void {
    // While under repair, what was lost first still has to be covered.
    if (!this.hardState.needsRepair || covers(this.last, this.watermark))
      this.watermark = this.last;
    this.entries = [];
    this.snapshot = { last: ZERO, chain: 0, timeMs: 0, membership: this.snapshot.membership };
    this.hardState = { ...this.hardState, needsRepair: true };
    this.lostTail = false;
    this.incarnation++;
  }

  /** A power cut took what was not synced: everything above an index. */
  loseTail(keep: number): void {
    if (covers(this.last, this.watermark)) this.watermark = this.last;
    this.entries = this.entries.filter((e) => e.index <= keep);
    this.lostTail = !this.hardState.needsRepair || this.lostTail;
    this.hardState = { ...this.hardState, needsRepair: true };
    this.incarnation++;
  }

  entry(index: number): LogEntry | undefined {
    return this.entries[index - this.snapshot.last.index - 1];
  }

  membershipAsOf(index: number): Membership {
    const found = this.entries.findLast((e) => e.kind === 'membership' && e.index <= index);
    return found === undefined ? this.snapshot.membership : decodeMembership(found.payload);
  }

  init(id: number, seed: number): RaftInit {
    const termRuns: { term: EntryId['term']; first: LogIndex }[] = [];
    for (const e of this.entries) {
      if (termRuns.at(-1)?.term !== e.term) termRuns.push({ term: e.term, first: e.index });
    }
    return {
      self: brokerId(id),
      incarnation: incarnation(this.incarnation),
      hardState: this.hardState,
      snapshot: this.snapshot,
      termRuns,
      memberships: this.entries
        .filter((e) => e.kind === 'membership')
        .map((e) => ({ index: e.index, membership: decodeMembership(e.payload) })),
      last: this.last,
      lastTimeMs: this.entries.at(-1)?.timeMs ?? this.snapshot.timeMs,
      applied: this.snapshot.last.index,
      watermark: this.watermark,
      lostTail: this.lostTail,
      seed,
    };
  }
}

/** A snapshot on its way, beside the messages. */
export interface SnapshotInFlight {
  readonly kind: 'snapshot';
  readonly from: BrokerId;
  readonly to: BrokerId;
  readonly event: Extract<RaftEvent, { kind: 'snapshotReceived' }>;
}
export type InFlight = Message | SnapshotInFlight;

export interface Member {
  readonly id: number;
  readonly disk: Disk;
  readonly config: RaftConfig;
  node: RaftNode;
  isUp: boolean;
  /** Started, not yet durable. */
  writes: Persist[];
  /** While set, writes stay under way until persist() completes them. */
  isDiskHeld: boolean;
  /** While set, catch-up reads stay under way until answerReads(). */
  areReadsHeld: boolean;
  reads: (() => void)[];
  /** Payloads applied since the start, in order. */
  applied: LogEntry[];
  barriers: string[];
}

export interface NetOptions {
  readonly config?: Partial<RaftConfig>;
  readonly rankSalt?: number;
  readonly onReady?: (member: Member, ready: Ready) => void;
  readonly onDeliver?: (message: InFlight) => void;
}

const TEST_CONFIG: RaftConfig = { ...DEFAULT_RAFT_CONFIG, electionTicks: 10, heartbeatTicks: 1 };

/**
 * A few cores joined by a network and disks that do only what a test says. Nothing happens by
 * itself: `run` takes what one core wants done, `deliver` moves messages, `stabilize` does both until
 * nothing is left. Invariants and the agreement of applied entries are checked all along.
 */
export class RaftNet {
  readonly members = new Map<number, Member>();
  inFlight: InFlight[] = [];
  /** Tell a sender at once that its snapshot arrived; else the test says so. */
  areSnapshotsReported = true;
  private readonly cuts = new Set<string>();
  private readonly canonical = new Map<number, string>();
  private readonly leaders = new Map<number, number>();
  private readonly options: NetOptions;
  private clockMs = 0;

  constructor(options: NetOptions = {}) {
    this.options = options;
  }

  static of(count: number, options: NetOptions = {}): RaftNet {
    const net = new RaftNet(options);
    const ids = Array.from({ length: count }, (_, i) => i + 1);
    for (const id of ids) net.add(id, membershipOf(ids));
    return net;
  }

  add(id: number, membership: Membership = NO_MEMBERS, prepare?: (disk: Disk) => void): Member {
    const disk = new Disk(membership);
    prepare?.(disk);
    const config = { ...TEST_CONFIG, ...this.options.config };
    const member: Member = {
      id,
      disk,
      config,
      node: createRaftNode(this.init(disk, id, id), config),
      isUp: true,
      writes: [],
      isDiskHeld: false,
      areReadsHeld: false,
      reads: [],
      applied: [],
      barriers: [],
    };
    this.members.set(id, member);
    return member;
  }

  get(id: number): Member {
    const member = this.members.get(id);
    if (member === undefined) throw new Error(`no member ${id}`);
    return member;
  }

  node(id: number): RaftNode {
    return this.get(id).node;
  }

  step(id: number, event: RaftEvent): void {
    const member = this.get(id);
    if (!member.isUp) return;
    member.node.step(event);
    this.check(member);
  }

  tick(id: number, count = 1): void {
    for (let i = 0; i < count; i++) this.step(id, { kind: 'tick' });
  }

  /** Ticks one member until it campaigns. */
  campaign(id: number): void {
    const { node, config } = this.get(id);
    const before = node.status();
    for (let i = 0; i <= 2 * config.electionTicks; i++) {
      this.step(id, { kind: 'tick' });
      const { role, term: now } = node.status();
      if (role !== 'follower' || now > before.term) return;
    }
    throw new Error(`${id} does not campaign`);
  }

  /** Ticks a candidate until it starts over with pre-votes. */
  campaignAgain(id: number): void {
    const { node, config } = this.get(id);
    for (let i = 0; i <= 2 * config.electionTicks; i++) {
      this.step(id, { kind: 'tick' });
      if (node.status().role === 'preCandidate') return;
    }
    throw new Error(`${id} does not campaign again`);
  }

  /** Elects `id` with everything delivered; others forget their leader first. */
  elect(id: number): void {
    for (const member of this.members.values()) {
      const { leader, role } = member.node.status();
      if (member.id !== id && leader !== undefined && role !== 'leader') {
        this.step(member.id, { kind: 'connectionLost', peer: leader });
      }
    }
    this.campaign(id);
    this.stabilize();
    const { role } = this.node(id).status();
    if (role !== 'leader') throw new Error(`${id} was not elected but is ${role}`);
  }

  propose(id: number, ...texts: string[]): ProposeResult {
    this.clockMs += 10;
    const result = this.node(id).propose(
      texts.map((text) => ({
        kind: 'command',
        payload: new TextEncoder().encode(text),
        timeMs: this.clockMs,
      })),
    );
    this.check(this.get(id));
    return result;
  }

  change(id: number, voters: number[], learners: number[] = []): ProposeResult {
    return this.node(id).changeMembership(membershipOf(voters, learners), this.clockMs);
  }

  /** Does what one core wants done, once. False if it wanted nothing. */
  run(id: number): boolean {
    const member = this.get(id);
    if (!member.isUp) return false;
    if (member.node.owesCommit) member.node.step({ kind: 'tellCommit' });
    if (!member.node.hasReady()) return false;
    const ready = member.node.ready();
    this.options.onReady?.(member, ready);
    if (ready.roleChange?.mayHaveLost === true) {
      const { last } = member.node.status();
      for (const at of this.canonical.keys()) if (at >= last.index) this.canonical.delete(at);
    }
    for (const persist of ready.persists) member.writes.push(persist);
    for (const message of ready.messages) this.send(message);
    for (const { peer } of ready.snapshotsToSend) {
      const { repairTarget } = ready.snapshotsToSend.find((s) => s.peer === peer)!;
      const from = brokerId(id);
      const { term: leaderTerm } = member.node.status();
      const { snapshot } = member.disk;
      const event = {
        kind: 'snapshotReceived',
        from,
        term: leaderTerm,
        snapshot,
        repairTarget,
      } as const;
      this.send({ kind: 'snapshot', from, to: peer, event });
    }
    for (const { peer, from, bytesMax } of ready.catchUpReads) {
      const read = (): void => this.read(member, peer, from, bytesMax);
      if (member.areReadsHeld) member.reads.push(read);
      else read();
    }
    for (const { token, index } of ready.barriersReached) member.barriers.push(`${token}@${index}`);
    for (const token of ready.barriersFailed) member.barriers.push(`${token} failed`);
    if (ready.committed !== undefined) this.apply(member, ready.committed);
    const { role, term: now } = member.node.status();
    if (role === 'leader') this.noteLeader(id, now);
    if (!member.isDiskHeld) this.persist(id);
    this.check(member);
    return true;
  }

  /** Completes the oldest writes of a member. */
  persist(id: number, count = Infinity): void {
    const member = this.get(id);
    if (!member.isUp) return;
    const done = member.writes.splice(0, count);
    for (const write of done) member.disk.write(write);
    const last = done.at(-1);
    if (last !== undefined) this.step(id, { kind: 'persisted', ticket: last.ticket });
  }

  /** Completes the reads of a member that are under way: as its disk is now. */
  answerReads(id: number): void {
    for (const read of this.get(id).reads.splice(0)) read();
  }

  /** Delivers what is in flight now and matches, in order. */
  deliver(which: (m: InFlight) => boolean = () => true): number {
    const now = this.inFlight;
    this.inFlight = [];
    const rest: InFlight[] = [];
    let count = 0;
    for (const message of now) {
      if (!which(message)) {
        rest.push(message);
        continue;
      }
      this.receive(message);
      count++;
    }
    this.inFlight = [...rest, ...this.inFlight];
    return count;
  }

  /** Hands one message over now, be it new, old or forged. */
  receive(message: InFlight): void {
    const member = this.members.get(message.to);
    if (member === undefined || !member.isUp || this.isCut(message)) {
      this.lose(message);
      return;
    }
    this.options.onDeliver?.(message);
    if (message.kind !== 'snapshot') {
      this.step(message.to, { kind: 'message', message });
      return;
    }
    this.step(message.to, message.event);
    if (!this.areSnapshotsReported) return;
    const { last } = message.event.snapshot;
    const report = { kind: 'snapshotReported', peer: message.to, lastIndex: last.index } as const;
    this.step(message.from, { ...report, ok: true });
  }

  drop(which: (m: InFlight) => boolean = () => true): InFlight[] {
    const dropped: InFlight[] = [];
    const kept: InFlight[] = [];
    for (const m of this.inFlight) (which(m) ? dropped : kept).push(m);
    this.inFlight = kept;
    for (const m of dropped) this.lose(m);
    return dropped;
  }

  /** A lost message is silence; a lost snapshot is noticed by who sent it. */
  lose(message: InFlight): void {
    if (message.kind !== 'snapshot') return;
    const { from, to: peer, event } = message;
    const { index: lastIndex } = event.snapshot.last;
    this.step(from, { kind: 'snapshotReported', peer, lastIndex, ok: false });
  }

  /** Runs cores and delivers messages until nothing is left to do. */
  stabilize(ids: readonly number[] = [...this.members.keys()]): void {
    const isInside = (m: InFlight): boolean => ids.includes(m.to);
    for (let round = 0; round < 1000; round++) {
      let isAny = false;
      for (const id of ids) while (this.run(id)) isAny = true;
      if (this.deliver(isInside) > 0) isAny = true;
      if (!isAny) return;
    }
    throw new Error('never stable');
  }

  /** One tick for everybody, with everything that follows from it. */
  tickAll(count = 1): void {
    for (let i = 0; i < count; i++) {
      for (const id of this.members.keys()) this.tick(id);
      this.stabilize();
    }
  }

  crash(id: number): void {
    const member = this.get(id);
    member.isUp = false;
    member.writes = [];
    member.reads = [];
    this.drop((m) => m.to === id);
  }

  restart(id: number, seed = id): void {
    const member = this.get(id);
    member.isUp = true;
    member.applied = [];
    member.node = createRaftNode(this.init(member.disk, id, seed), member.config);
    this.check(member);
  }

  /** Cuts every link of these members to all others. */
  isolate(...ids: number[]): void {
    for (const id of ids) {
      for (const other of this.members.keys()) {
        if (!ids.includes(other)) this.cut(id, other);
      }
    }
  }

  cut(a: number, b: number): void {
    this.cutOneWay(a, b);
    this.cutOneWay(b, a);
  }

  cutOneWay(from: number, to: number): void {
    this.cuts.add(`${from}-${to}`);
  }

  heal(): void {
    this.cuts.clear();
  }

  /** The store truncates its prefix. */
  truncatePrefix(id: number, index: number): void {
    const { disk } = this.get(id);
    const entry = disk.entry(index);
    if (entry === undefined) throw new Error(`${id} has no entry ${index}`);
    const membership = disk.membershipAsOf(index);
    const last = { term: entry.term, index: entry.index };
    disk.snapshot = { last, chain: 0, timeMs: entry.timeMs, membership };
    disk.entries = disk.entries.filter((e) => e.index > index);
    this.step(id, { kind: 'prefixMoved', snapshot: disk.snapshot });
  }

  appliedTexts(id: number): string[] {
    return this.get(id)
      .applied.filter((e) => e.kind === 'command')
      .map((e) => new TextDecoder().decode(e.payload));
  }

  private init(disk: Disk, id: number, seed: number): RaftInit {
    const { rankSalt } = this.options;
    const init = disk.init(id, seed);
    return rankSalt === undefined ? init : { ...init, rankSalt };
  }

  private send(message: InFlight): void {
    if (this.isCut(message)) this.lose(message);
    else this.inFlight.push(message);
  }

  private isCut(message: { from: number; to: number }): boolean {
    return this.cuts.has(`${message.from}-${message.to}`);
  }

  private read(member: Member, peer: BrokerId, from: LogIndex, bytesMax: number): void {
    const first = member.disk.entry(from);
    const prevIndex = logIndex(from - 1);
    const prevTerm =
      prevIndex === member.disk.snapshot.last.index
        ? member.disk.snapshot.last.term
        : member.disk.entry(prevIndex)?.term;
    if (first === undefined || prevTerm === undefined) {
      this.step(member.id, { kind: 'readFailed', peer });
      return;
    }
    const entries: LogEntry[] = [];
    let bytes = 0;
    for (let e: LogEntry | undefined = first; e !== undefined; e = member.disk.entry(e.index + 1)) {
      bytes += e.payload.length + 48;
      if (entries.length > 0 && bytes > bytesMax) break;
      entries.push(e);
    }
    const slice = { prev: { term: prevTerm, index: prevIndex }, entries };
    this.step(member.id, { kind: 'entriesRead', peer, slice });
  }

  private apply(member: Member, range: { first: LogIndex; next: LogIndex }): void {
    for (let at: number = range.first; at < range.next; at++) {
      const index = logIndex(at);
      const recent = member.node.recent({ first: index, next: logIndex(at + 1) }, Infinity);
      const entry = recent?.[0] ?? member.disk.entry(at);
      if (entry === undefined) throw new Error(`${member.id} has no entry ${at} to apply`);
      const content = `${entry.term}/${entry.index} ${entry.kind} ${entry.payload.join(',')}`;
      const before = this.canonical.get(at);
      if (before !== undefined && before !== content) {
        throw new Error(`${member.id} applies ${content} where another applied ${before}`);
      }
      this.canonical.set(at, content);
      member.applied.push(entry);
    }
    this.step(member.id, { kind: 'applied', index: logIndex(range.next - 1) });
  }

  private noteLeader(id: number, now: number): void {
    const before = this.leaders.get(now);
    if (before !== undefined && before !== id) {
      throw new Error(`term ${now} has two leaders, ${before} and ${id}`);
    }
    this.leaders.set(now, id);
  }

  private check(member: Member): void {
    checkInvariants(member.node);
    const { hardState } = member.disk;
    const { term: now } = member.node.status();
    if (now < hardState.term) throw new Error(`${member.id} fell back to term ${now}`);
  }
}
