import { invariant, unreachable } from '../base/assert.js';
import type { BrokerId, LogIndex, Term } from '../model/ids.js';
import type { IndexRange, LogEntry } from '../model/log-entry.js';
import { membersOf } from '../model/membership.js';
import { isMember, type MembershipTarget } from './conf-change.js';
import { checkRaftConfig, type RaftConfig } from './config.js';
import { Election } from './election.js';
import type {
  Asleep,
  Proposal,
  ProposeResult,
  RaftEvent,
  RaftInit,
  RaftStatus,
  Ready,
  RoleChange,
} from './io.js';
import type { Message } from './message.js';
import { isPlausible, isPlausibleSnapshot } from './message-check.js';
import type { CreateRaftNode, RaftInspection, RaftNode } from './raft-node.js';
import { Replica } from './replica.js';
import { Follower } from './step-follower.js';
import { Leader } from './step-leader.js';

/**
 * The consensus core of one replica: dispatches events, keeps the rules of terms, changes roles.
 * Owned by its host's driver.
 *
 * Invariants: `leader` exists exactly while the role is leader; a message of an older term has no
 * effect but an answer; one of a newer term is obeyed only after stepping down into that term.
 */
export class RaftCore implements RaftNode {
  private readonly replica: Replica;
  private readonly election: Election;
  private readonly follower: Follower;
  private leader: Leader | undefined = undefined;
  private reported: RoleChange;
  private sleep: Asleep | undefined = undefined;

  constructor(init: RaftInit, config: RaftConfig) {
    checkRaftConfig(config);
    this.replica = new Replica(init, config);
    this.follower = new Follower(this.replica);
    this.election = new Election(this.replica, {
      becomeFollower: (term, leader) => this.becomeFollower(term, leader),
      becomeLeader: () => this.becomeLeader(),
    });
    this.reported = this.roleNow();
  }

  step(event: RaftEvent): void {
    switch (event.kind) {
      case 'tick':
        if (this.sleep !== undefined) return;
        this.election.tick();
        this.leader?.tick();
        return;
      case 'message':
        this.stepMessage(event.message);
        return;
      case 'persisted':
        this.stepPersisted(event.ticket);
        return;
      case 'entriesRead':
        this.leader?.entriesRead(event.peer, event.slice);
        return;
      case 'readFailed':
        this.leader?.readFailed(event.peer);
        return;
      case 'applied':
        this.replica.log.appliedTo(event.index);
        return;
      case 'peerUnreachable':
        this.wakeLeader();
        this.leader?.peerUnreachable(event.peer);
        return;
      case 'connectionLost':
        this.connectionLost(event.peer);
        return;
      case 'campaign':
        this.election.campaignIn(event.inTicks);
        return;
      case 'readBarrier':
        this.wakeLeader();
        if (this.leader !== undefined) this.leader.readBarrier(event.token);
        else this.replica.effects.barriersFailed.push(event.token);
        return;
      case 'quiesce':
        if (this.leader?.maybeQuiesce() === true) this.fallAsleep();
        return;
      case 'wake':
        this.wake();
        return;
      case 'stalled':
        this.stalled();
        return;
      case 'tellCommit':
        this.leader?.tellCommit();
        return;
      case 'transferLeadership':
        this.wakeLeader();
        this.leader?.transfer(event.to);
        return;
      case 'prefixMoved':
        this.replica.log.movePrefix(event.snapshot);
        return;
      case 'snapshotReceived':
        this.stepSnapshot(event);
        return;
      case 'snapshotReported':
        this.leader?.snapshotReported(event.peer, event.lastIndex, event.ok);
        return;
      default:
        unreachable(event);
    }
  }

  propose(proposals: readonly Proposal[]): ProposeResult {
    this.wakeLeader();
    return this.leader?.propose(proposals) ?? this.notLeader();
  }

  changeMembership(target: MembershipTarget, timeMs: number): ProposeResult {
    this.wakeLeader();
    return this.leader?.changeMembership(target, timeMs) ?? this.notLeader();
  }

  get owesCommit(): boolean {
    return this.leader?.owesCommit === true;
  }

  get asleep(): Asleep | undefined {
    return this.sleep;
  }

  hasReady(): boolean {
    const { replica } = this;
    const { effects } = replica;
    return (
      replica.hasMessages ||
      replica.hasPersist() ||
      replica.log.hasCommitted ||
      this.leader?.wantsFlush === true ||
      this.isRoleNews() ||
      effects.barriersReached.length > 0 ||
      effects.barriersFailed.length > 0 ||
      effects.catchUpReads.length > 0 ||
      effects.snapshotsToSend.length > 0
    );
  }

