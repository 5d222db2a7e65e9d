import { logIndex, type BrokerId, type LogIndex } from '../model/ids.js';
import { entryBytes, type LogEntry, type LogSlice } from '../model/log-entry.js';
import { encodeMembership, type Membership } from '../model/membership.js';
import { invariant } from '../base/assert.js';
import { isJoint, isVoter, leaveJoint, planChange, type MembershipTarget } from './conf-change.js';
import type { Proposal, ProposeResult, RefusalReason } from './io.js';
import type { AppendResponse, HeartbeatResponse } from './message.js';
import type { Progress } from './progress.js';
import { quorumValue, voteResult, type Vote } from './quorum.js';
import { ReadBarriers } from './read-barriers.js';
import type { Replica } from './replica.js';
import { Replicator } from './replicator.js';

const NO_PAYLOAD = new Uint8Array(0);

/**
 * One term of office: made when an election is won, thrown away on stepping down. Owned by RaftCore.
 *
 * Invariants: the log is only appended to; only an entry of the own term is committed by counting
 * (thesis §3.6.2); the leader counts for itself what is durable, nothing more; a damaged replica
 * counts for nothing.
 */
export class Leader {
  readonly barriers = new ReadBarriers();
  readonly replicator: Replicator;
  private readonly replica: Replica;
  private readonly stepDown: () => void;
  /** The entry that opens the term. */
  private readonly opening: LogIndex;
  private uncommittedBytes = 0;
  private ticks = 0;
  private quorumElapsed = 0;
  private heartbeatElapsed = 0;
  private transferee: BrokerId | undefined = undefined;
  private transferElapsed = 0;
  private isTimeoutNowSent = false;
  /** Something may have to be sent. */
  private isDirty = true;
  /** What is sent next says what is committed. */
  private isTelling = false;

  constructor(replica: Replica, stepDown: () => void) {
    this.replica = replica;
    this.stepDown = stepDown;
    const { log } = replica;
    this.replicator = new Replicator(replica);
    const tail = log.recent(
      { first: logIndex(Math.max(log.commit + 1, log.recentFirst)), next: log.recentNext },
      Infinity,
    );
    for (const entry of tail ?? []) this.uncommittedBytes += entryBytes(entry);
    this.opening = logIndex(log.lastIndex + 1);
    this.append([this.entry('noop', log.lastTimeMs, NO_PAYLOAD)]);
  }

  get wantsFlush(): boolean {
    return this.isDirty || this.barriers.wantsRound;
  }
  get owesCommit(): boolean {
    for (const peer of this.replicator.all()) if (this.isBehind(peer)) return true;
    return false;
  }
  get transferringTo(): BrokerId | undefined {
    return this.transferee;
  }
  get tailBytes(): number {
    return this.uncommittedBytes;
  }
  get hasCommittedOwnTerm(): boolean {
    return this.replica.log.commit >= this.opening;
  }

  propose(proposals: readonly Proposal[]): ProposeResult {
    invariant(proposals.length > 0, 'something is proposed');
    if (this.transferee !== undefined) return this.refuse('transferring');
    const entries: LogEntry[] = [];
    let bytes = 0;
    let { index, timeMs } = { index: this.replica.log.lastIndex, timeMs: this.nextTimeMs(0) };
    for (const proposal of proposals) {
      index = logIndex(index + 1);
      timeMs = Math.max(timeMs, proposal.timeMs);
      const { kind, payload } = proposal;
      const entry = { term: this.replica.term, index, kind, timeMs, payload };
      entries.push(entry);
      bytes += entryBytes(entry);
    }
    // One proposal may exceed the limit alone, or a large one could never be made.
    const isTailFull = this.uncommittedBytes + bytes > this.replica.config.uncommittedBytesMax;
    if (isTailFull && this.uncommittedBytes > 0) return this.refuse('tailFull');
    return this.accept(entries);
  }

