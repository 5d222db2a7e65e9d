import type { BrokerId } from '../../src/model/ids.js';
import type { EntryId, LogEntry } from '../../src/model/log-entry.js';
import type { Membership } from '../../src/model/membership.js';
import type { SnapshotMeta } from '../../src/raft/io.js';
import type { Message } from '../../src/raft/message.js';
import type { ReplicaDisk } from './disk-replica.js';
import { chainOf, type ChainedEntry, type LogImage } from './log-image.js';
import { must } from './violation.js';

/** What the oracle sees of the replicas of one group: their disks, wherever they are. */
export type DiskOf = (broker: number) => ReplicaDisk | undefined;

/** The sender of a message, as its core is when the message leaves. */
export interface Speaker {
  readonly term: number;
  readonly isCandidate: boolean;
}

interface Committed {
  readonly entry: LogEntry;
  readonly chain: number;
  /** Highest term in which anything up to here was seen to be committed. */
  readonly seenInTerm: number;
}

type Facts = Readonly<Record<string, unknown>>;

/**
 * The truth about one Raft group, from above: who led when, what was committed, who voted for whom.
 * It is told of everything that replicas do and say, keeps the one log that there may be, and
 * throws a Violation at the first contradiction.
 */
export class GroupOracle {
  readonly group: number;
  /** committed[i] is the entry at index i + 1. */
  readonly committed: Committed[] = [];
  leaderChanges = 0;
  /** Highest term that had a leader. */
  latestTerm = 0;
  private readonly diskOf: DiskOf;
  private readonly leaders = new Map<number, number>();
  private readonly votes = new Map<string, number>();
  /** Chain hash by term and index: one content per identity, and one past. */
  private readonly chains = new Map<number, Map<number, number>>();
  private readonly stateDigests = new Map<string, number>();
  /** What power cuts of majorities took back, where entries are not synced at once; see lose(). */
  readonly losses: { readonly term: number; readonly kept: number }[] = [];
  /** Chains of what was committed and lost: replicas that still have it may know it as committed. */
  private readonly lostChains = new Set<number>();

  constructor(group: number, diskOf: DiskOf) {
    this.group = group;
    this.diskOf = diskOf;
  }

  get committedIndex(): number {
    return this.committed.length;
  }

  /** Hash of the committed log up to and with `index`. */
  chainAt(index: number): number | undefined {
    return index === 0 ? 0 : this.committed[index - 1]?.chain;
  }

  /** I3: an identity has one content and one past, whoever holds it. */
  held(broker: number, items: readonly ChainedEntry[]): void {
    for (const { entry, chain } of items) {
      let chains = this.chains.get(entry.term);
      if (chains === undefined) this.chains.set(entry.term, (chains = new Map<number, number>()));
      const known = chains.get(entry.index);
      if (known === undefined) chains.set(entry.index, chain);
      must(known === undefined || known === chain, 'I3', 'one identity, two logs', {
        group: this.group,
        broker,
        term: entry.term,
        index: entry.index,
      });
    }
  }

  /** I1: at most one leader a term. */
  leads(broker: number, term: number): void {
    const other = this.leaders.get(term);
    if (other === undefined) {
      this.leaders.set(term, broker);
      this.leaderChanges += 1;
      this.latestTerm = Math.max(this.latestTerm, term);
    }
    must(other === undefined || other === broker, 'I1', 'two leaders in one term', {
      group: this.group,
      broker,
      term,
      other,
    });
  }

  /** I4: a new leader holds everything that earlier terms committed. */
  beginsReign(broker: number, term: number, log: LogImage, membership: Membership): void {
    let index = this.committed.length;
    while (index > 0 && (this.committed[index - 1]?.seenInTerm ?? 0) >= term) index -= 1;
    const facts = { group: this.group, broker, term };
    if (index >= log.base.index && log.chainAt(index) !== this.chainAt(index)) {
      this.lose(log, term, membership, facts);
      return;
    }
    this.mustHold(log, index, 'I4', 'a leader lacks what an earlier term committed', facts);
  }

  /** I6 and I10, when a leader's commit index moves up to `to`: what it is the first to commit. */
  commitsAsLeader(
    broker: number,
    log: LogImage,
    commit: { readonly to: number; readonly term: number; readonly membership: Membership },
  ): void {
    const { to, term, membership } = commit;
    if (to <= this.committed.length) return;
    const facts = { group: this.group, broker, term, to, from: this.committed.length };
    must(log.termAt(to) === term, 'I10', 'a leader commits by an earlier term', facts);
    this.extend(log, to, term, facts);
    this.mustBeOnQuorum(to, membership, facts);
  }

  /** I5: whoever counts an index as committed holds what was committed there. */
  commits(broker: number, log: LogImage, to: number): void {
    const facts = { group: this.group, broker, to, known: this.committed.length };
    if (this.isLost(log.chainAt(to))) return;
    must(to <= this.committed.length, 'I5', 'commits what no leader committed', facts);
    this.mustHold(log, to, 'I5', 'commits another entry than was committed before', facts);
  }

