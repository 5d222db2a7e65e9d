import type { LogIndex } from '../../src/model/ids.js';
import { CommitConflictError } from '../../src/raft/commit-conflict.js';
import { checkInvariants, describeEvent, describeReady } from '../../src/raft/debug.js';
import type { EntryId, IndexRange, LogEntry } from '../../src/model/log-entry.js';
import { encodeMembership, type Membership } from '../../src/model/membership.js';
import type {
  Asleep,
  Proposal,
  ProposeResult,
  RaftEvent,
  RaftStatus,
  Ready,
} from '../../src/raft/io.js';
import type { RaftInspection, RaftNode } from '../../src/raft/raft-node.js';
import type { GroupOracle, Speaker } from './group-oracle.js';
import type { ChainedEntry, LogImage } from './log-image.js';
import { must } from './violation.js';
import type { Scheduler } from './world.js';

interface KnownMembership {
  readonly index: number;
  readonly encoded: string;
}

/**
 * A consensus core under watch: passes everything on, and after every event compares what the core
 * did with what may be. It keeps the core's log as its effects tell it.
 */
export class WatchedNode implements RaftNode {
  /** The core's log, as of the effects taken so far. */
  readonly log: LogImage;
  private readonly inner: RaftNode;
  private readonly broker: number;
  private readonly oracle: GroupOracle;
  private readonly scheduler: Scheduler;
  private seen: RaftStatus;
  /** As of the last effects taken: what they were judged against. */
  private settled: RaftStatus;
  /** Memberships in the log, ascending; the first is the one the log's base came with. */
  private readonly memberships: KnownMembership[];
  /** Found equal before: the core's membership, an object that never changes, and the log's. */
  private inForce: Membership | undefined;
  private latest: KnownMembership | undefined;
  /** Commits made as a leader since then: judged once the effects say what the log holds. */
  private newCommits: { to: number; term: number; membership: Membership }[] = [];

  constructor(
    inner: RaftNode,
    broker: number,
    oracle: GroupOracle,
    log: LogImage,
    scheduler: Scheduler,
    base: Membership,
  ) {
    this.memberships = [{ index: log.base.index, encoded: textOf(encodeMembership(base)) }];
    this.noteMemberships(log.items);
    this.inner = inner;
    this.broker = broker;
    this.oracle = oracle;
    this.log = log;
    this.scheduler = scheduler;
    this.seen = inner.status();
    this.settled = this.seen;
    oracle.held(broker, log.items);
  }

  get speaker(): Speaker {
    return { term: this.seen.term, isCandidate: this.seen.role === 'candidate' };
  }

  step(event: RaftEvent): void {
    if (event.kind !== 'tick') {
      this.scheduler.say(() => `b${this.broker} g${this.oracle.group} <- ${describeEvent(event)}`);
    }
    const before = this.seen;
    this.watch(() => this.inner.step(event));
    const after = this.inner.status();
    this.seen = after;
    this.judge(() => {
      this.checkFence(event, before, after);
      this.checkMonotone(before, after);
      this.noteLeadership(before, after);
      if (event.kind === 'prefixMoved') this.dropPrefix(event.snapshot.last);
      checkInvariants(this.inner, after);
    });
  }

  propose(proposals: readonly Proposal[]): ProposeResult {
    const result = this.watch(() => this.inner.propose(proposals));
    this.seen = this.inner.status();
    return result;
  }

  changeMembership(target: Pick<Membership, 'voters' | 'learners'>, timeMs: number): ProposeResult {
    const result = this.watch(() => this.inner.changeMembership(target, timeMs));
    this.seen = this.inner.status();
    return result;
  }

  hasReady(): boolean {
    return this.inner.hasReady();
  }

  ready(): Ready {
    const ready = this.watch(() => this.inner.ready());
    const { scheduler } = this;
    scheduler.say(() => `b${this.broker} g${this.oracle.group} -> ${describeReady(ready)}`);
    this.seen = this.inner.status();
    this.judge(() => this.checkEffects(ready));
    return ready;
  }

  status(): RaftStatus {
    return this.inner.status();
  }

  get owesCommit(): boolean {
    return this.inner.owesCommit;
  }

  get asleep(): Asleep | undefined {
    return this.inner.asleep;
  }

  recent(range: IndexRange, bytesMax: number): readonly LogEntry[] | undefined {
    return this.inner.recent(range, bytesMax);
  }

  recentBytes(): number {
    return this.inner.recentBytes();
  }

  trimRecent(bytesMax: number, through?: LogIndex): void {
    this.inner.trimRecent(bytesMax, through);
  }

  inspect(): RaftInspection {
    return this.inner.inspect();
  }

  /** What the core itself throws is a finding too. */
  private watch<T>(run: () => T): T {
    try {
      return run();
    } catch (error) {
      const isAfterLoss = error instanceof CommitConflictError && this.oracle.losses.length > 0;
      if (!isAfterLoss) this.scheduler.fail(error);
      throw error;
    }
  }

  /** A violation ends the run, not just this replica. */
  private judge(check: () => void): void {
    try {
      check();
    } catch (error) {
      this.scheduler.fail(error);
    }
  }

  /** I13 and I14: what comes from an earlier term, and pre-votes, change nothing. */
  private checkFence(event: RaftEvent, before: RaftStatus, after: RaftStatus): void {
    if (event.kind !== 'message') return;
    const { message } = event;
    const isPreVote = message.kind === 'preVoteRequest';
    if (message.term >= before.term && !isPreVote) return;
    // A voter answers a pre-vote in its own term, which may be below the one that asks.
    if (message.kind === 'preVoteResponse') return;
    const isSame =
      before.term === after.term &&
      before.votedFor === after.votedFor &&
      before.commit === after.commit &&
      before.last.index === after.last.index &&
      // Who is asked for a pre-vote learns that the leader may be gone, and may ask as well.
      (isPreVote || before.role === after.role);
    must(isSame, isPreVote ? 'I14' : 'I13', 'a message that must change nothing did', {
      group: this.oracle.group,
      broker: this.broker,
      kind: message.kind,
      t: message.term,
      was: before.term,
      is: after.term,
    });
  }