  changeMembership(target: MembershipTarget, timeMs: number): ProposeResult {
    const { log } = this.replica;
    if (this.transferee !== undefined) return this.refuse('transferring');
    // Until an entry of this term is committed, another change may yet come to light (RB21).
    const isBusy = !this.hasCommittedOwnTerm || log.membershipIndex > log.commit;
    if (isBusy || isJoint(log.membership)) return this.refuse('membershipBusy');
    const membership = planChange(log.membership, target);
    if (membership === undefined) return this.refuse('invalidMembership');
    return this.accept([this.membershipEntry(membership, timeMs)]);
  }

  /** It answered within an election timeout: since the last check of the quorum, when one is due. */
  isActive(peer: Progress): boolean {
    return this.ticks - peer.heardAtTick <= this.replica.config.electionTicks;
  }

  tick(): void {
    this.ticks++;
    this.heartbeatElapsed++;
    this.quorumElapsed++;
    if (this.quorumElapsed >= this.replica.config.electionTicks) {
      this.quorumElapsed = 0;
      if (!this.checkQuorum()) {
        this.stepDown();
        return;
      }
    }
    if (this.transferee !== undefined) {
      this.transferElapsed++;
      if (this.transferElapsed >= this.replica.config.electionTicks) this.transferee = undefined;
    }
    if (this.heartbeatElapsed >= this.replica.config.heartbeatTicks) this.broadcastHeartbeat();
  }

  /**
   * Falls silent together with all followers, if nothing is under way and all have everything: what one
   * lacks, nobody would bring. The messages leave at once, as term and vote have long been durable.
   */
  maybeQuiesce(): boolean {
    const { replica } = this;
    const { log } = replica;
    const isSettled =
      this.hasCommittedOwnTerm &&
      Math.min(log.commit, log.durable) === log.lastIndex &&
      replica.isHardStateDurable &&
      !isJoint(log.membership) &&
      isVoter(log.membership, replica.self);
    const isIdle = !this.wantsFlush && this.barriers.count === 0 && this.transferee === undefined;
    if (!isSettled || !isIdle) return false;
    const peers = this.replicator.list();
    if (!peers.every((peer) => peer.isEven(log.lastIndex) && this.isActive(peer))) return false;
    const { self, term, incarnation } = replica;
    for (const { id } of peers) {
      const base = { from: self, to: id, term, incarnation };
      replica.send({ kind: 'quiesceRequest', ...base, last: log.last });
    }
    return true;
  }

  /** Speaks to everybody again. Silence until now says nothing about who is there. */
  woke(): void {
    this.quorumElapsed = 0;
    this.broadcastHeartbeat();
  }

  /**
   * This process stood still for longer than others wait for a leader: what was heard before says nothing
   * of now. Whoever joined was given all the time there is.
   */
  stalled(): void {
    const { electionTicks } = this.replica.config;
    for (const peer of this.replicator.all()) {
      peer.heardAtTick = -Infinity;
      peer.joinedAtTick = -Infinity;
    }
    this.quorumElapsed = electionTicks - Math.ceil(electionTicks / 2);
    this.broadcastHeartbeat();
  }

  onAppendResponse(m: AppendResponse): void {
    const peer = this.hear(m);
    if (peer === undefined) return;
    if (m.outcome.ok) {
      this.acknowledged(peer, m.outcome.match, m.prevIndex);
    } else {
      const hint = this.replica.log.lastAtMost(m.outcome.hint);
      if (peer.maybeBackOff(m.prevIndex, hint.index)) this.isDirty = true;
    }
  }