  /** I19 and I5 at the machine's door. */
  applies(broker: number, entry: LogEntry): void {
    const known = this.committed[entry.index - 1];
    const previous = this.chainAt(entry.index - 1);
    const facts = { group: this.group, broker, index: entry.index, term: entry.term };
    if (this.isLost(this.heldChain(entry))) return;
    must(known !== undefined && previous !== undefined, 'I19', 'applies uncommitted', facts);
    must(chainOf(previous, entry) === known.chain, 'I5', 'applies another entry', facts);
  }

  /** I7: what is acknowledged to a proposer stands in the committed log. */
  acknowledges(id: EntryId): void {
    if (this.isLost(this.heldChain(id))) return;
    const known = this.committed[id.index - 1];
    must(known?.entry.term === id.term, 'I7', 'acknowledges what is not committed', {
      group: this.group,
      term: id.term,
      index: id.index,
    });
  }

  /** Replicas that stand at one index have one state, byte for byte. */
  stateAt(kind: 'machine' | 'snapshot', index: number, digest: number, broker: number): void {
    const name = `${kind} ${index}`;
    const known = this.stateDigests.get(name);
    if (known === undefined) this.stateDigests.set(name, digest);
    must(known === undefined || known === digest, 'I17', `two ${kind} states at one index`, {
      group: this.group,
      broker,
      index,
    });
  }

  /** I17: a snapshot is a committed prefix. */
  snapshots(broker: number, meta: SnapshotMeta): void {
    const { last } = meta;
    const facts = { group: this.group, broker, index: last.index, term: last.term };
    if (this.isLost(meta.chain)) return;
    must(last.index <= this.committed.length, 'I17', 'a snapshot of uncommitted entries', facts);
    must(this.chainAt(last.index) === meta.chain, 'I17', 'a snapshot of another log', facts);
  }

  /** I1, I9, I12, I22: what a message claims is true, and durable where it must be. */
  sends(message: Message, log: LogImage | undefined, self: Speaker): void {
    const disk = this.diskOf(message.from);
    if (disk === undefined || log === undefined) return;
    const facts = { group: this.group, broker: message.from, kind: message.kind, t: message.term };
    switch (message.kind) {
      case 'voteRequest':
        this.votesFor(message.from, message.term, message.from, disk);
        // A request held back until its vote was durable may outlive the campaign: it cannot win.
        if (self.isCandidate) this.mustBeDurableClaim(disk, message.lastLog, facts);
        must(
          !disk.hardState.needsRepair || disk.tail.isLost,
          'I22',
          'a damaged replica campaigns',
          facts,
        );
        break;
      case 'voteResponse':
        if (!message.granted) break;
        this.votesFor(message.from, message.term, message.to, disk);
        must(
          message.damaged || !disk.hardState.needsRepair,
          'I22',
          'a damaged replica votes as if whole',
          facts,
        );
        break;
      case 'appendResponse':
        must(message.term <= disk.hardState.term, 'I9', 'acks in a term that may be lost', facts);
        if (message.outcome.ok) this.acksUpTo(message, message.outcome.match, disk, log, self.term);
        break;
      case 'appendRequest':
      case 'heartbeatRequest':
        must(this.leaders.get(message.term) === message.from, 'I1', 'only a leader leads', facts);
        if (this.losses.some((loss) => message.term < loss.term)) break;
        must(message.commit <= this.committed.length, 'I5', 'announces a false commit', facts);
        break;
      case 'quiesceRequest':
        must(this.leaders.get(message.term) === message.from, 'I1', 'only a leader leads', facts);
        if (this.losses.some((loss) => message.term < loss.term)) break;
        must(message.last.index <= this.committed.length, 'I5', 'announces a false commit', facts);
        break;
      case 'preVoteRequest':
      case 'preVoteResponse':
      case 'heartbeatResponse':
      case 'wakeRequest':
      case 'timeoutNow':
    }
  }

  /** I11 and I12: what a replica believes to be durable is. */
  believesDurable(broker: number, log: LogImage, durable: number): void {
    const disk = this.diskOf(broker);
    const mine = log.chainAt(durable);
    if (disk === undefined || mine === undefined || durable <= disk.log.base.index) return;
    must(disk.log.chainAt(durable) === mine, 'I11', 'believes durable what is not', {
      group: this.group,
      broker,
      durable,
      onDisk: disk.log.last.index,
    });
  }

  private heldChain({ term, index }: EntryId): number | undefined {
    return this.lostChains.size === 0 ? undefined : this.chains.get(term)?.get(index);
  }

  private isLost(chain: number | undefined): boolean {
    return chain !== undefined && this.lostChains.has(chain);
  }