  /** I8 and I2 of ARCHITECTURE.md §12. */
  private checkMonotone(before: RaftStatus, after: RaftStatus): void {
    const facts = { group: this.oracle.group, broker: this.broker };
    must(after.term >= before.term, 'I8', 'the term falls', facts);
    must(after.commit >= before.commit, 'I8', 'the commit index falls', facts);
    must(after.applied >= before.applied, 'I8', 'the applied index falls', facts);
    must(
      after.term > before.term ||
        before.votedFor === undefined ||
        after.votedFor === before.votedFor,
      'I9',
      'a vote is taken back within a term',
      facts,
    );
  }

  /** Between two takings of effects a core may win, commit and lose again. */
  private noteLeadership(before: RaftStatus, after: RaftStatus): void {
    const { term, membership } = after;
    const isLeader = after.role === 'leader';
    const wasLeader = before.role === 'leader';
    if (isLeader && (!wasLeader || before.term !== term)) {
      this.oracle.leads(this.broker, term);
      const lane = `g${this.oracle.group}`;
      const text = `b${this.broker} leads in term ${term}`;
      this.scheduler.chronicle?.note({ lane, kind: 'leader', broker: this.broker, text });
    }
    // A leader that commits its own removal steps down at once.
    if (after.commit > before.commit && (isLeader || (wasLeader && before.term === term))) {
      this.newCommits.push({ to: after.commit, term, membership });
    }
  }

  private noteMemberships(items: readonly ChainedEntry[]): void {
    for (const { entry } of items) {
      if (entry.kind !== 'membership') continue;
      this.memberships.push({ index: entry.index, encoded: textOf(entry.payload) });
    }
  }

  /** I16: one change at a time, and none before an entry of the own term is committed. */
  private checkChange(): void {
    const { seen, oracle, broker } = this;
    const facts = { group: oracle.group, broker, term: seen.term, commit: seen.commit };
    const pending = this.memberships.filter(({ index }) => index > seen.commit);
    must(pending.length <= 1, 'I16', 'two changes of members at once', facts);
    must(
      this.log.termAt(seen.commit) === seen.term,
      'I16',
      'members change before the term has committed anything',
      facts,
    );
  }

  /** I16: the membership in force is the latest in the log; looked at when either of them is another. */
  private checkMembership(facts: Readonly<Record<string, unknown>>): void {
    const { membership } = this.seen;
    const latest = this.memberships.at(-1);
    if (membership === this.inForce && latest === this.latest) return;
    const isLatest = latest?.encoded === textOf(encodeMembership(membership));
    must(isLatest, 'I16', 'the membership in force is not the latest in the log', {
      ...facts,
      voters: membership.voters,
    });
    this.inForce = membership;
    this.latest = latest;
  }

  private dropPrefix(last: EntryId): void {
    if (last.index > this.log.base.index) this.log.dropThrough(last);
  }

  private checkEffects(ready: Ready): void {
    const { oracle, broker, log, seen, settled } = this;
    const facts = { group: oracle.group, broker, term: seen.term };
    const hasLed = settled.role === 'leader' && seen.role === 'leader';
    for (const { append, install } of ready.persists) {
      if (append !== undefined) {
        const isTail = append.prev.index === log.last.index;
        const sameReign = hasLed && settled.term === seen.term;
        must(isTail || !sameReign, 'I2', 'a leader rewrites its own log', facts);
        must(append.prev.index >= settled.commit, 'I8', 'a committed entry is truncated', {
          ...facts,
          prev: append.prev.index,
          commit: settled.commit,
        });
        const items = log.link(append.prev.index, append.entries);
        oracle.held(broker, items);
        log.replaceAfter(append.prev.index, items);
        while ((this.memberships.at(-1)?.index ?? 0) > append.prev.index) this.memberships.pop();
        this.noteMemberships(items);
        if (sameReign && items.some(({ entry }) => entry.kind === 'membership')) {
          this.checkChange();
        }
      }
      if (install !== undefined) {
        oracle.snapshots(broker, install);
        must(install.last.index >= settled.commit, 'I17', 'a snapshot goes back', facts);
        log.resetTo(install.last, install.chain);
        this.memberships.length = 0;
        const encoded = textOf(encodeMembership(install.membership));
        this.memberships.push({ index: install.last.index, encoded });
      }
    }
    must(seen.last.index === log.last.index, 'I8', 'the core and its effects disagree', {
      ...facts,
      core: seen.last.index,
      effects: log.last.index,
    });
    this.checkMembership(facts);
    const isNewLeader =
      seen.role === 'leader' && (settled.role !== 'leader' || settled.term !== seen.term);
    if (isNewLeader) oracle.beginsReign(broker, seen.term, log, seen.membership);
    for (const commit of this.newCommits) {
      oracle.commitsAsLeader(broker, log, commit);
      this.scheduler.chronicle?.commits(oracle.group, commit.to);
    }
    this.newCommits = [];
    if (seen.commit > settled.commit) oracle.commits(broker, log, seen.commit);
    oracle.believesDurable(broker, log, seen.durable);
    this.settled = seen;
  }
}

function textOf(bytes: Uint8Array): string {
  return bytes.join(',');
}