  ready(): Ready {
    if (this.leader?.wantsFlush === true) this.leader.flush();
    const { replica } = this;
    const roleChange = this.isRoleNews() ? this.roleNow() : undefined;
    if (roleChange !== undefined) this.reported = roleChange;
    return {
      persists: replica.takePersists(),
      messages: replica.takeMessages(),
      committed: replica.log.takeCommitted(),
      roleChange,
      ...replica.takeEffects(),
    };
  }

  status(): RaftStatus {
    const { replica, leader } = this;
    const { log } = replica;
    const peers = leader?.replicator.list() ?? [];
    return {
      self: replica.self,
      role: replica.role,
      term: replica.term,
      leader: replica.leader,
      votedFor: replica.votedFor,
      needsRepair: replica.needsRepair,
      commit: log.commit,
      applied: log.applied,
      last: log.last,
      durable: log.durable,
      snapshotIndex: log.snapshot.last.index,
      membership: log.membership,
      peers: peers.map((peer) => ({
        id: peer.id,
        match: peer.match,
        next: peer.next,
        state: peer.state,
        isActive: leader?.isActive(peer) === true,
        isRepairing: peer.isRepairing,
      })),
      transferringTo: leader?.transferringTo,
    };
  }

  recent(range: IndexRange, bytesMax: number): readonly LogEntry[] | undefined {
    return this.replica.log.recent(range, bytesMax);
  }

  recentBytes(): number {
    return this.replica.log.recentBytes;
  }

  trimRecent(bytesMax: number, through?: LogIndex): void {
    this.replica.log.trim(bytesMax, through);
  }

  inspect(): RaftInspection {
    const { replica, leader } = this;
    const { log } = replica;
    return {
      termRuns: log.termRuns,
      snapshot: log.snapshot,
      recent: { first: log.recentFirst, next: log.recentNext },
      handed: log.handed,
      verified: this.follower.verifiedIndex,
      membershipIndex: log.membershipIndex,
      heldMessages: replica.heldCount,
      implausibleMessages: replica.implausibleCount,
      electionElapsedTicks: this.election.elapsed,
      uncommittedBytes: leader?.tailBytes ?? 0,
      barriersWaiting: leader?.barriers.count ?? 0,
      inflights: (leader?.replicator.list() ?? []).map(({ id, inflights, isPaused }) => ({
        id,
        count: inflights.count,
        bytes: inflights.bytes,
        isPaused,
      })),
      config: replica.config,
    };
  }

  private stepMessage(m: Message): void {
    const { replica } = this;
    if (m.to !== replica.self || !isPlausible(m)) {
      replica.implausibleCount++;
      return;
    }
    this.election.heard(m.from);
    // Late answers tell a leader that sleeps nothing new; whatever else comes, somebody misses it.
    if (!isAnswer(m)) this.wakeLeader();
    switch (m.kind) {
      case 'preVoteRequest':
        this.election.onPreVoteRequest(m);
        return;
      case 'voteRequest':
        this.election.onVoteRequest(m);
        return;
      case 'appendRequest':
        if (this.hearLeader(m)) this.follower.append(m);
        return;
      case 'heartbeatRequest':
        if (this.hearLeader(m)) this.follower.heartbeat(m);
        return;
      case 'quiesceRequest':
        if (this.hearLeader(m) && this.follower.mayQuiesce(m)) this.fallAsleep();
        return;
      case 'wakeRequest':
        // Whoever leads is awake by now, and heartbeats come.
        this.admitResponse(m);
        return;
      case 'timeoutNow':
        if (m.term < replica.term) return;
        if (m.term > replica.term) this.becomeFollower(m.term, m.from);
        this.election.onTimeoutNow(m);
        return;
      case 'preVoteResponse':
      case 'voteResponse':
        if (this.admitResponse(m)) this.election.onVoteResponse(m);
        return;
      case 'appendResponse':
        if (this.admitResponse(m)) this.leader?.onAppendResponse(m);
        if (this.leader?.wantsFlush === true) this.wakeLeader();
        return;
      case 'heartbeatResponse':
        if (this.admitResponse(m)) this.leader?.onHeartbeatResponse(m);
        if (this.leader?.wantsFlush === true) this.wakeLeader();
        return;
      default:
        unreachable(m);
    }
  }

  /** Whether an answer speaks to the present term. Those of strangers are void (RB20, RB26). */
  private admitResponse(m: Message): boolean {
    const { replica } = this;
    if (!isMember(replica.log.membership, m.from)) return false;
    // A granted pre-vote names the term asked about, which the voter has not entered.
    if (m.kind === 'preVoteResponse' && m.granted) return true;
    if (m.term > replica.term) {
      this.becomeFollower(m.term, undefined);
      return false;
    }
    return m.term === replica.term || m.kind === 'preVoteResponse';
  }