  /**
   * I28: acknowledged entries may be lost only where a power cut took the unsynced ends of so many logs
   * that no majority is intact; the killing of processes never does that. What the new leader shares
   * with the committed log is the truth from now on.
   */
  private lose(log: LogImage, term: number, membership: Membership, facts: Facts): void {
    const all = [...membership.voters, ...membership.votersOutgoing];
    const isUnsafe = all.some((id) => this.diskOf(id)?.tail.wasUnsynced === true);
    must(isUnsafe, 'I4', 'a leader lacks what an earlier term committed', facts);
    for (const voters of [membership.voters, membership.votersOutgoing]) {
      const intact = voters.filter((id) => this.diskOf(id)?.hardState.needsRepair === false);
      const isCut = voters.some((id) => this.diskOf(id)?.tail.isLost === true);
      if (isCut && 2 * intact.length <= voters.length) {
        this.takeBack(log, term, facts);
        return;
      }
    }
    must(false, 'I28', 'a leader lacks what an intact majority acknowledged', facts);
  }

  private takeBack(log: LogImage, term: number, facts: Facts): void {
    let kept = this.committed.length;
    while (kept > log.base.index && log.chainAt(kept) !== this.chainAt(kept)) kept -= 1;
    must(log.chainAt(kept) === this.chainAt(kept), 'I28', 'what a snapshot covers is lost', facts);
    for (const { chain } of this.committed.splice(kept)) this.lostChains.add(chain);
    for (const name of this.stateDigests.keys()) {
      if (Number(name.slice(name.indexOf(' '))) > kept) this.stateDigests.delete(name);
    }
    this.losses.push({ term, kept });
  }

  private votesFor(voter: number, term: number, candidate: number, disk: ReplicaDisk): void {
    const facts = { group: this.group, voter, term, candidate };
    const name = `${voter} ${term}`;
    const known = this.votes.get(name);
    must(known === undefined || known === candidate, 'I9', 'votes twice in a term', {
      ...facts,
      known,
    });
    this.votes.set(name, candidate);
    const { hardState } = disk;
    const isDurable =
      hardState.term > term || (hardState.term === term && hardState.votedFor === candidate);
    must(isDurable, 'I9', 'a vote leaves before it is durable', facts);
  }

  private acksUpTo(
    message: Message & { readonly kind: 'appendResponse' },
    match: number,
    disk: ReplicaDisk,
    log: LogImage,
    selfTerm: number,
  ): void {
    const facts = { group: this.group, broker: message.from, t: message.term, match };
    must(
      message.repairing || !disk.hardState.needsRepair,
      'I22',
      'a damaged replica acks as if whole',
      facts,
    );
    // An answer of an earlier term counts for nothing any more.
    if (message.term !== selfTerm || match <= disk.log.base.index) return;
    must(disk.log.last.index >= match, 'I12', 'acks what is not durable', {
      ...facts,
      onDisk: disk.log.last.index,
    });
    const mine = log.chainAt(match);
    must(mine === undefined || disk.log.chainAt(match) === mine, 'I12', 'acks another log', facts);
  }

  private mustBeDurableClaim(disk: ReplicaDisk, last: EntryId, facts: Facts): void {
    if (last.index < disk.log.base.index) return;
    must(disk.log.termAt(last.index) === last.term, 'I12', 'campaigns with what is not durable', {
      ...facts,
      last,
      onDisk: disk.log.last,
    });
  }

  private mustHold(
    log: LogImage,
    index: number,
    invariant: string,
    what: string,
    facts: Facts,
  ): void {
    if (index < log.base.index) return;
    const mine = log.chainAt(index);
    must(mine !== undefined && mine === this.chainAt(index), invariant, what, {
      ...facts,
      index,
      committed: this.committed[index - 1]?.entry.term,
      held: log.termAt(index),
    });
  }

  private extend(log: LogImage, to: number, term: number, facts: Facts): void {
    for (let index = this.committed.length + 1; index <= to; index += 1) {
      const item = log.at(index);
      must(item !== undefined, 'I5', 'commits what it does not hold', { ...facts, index });
      const before = this.committed[index - 2]?.seenInTerm ?? 0;
      const { entry, chain } = item;
      this.committed.push({ entry, chain, seenInTerm: Math.max(before, term) });
    }
    const joint = this.committed[to - 1];
    must(joint?.chain === log.chainAt(to), 'I5', 'a leader rewrites what was committed', facts);
  }

  /** I6: a quorum, both of them while joint, has it on disk or had it there when it was damaged. */
  private mustBeOnQuorum(index: number, membership: Membership, facts: Facts): void {
    const chain = this.chainAt(index);
    const has = (broker: BrokerId): boolean => {
      const disk = this.diskOf(broker);
      if (disk === undefined) return false;
      const logs = disk.lost === undefined ? [disk.log] : [disk.log, disk.lost];
      return logs.some((log) => index <= log.base.index || log.chainAt(index) === chain);
    };
    for (const voters of [membership.voters, membership.votersOutgoing]) {
      const count = voters.filter(has).length;
      must(voters.length === 0 || 2 * count > voters.length, 'I6', 'commits without a quorum', {
        ...facts,
        voters,
        holding: voters.filter(has),
      });
    }
  }
}
