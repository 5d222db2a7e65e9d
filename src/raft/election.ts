import { TERM_LIMIT, term as toTerm, type BrokerId, type Term } from '../model/ids.js';
import type { EntryId } from '../model/log-entry.js';
import { votersOf } from './conf-change.js';
import { ElectionTimer } from './election-timer.js';
import type { PreVoteRequest, TimeoutNow, VoteRequest, VoteResponse } from './message.js';
import { isAfterLoss, recoveryResult, voteResult, type Vote, type VoteResult } from './quorum.js';
import { covers } from './raft-log.js';
import type { Replica } from './replica.js';

/** The role changes an election leads to; RaftCore makes them. */
export interface Transitions {
  becomeFollower(term: Term, leader: BrokerId | undefined): void;
  becomeLeader(): void;
}

/**
 * Everything about votes: when to campaign, for whom to vote, who won. Owned by RaftCore.
 *
 * A campaign asks first whether it could win (pre-vote, thesis §9.6), which changes nobody's term.
 * A replica in contact with a leader supports nobody (thesis §4.2.3), unless the leader itself
 * ordered the campaign. Vote requests, votes given and the own vote wait for the hard state.
 */
export class Election {
  private readonly replica: Replica;
  private readonly transitions: Transitions;
  private readonly timer: ElectionTimer;
  /** Of the present campaign. */
  private readonly preVotes = new Map<BrokerId, Vote>();
  /**
   * In `votesTerm`. They outlast the patience for them: a candidate that asks for pre-votes again, since
   * disks or links were slow, is elected all the same by votes of its term that come late. They are void
   * once the term has had a leader: members may have gone since, and a minority of then be a majority now.
   */
  private readonly votes = new Map<BrokerId, Vote>();
  private votesTerm: Term | undefined = undefined;
  private ticks = 0;
  /** Whose process was last reported gone. */
  private lostLeader: BrokerId | undefined = undefined;
  /** A pre-vote not answered because a leader is in contact: answered if the contact ends. */
  private withheld: { readonly request: PreVoteRequest; readonly atTick: number } | undefined =
    undefined;

  constructor(replica: Replica, transitions: Transitions) {
    this.replica = replica;
    this.transitions = transitions;
    this.timer = new ElectionTimer(replica.config, replica.random);
    if (this.isLeaderUnthinkable()) this.timer.hint(this.rankOf(replica.self) + 1);
  }

  get elapsed(): number {
    return this.timer.elapsed;
  }

  tick(): void {
    this.ticks++;
    const { replica } = this;
    if (replica.role === 'leader' || !this.timer.tick()) return;
    // A candidate whose disk is slow has asked nobody yet: another term would help as little.
    if (replica.role === 'candidate' && !replica.isHardStateDurable) this.timer.giveTime();
    else this.campaign();
  }

  heardLeader(): void {
    this.votesTerm = undefined;
    this.timer.restart();
  }

  /** Contact with the leader lasts as long as the sleep: no pre-vote of before waits for its end. */
  fallAsleep(): void {
    this.withheld = undefined;
  }

  /** Whoever speaks is there: a leader that came back counts as a voter like any other. */
  heard(from: BrokerId): void {
    if (from === this.lostLeader) this.lostLeader = undefined;
  }

  /** The process of the leader is gone. Without any contact left, campaign by rank. */
  leaderLost(leader: BrokerId): void {
    const { replica } = this;
    replica.leader = undefined;
    this.lostLeader = leader;
    const rank = this.rankOf(replica.self);
    this.timer.hint(Math.max(rank, 1));
    const isSupporting = this.answerWithheld();
    if (rank === 0 && !isSupporting) this.campaign();
  }

  /** Whoever opens a replica says when to look for a leader; silence alone would take a whole timeout. */
  campaignIn(ticks: number): void {
    const { replica } = this;
    if (replica.role !== 'follower' || this.hasLeaderContact() || !replica.mayCampaign) return;
    this.timer.hint(ticks);
    if (ticks === 0) this.campaign();
  }

  /** Asks for pre-votes. */
  campaign(): void {
    const { replica } = this;
    if (!replica.mayCampaign) return;
    this.timer.giveTime();
    if (replica.term + 1 >= TERM_LIMIT) return;
    replica.role = 'preCandidate';
    replica.leader = undefined;
    this.clear(this.preVotes);
    this.voteForSelf();
    for (const to of this.others()) {
      replica.sendUnconditionally({
        kind: 'preVoteRequest',
        from: replica.self,
        to,
        term: toTerm(replica.term + 1),
        incarnation: replica.incarnation,
        lastLog: replica.log.last,
      });
    }
    this.conclude();
  }