  onHeartbeatResponse(m: HeartbeatResponse): void {
    const peer = this.hear(m);
    if (peer === undefined) return;
    // A lost append is noticed here: the peer lives, but acknowledges nothing for a long time.
    const stalledTicks = this.ticks - peer.movedAtTick;
    const isStalled = peer.state === 'replicate' && peer.inflights.count > 0;
    if (isStalled && stalledTicks * 2 >= this.replica.config.electionTicks) peer.becomeProbe();
    const isProbeYoung = this.ticks - peer.movedAtTick < 2 * this.replica.config.heartbeatTicks;
    if (peer.state !== 'probe' || !isProbeYoung) peer.isPaused = false;
    if (peer.state === 'probe' || peer.next <= this.replica.log.lastIndex) this.isDirty = true;
    if (m.readRound > this.barriers.lastRoundBegun) this.replica.implausibleCount++;
    else if (m.readRound > peer.readRound) {
      peer.readRound = m.readRound;
      this.confirmReads();
    }
  }

  /** The own log became durable further. */
  persisted(): void {
    this.maybeCommit();
  }

  entriesRead(from: BrokerId, slice: LogSlice): void {
    const peer = this.replicator.get(from);
    if (peer === undefined) return;
    this.replicator.entriesRead(peer, slice, this.ticks);
    this.isDirty = true;
  }

  readFailed(from: BrokerId): void {
    const peer = this.replicator.get(from);
    if (peer !== undefined) this.replicator.readFailed(peer);
  }

  /** Messages were dropped: what was in flight is void. A snapshot under way reports for itself. */
  peerUnreachable(id: BrokerId): void {
    const peer = this.replicator.get(id);
    if (peer === undefined) return;
    peer.readFrom = undefined;
    if (peer.state === 'snapshot') return;
    peer.becomeProbe();
    peer.pauseUntilAnswer();
  }

  /** The peer's process is gone, and with it any snapshot under way. */
  connectionLost(id: BrokerId): void {
    const peer = this.replicator.get(id);
    if (peer === undefined) return;
    peer.readFrom = undefined;
    peer.becomeProbe();
    peer.pauseUntilAnswer();
  }

  snapshotReported(id: BrokerId, lastIndex: LogIndex, ok: boolean): void {
    const peer = this.replicator.get(id);
    if (peer?.state !== 'snapshot') return;
    const reached = ok ? Math.min(lastIndex, this.replica.log.lastIndex) : 0;
    peer.becomeProbe(logIndex(Math.max(reached, peer.match) + 1));
    // After a failure, the peer's next answer starts another attempt.
    if (!ok) peer.pauseUntilAnswer();
    this.isDirty = true;
  }

  transfer(to: BrokerId): void {
    const { log, self } = this.replica;
    if (to === self || to === this.transferee) return;
    const peer = this.replicator.get(to);
    if (peer === undefined || peer.isRepairing || !log.membership.voters.includes(to)) return;
    this.transferee = to;
    this.transferElapsed = 0;
    this.isTimeoutNowSent = false;
    this.maybeHandOver(peer);
    this.isDirty = true;
  }

  readBarrier(token: number): void {
    const commit = this.hasCommittedOwnTerm ? this.replica.log.commit : undefined;
    if (!this.barriers.add(token, commit)) this.replica.effects.barriersFailed.push(token);
    this.maybeConfirmAlone();
  }

  tellCommit(): void {
    if (!this.owesCommit) return;
    this.isTelling = true;
    this.isDirty = true;
  }

  /** Sends what has come together since the last time: entries, read rounds, and if asked for the commit index. */
  flush(): void {
    this.isDirty = false;
    const isRound = this.barriers.wantsRound;
    if (isRound) this.barriers.beginRound();
    const { round } = this.barriers;
    for (const peer of this.replicator.all()) {
      this.replicator.feed(peer, this.ticks);
      const isTold = this.isTelling && this.isBehind(peer);
      if (isRound || isTold) this.replicator.heartbeat(peer, round);
    }
    this.isTelling = false;
    if (isRound) this.confirmReads();
  }

  /** It has committed entries of which nothing that went to it says so. */
  private isBehind(peer: Progress): boolean {
    return peer.sentCommit < Math.min(this.replica.log.commit, peer.match);
  }