  /** The rules for whoever claims to lead; true if it leads the present term. */
  private hearLeader(m: { readonly from: BrokerId; readonly term: Term }): boolean {
    const { replica } = this;
    if (m.term < replica.term) {
      this.correct(m.from);
      return false;
    }
    if (m.term > replica.term) this.becomeFollower(m.term, m.from);
    invariant(replica.role !== 'leader', 'one leader a term', { term: m.term, other: m.from });
    invariant((replica.leader ?? m.from) === m.from, 'one leader a term', {
      term: m.term,
      leader: replica.leader,
      other: m.from,
    });
    replica.role = 'follower';
    replica.leader = m.from;
    this.sleep = undefined;
    this.election.heardLeader();
    return true;
  }

  private fallAsleep(): void {
    const { term, leader, self, log } = this.replica;
    invariant(leader !== undefined, 'who sleeps knows its leader', { term });
    const others = membersOf(log.membership).filter((id) => id !== self);
    this.sleep = { term, leader, others };
    this.election.fallAsleep();
  }

  /** A leader says so to its followers; they sleep as long as it does. */
  private wakeLeader(): void {
    if (this.sleep === undefined || this.leader === undefined) return;
    this.sleep = undefined;
    this.leader.woke();
  }

  private wake(): void {
    const { replica, sleep } = this;
    this.wakeLeader();
    if (this.leader !== undefined || sleep === undefined) return;
    this.sleep = undefined;
    this.election.heardLeader();
    const { self, term, incarnation } = replica;
    replica.send({ kind: 'wakeRequest', from: self, to: sleep.leader, term, incarnation });
  }

  /** Also of a sleep: its followers' hosts have missed the pulses that it rests on. */
  private stalled(): void {
    if (this.leader === undefined) return;
    this.sleep = undefined;
    this.leader.stalled();
  }

  private connectionLost(peer: BrokerId): void {
    this.wakeLeader();
    if (this.leader !== undefined) {
      this.leader.connectionLost(peer);
    } else if (this.replica.leader === peer) {
      this.sleep = undefined;
      this.election.leaderLost(peer);
    }
  }

  /** Tells a leader of an older term that it is deposed, or it would never learn from a voter. */
  private correct(to: BrokerId): void {
    const { replica } = this;
    replica.send({
      kind: 'heartbeatResponse',
      from: replica.self,
      to,
      term: replica.term,
      incarnation: replica.incarnation,
      readRound: 0,
      repairing: replica.needsRepair,
    });
  }

  private stepPersisted(ticket: number): void {
    this.replica.persisted(ticket);
    this.election.persisted();
    if (this.leader !== undefined) this.leader.persisted();
    else this.follower.persisted();
  }

  private stepSnapshot(event: Extract<RaftEvent, { kind: 'snapshotReceived' }>): void {
    const { from, term, snapshot, repairTarget } = event;
    if (!isPlausibleSnapshot(term, snapshot)) {
      this.replica.implausibleCount++;
      return;
    }
    if (this.hearLeader({ from, term })) this.follower.snapshot(from, snapshot, repairTarget);
  }

  /** Into this term, or back into the ranks of the present one; the vote given in it stays (RB15). */
  private becomeFollower(term: Term, leader: BrokerId | undefined): void {
    const { replica } = this;
    if (this.leader !== undefined) this.resign(this.leader);
    this.sleep = undefined;
    if (term > replica.term) replica.enterTerm(term);
    replica.role = 'follower';
    replica.leader = leader;
  }

  private resign(leader: Leader): void {
    const { effects } = this.replica;
    effects.barriersFailed.push(...leader.barriers.drain());
    effects.catchUpReads = [];
    effects.snapshotsToSend = [];
    this.leader = undefined;
    this.election.heardLeader();
  }

  private becomeLeader(): void {
    const { replica } = this;
    replica.role = 'leader';
    replica.leader = replica.self;
    this.election.heardLeader();
    this.leader = new Leader(replica, () => this.becomeFollower(replica.term, undefined));
  }

  private notLeader(): ProposeResult {
    return { accepted: false, reason: 'notLeader', leader: this.replica.leader };
  }

  private roleNow(): RoleChange {
    const { role, term, leader, mayHaveLost } = this.replica;
    if (role === 'leader' && mayHaveLost) return { role, term, leader, mayHaveLost };
    return { role, term, leader };
  }

  private isRoleNews(): boolean {
    const { role, term, leader } = this.replica;
    const { reported } = this;
    return role !== reported.role || term !== reported.term || leader !== reported.leader;
  }
}

function isAnswer({ kind }: Message): boolean {
  switch (kind) {
    case 'preVoteResponse':
    case 'voteResponse':
    case 'appendResponse':
    case 'heartbeatResponse':
      return true;
    default:
      return false;
  }
}

export const createRaftNode: CreateRaftNode = (init, config) => new RaftCore(init, config);