  /** The own vote counts, like everybody's, once it is durable (RB16). */
  persisted(): void {
    const { replica } = this;
    if (replica.role !== 'candidate' || this.votes.has(replica.self)) return;
    if (!replica.isHardStateDurable) return;
    this.voteForSelf();
    this.conclude();
  }

  onPreVoteRequest(m: PreVoteRequest): void {
    if (m.term > this.replica.term && this.hasLeaderContact()) {
      this.withheld = { request: m, atTick: this.ticks };
      return;
    }
    this.answerPreVote(m);
  }

  onVoteRequest(m: VoteRequest): void {
    const { replica } = this;
    if (m.term > replica.term) {
      if (this.hasLeaderContact() && !m.isTransfer) return;
      this.transitions.becomeFollower(m.term, undefined);
    }
    const granted = m.term === replica.term && this.isVoteFreeFor(m.from) && this.isLogGood(m);
    if (granted) {
      replica.vote(m.from);
      replica.role = 'follower';
      this.timer.giveVoteTime();
    }
    replica.send({
      kind: 'voteResponse',
      from: replica.self,
      to: m.from,
      term: replica.term,
      incarnation: replica.incarnation,
      granted,
      ...this.ownDamage(),
    });
  }

  onVoteResponse(m: VoteResponse): void {
    const { replica } = this;
    const isPre = m.kind === 'preVoteResponse';
    if (!(isPre ? replica.role === 'preCandidate' : this.mayBeElected())) return;
    // A grant names the term it was asked for; that of another campaign is void.
    if (m.granted && m.term !== replica.term + (isPre ? 1 : 0)) return;
    const votes = isPre ? this.preVotes : this.votes;
    const before = votes.get(m.from);
    const isDamagedGrant = before === 'damaged' || before === 'lostTail';
    if (before === 'granted' || (isDamagedGrant && !m.granted)) return;
    votes.set(m.from, voteIn(m));
    if (votes === this.campaignVotes) this.conclude();
    else if (this.result(votes) === 'won') this.win();
  }

  /** The leader hands over (thesis §3.10): campaign at once, without pre-vote. */
  onTimeoutNow(m: TimeoutNow): void {
    const { replica } = this;
    if (!replica.mayCampaign || replica.needsRepair || replica.term + 1 >= TERM_LIMIT) return;
    if ((replica.leader ?? m.from) !== m.from) return;
    this.requestVotes(true);
  }

  /** A leader knows itself; anyone else must have heard one within the shortest timeout. */
  hasLeaderContact(): boolean {
    const { replica } = this;
    if (replica.role === 'leader') return true;
    return replica.leader !== undefined && this.timer.elapsed < replica.config.electionTicks;
  }

  private requestVotes(isTransfer: boolean): void {
    const { replica } = this;
    this.transitions.becomeFollower(toTerm(replica.term + 1), undefined);
    replica.role = 'candidate';
    replica.vote(replica.self);
    this.clear(this.votes);
    this.votesTerm = replica.term;
    this.timer.giveVoteTime();
    for (const to of this.others()) {
      replica.send({
        kind: 'voteRequest',
        from: replica.self,
        to,
        term: replica.term,
        incarnation: replica.incarnation,
        lastLog: replica.log.last,
        isTransfer,
      });
    }
  }

  private get campaignVotes(): Map<BrokerId, Vote> {
    return this.replica.role === 'preCandidate' ? this.preVotes : this.votes;
  }

  /** Its own vote in the present term is asked to be joined by others', now or in an earlier campaign. */
  private mayBeElected(): boolean {
    const { role, term } = this.replica;
    return (role === 'candidate' || role === 'preCandidate') && this.votesTerm === term;
  }

  private conclude(): void {
    const { replica } = this;
    switch (this.result(this.campaignVotes)) {
      case 'pending':
        return;
      case 'lost':
        replica.role = 'follower';
        // A lost hinted election is tried again soon: whoever won it will be heard before.
        this.timer.giveTime();
        return;
      case 'won':
        if (replica.role === 'preCandidate') this.requestVotes(false);
        else this.win();
    }
  }

  private result(votes: ReadonlyMap<BrokerId, Vote>): VoteResult {
    const { membership } = this.replica.log;
    const voteOf = (id: BrokerId): Vote | undefined => votes.get(id);
    return this.replica.needsRepair
      ? recoveryResult(membership, voteOf)
      : voteResult(membership, voteOf);
  }

  /** A log that covers what is left of all others is whole by definition. */
  private win(): void {
    const { replica } = this;
    replica.mayHaveLost = isAfterLoss(replica.log.membership, (id) => this.votes.get(id));
    if (replica.needsRepair) replica.endRepair();
    this.transitions.becomeLeader();
  }