  private broadcastHeartbeat(): void {
    this.heartbeatElapsed = 0;
    const { round } = this.barriers;
    for (const peer of this.replicator.all()) this.replicator.heartbeat(peer, round);
  }

  /** Notes who speaks; undefined if what they say must not be used. */
  private hear(m: AppendResponse | HeartbeatResponse): Progress | undefined {
    const peer = this.replicator.mustGet(m.from);
    const { lastIndex } = this.replica.log;
    if (peer.incarnation !== m.incarnation) {
      const isFirst = peer.incarnation === undefined;
      // A new life starts damaged. One that claims to be whole beside it is an older one, late.
      if (!m.repairing && peer.wasRepairing) return undefined;
      if (!isFirst) peer.forget(m.incarnation, logIndex(lastIndex + 1));
      peer.incarnation = m.incarnation;
      peer.isRepairing = m.repairing;
      if (m.repairing) {
        peer.wasRepairing = true;
        peer.repairTarget = lastIndex;
      }
      this.isDirty = true;
      if (!isFirst && !m.repairing) return undefined;
    } else if (peer.isRepairing && !m.repairing) {
      // Whole again: what it holds counts from now on. Within one life it is never damaged anew.
      peer.isRepairing = false;
      this.maybeCommit();
    }
    peer.heardAtTick = this.ticks;
    return peer;
  }

  private acknowledged(peer: Progress, match: LogIndex, prevIndex: LogIndex): void {
    const { log } = this.replica;
    if (match > log.lastIndex) {
      this.replica.implausibleCount++;
      return;
    }
    const isProbeAnswered = peer.state === 'probe' && prevIndex === peer.next - 1;
    const isNews = peer.maybeAdvance(match);
    if (!isNews && !isProbeAnswered) return;
    peer.movedAtTick = this.ticks;
    switch (peer.state) {
      case 'probe':
        peer.becomeReplicate(isProbeAnswered);
        break;
      case 'replicate':
        peer.isPaused = false;
        peer.inflights.freeTo(match);
        break;
      case 'snapshot':
        // The snapshot arrived, or is no longer needed.
        if (match >= log.snapshot.last.index) peer.becomeReplicate(false);
    }
    this.isDirty = true;
    if (isNews) {
      this.maybeCommit();
      if (this.transferee === peer.id) this.maybeHandOver(peer);
    }
  }

  private maybeCommit(): void {
    const { log, self, term, role } = this.replica;
    // One message may commit twice, and the first commit may have ended this office.
    if (role !== 'leader') return;
    const index = quorumValue(log.membership, (id) =>
      id === self ? log.durable : this.replicator.mustGet(id).countedMatch,
    );
    invariant(Number.isFinite(index), 'a leader has voters', { membership: log.membership });
    const committed = logIndex(index);
    if (committed <= log.commit || log.termAt(committed) !== term) return;
    this.freeTail(committed);
    log.commitTo(committed);
    this.isDirty = true;
    this.committed();
  }

  private freeTail(committed: LogIndex): void {
    const { log } = this.replica;
    const first = logIndex(Math.max(log.commit + 1, log.recentFirst));
    const entries = log.recent({ first, next: logIndex(committed + 1) }, Infinity);
    invariant(entries !== undefined, 'entries of the own term are in memory', { first });
    for (const entry of entries) this.uncommittedBytes -= entryBytes(entry);
    if (committed === log.lastIndex) this.uncommittedBytes = 0;
    invariant(this.uncommittedBytes >= 0, 'what commits was in the tail', {
      bytes: this.uncommittedBytes,
    });
  }

  private committed(): void {
    const { log, self } = this.replica;
    this.barriers.admitEarly(log.commit);
    this.maybeConfirmAlone();
    if (log.membershipIndex > log.commit) return;
    if (isJoint(log.membership)) {
      if (!log.membership.autoLeave) return;
      this.append([this.membershipEntry(leaveJoint(log.membership), log.lastTimeMs)]);
    } else if (!isVoter(log.membership, self)) {
      this.leave();
    }
  }