  private voteForSelf(): void {
    const { replica } = this;
    this.campaignVotes.set(replica.self, replica.needsRepair ? 'lostTail' : 'granted');
  }

  private ownDamage(): Pick<VoteResponse, 'damaged' | 'lostTail'> {
    const { needsRepair: damaged, lostTail } = this.replica;
    return lostTail ? { damaged, lostTail } : { damaged };
  }

  private answerPreVote(m: PreVoteRequest): boolean {
    const { replica } = this;
    const isTermGood =
      m.term > replica.term || (m.term === replica.term && this.isVoteFreeFor(m.from));
    const granted = isTermGood && this.isLogGood(m) && !this.goesBefore(m);
    // One who supports another's campaign does not spoil it with its own.
    if (granted && this.timer.isHinted && replica.role === 'follower') this.timer.giveTime();
    replica.sendUnconditionally({
      kind: 'preVoteResponse',
      from: replica.self,
      to: m.from,
      term: granted ? m.term : replica.term,
      incarnation: replica.incarnation,
      granted,
      ...this.ownDamage(),
    });
    if (!granted && isTermGood) this.takeTurnOf(m.from);
    return granted;
  }

  /**
   * Two who miss the same leader at the same moment and have the same log would grant each other
   * pre-votes and then split the votes: the first in rank goes on, and the other gives way.
   */
  private goesBefore(rival: PreVoteRequest): boolean {
    const { replica, timer } = this;
    if (!timer.isHinted || replica.role !== 'preCandidate') return false;
    const { last } = replica.log;
    const isEqual = last.index === rival.lastLog.index && last.term === rival.lastLog.term;
    return isEqual && this.rankOf(replica.self) < this.rankOf(rival.from);
  }

  /** For a new campaign. A leader whose process is gone will not answer: nobody waits for its vote. */
  private clear(votes: Map<BrokerId, Vote>): void {
    votes.clear();
    if (this.timer.isHinted && this.lostLeader !== undefined) {
      votes.set(this.lostLeader, 'refused');
    }
  }

  /** The candidate lacks entries that are here: it cannot win, but this replica may. */
  private takeTurnOf(candidate: BrokerId): void {
    const { replica, timer } = this;
    // In a hinted election the turn passes to the next in rank at once.
    if (this.isNextAfter(candidate)) this.campaign();
    else if (!timer.isHinted) this.campaignIn(1 + replica.random.int(2));
  }

  private isNextAfter(candidate: BrokerId): boolean {
    if (!this.timer.isHinted || this.replica.role !== 'follower') return false;
    // The request of one who is no voter, a removed member perhaps, is nobody's turn.
    const before = this.rankOf(candidate);
    return before >= 0 && this.rankOf(this.replica.self) === before + 1;
  }

  /** Order in which the remaining voters campaign; -1 for anybody else. */
  private rankOf(id: BrokerId): number {
    const { log, rankSalt } = this.replica;
    const rest = votersOf(log.membership).filter((voter) => voter !== this.lostLeader);
    const place = rest.indexOf(id);
    return place < 0 ? -1 : (place + rankSalt) % rest.length;
  }

  /** A group just made has no leader yet, and a lone voter has no other: nothing to wait for. */
  private isLeaderUnthinkable(): boolean {
    const { replica } = this;
    if (!replica.mayCampaign) return false;
    const isNew = replica.term === 0 && replica.log.lastIndex === 0;
    return isNew || votersOf(replica.log.membership).length === 1;
  }

  /** Answers the pre-vote that a contact just ended held back; true if it was granted. */
  private answerWithheld(): boolean {
    const { withheld } = this;
    this.withheld = undefined;
    if (withheld === undefined) return false;
    if (this.ticks - withheld.atTick > this.replica.config.hintedRetryTicks) return false;
    return this.answerPreVote(withheld.request);
  }

  private isVoteFreeFor(candidate: BrokerId): boolean {
    const { votedFor, leader } = this.replica;
    return leader === undefined && (votedFor === undefined || votedFor === candidate);
  }

  /** A damaged log can only say what it once held; one that lost its end, what is left. */
  private isLogGood(m: { readonly lastLog: EntryId }): boolean {
    const { replica } = this;
    if (replica.needsRepair && !replica.lostTail) return covers(m.lastLog, replica.watermark);
    return replica.log.isCoveredBy(m.lastLog);
  }

  private others(): readonly BrokerId[] {
    return votersOf(this.replica.log.membership).filter((id) => id !== this.replica.self);
  }
}

function voteIn(m: VoteResponse): Vote {
  if (!m.granted) return 'refused';
  if (m.lostTail === true) return 'lostTail';
  return m.damaged ? 'damaged' : 'granted';
}