  /**
   * The membership without this replica is committed: tell the others, hand over, step down. One is
   * told to campaign, the target of a transfer under way before all others; two would split the votes.
   */
  private leave(): void {
    this.isTelling = true;
    this.flush();
    const { log } = this.replica;
    const heirs = this.replicator
      .list()
      .filter((p) => isVoter(log.membership, p.id) && p.countedMatch === log.lastIndex);
    const heir = heirs.find((p) => p.id === this.transferee) ?? heirs[0];
    const isOrdered = this.transferee !== undefined && this.isTimeoutNowSent;
    if (heir !== undefined && !isOrdered) this.sendTimeoutNow(heir.id);
    this.transferee = undefined;
    this.stepDown();
  }

  /**
   * Whether a quorum answered lately; everybody, if only everybody together could elect. Who joined
   * within an election timeout may not have had the time to.
   */
  private checkQuorum(): boolean {
    const { membership } = this.replica.log;
    const answered = (id: BrokerId): Vote => {
      if (id === this.replica.self) return 'granted';
      const peer = this.replicator.mustGet(id);
      const isNew = this.ticks - peer.joinedAtTick <= this.replica.config.electionTicks;
      if (!isNew && !this.isActive(peer)) return 'refused';
      return peer.isRepairing ? 'damaged' : 'granted';
    };
    return voteResult(membership, answered) === 'won';
  }

  private confirmReads(): void {
    const { log, self } = this.replica;
    const round = quorumValue(log.membership, (id) => {
      if (id === self) return Infinity;
      const peer = this.replicator.mustGet(id);
      return peer.isRepairing ? 0 : peer.readRound;
    });
    this.replica.effects.barriersReached.push(...this.barriers.confirmed(round));
  }

  /** With nobody else to ask, a round is confirmed as it begins. */
  private maybeConfirmAlone(): void {
    const { voters, votersOutgoing } = this.replica.log.membership;
    const isAlone = voters.length === 1 && voters[0] === this.replica.self;
    if (!isAlone || votersOutgoing.length > 0 || !this.barriers.wantsRound) return;
    this.barriers.beginRound();
    this.confirmReads();
  }

  private maybeHandOver(peer: Progress): void {
    if (this.isTimeoutNowSent || peer.match !== this.replica.log.lastIndex) return;
    this.isTimeoutNowSent = true;
    this.sendTimeoutNow(peer.id);
  }

  private sendTimeoutNow(to: BrokerId): void {
    const { self, term, incarnation } = this.replica;
    this.replica.send({ kind: 'timeoutNow', from: self, to, term, incarnation });
  }

  private accept(entries: readonly LogEntry[]): ProposeResult {
    const first = entries[0];
    const last = entries.at(-1);
    invariant(first !== undefined, 'something is appended');
    invariant(last !== undefined, 'something is appended');
    this.append(entries);
    const { term, index } = first;
    return { accepted: true, first: { term, index }, timeMs: last.timeMs };
  }

  private append(entries: readonly LogEntry[]): void {
    for (const entry of entries) this.uncommittedBytes += entryBytes(entry);
    if (this.replica.log.append(entries)) this.replicator.syncMembers(this.ticks);
    this.isDirty = true;
  }

  private entry(kind: LogEntry['kind'], timeMs: number, payload: Uint8Array): LogEntry {
    const { log, term } = this.replica;
    const index = logIndex(log.lastIndex + 1);
    return { term, index, kind, timeMs: this.nextTimeMs(timeMs), payload };
  }

  private membershipEntry(membership: Membership, timeMs: number): LogEntry {
    return this.entry('membership', timeMs, encodeMembership(membership));
  }

  private nextTimeMs(timeMs: number): number {
    return Math.max(this.replica.log.lastTimeMs, timeMs);
  }

  private refuse(reason: RefusalReason): ProposeResult {
    return { accepted: false, reason, leader: this.replica.self };
  }
}
