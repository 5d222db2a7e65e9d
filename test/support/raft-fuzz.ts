import { Prng } from '../../src/base/prng.js';
import { brokerId } from '../../src/model/ids.js';
import { votersOf } from '../../src/raft/conf-change.js';
import { covers } from '../../src/raft/raft-log.js';
import { majorityOf } from '../../src/raft/quorum.js';
import type { InFlight, Member } from './raft-net.js';
import { RaftNet } from './raft-net.js';

export interface FuzzOptions {
  readonly seed: number;
  readonly steps: number;
  /** Damage more logs than the rest can make up for: safety only. */
  readonly isBeyondRepair: boolean;
}

export interface FuzzResult {
  readonly committed: number;
  readonly leaders: number;
}

/**
 * A storm over a few cores: lost, late, repeated and reordered messages, slow disks, crashes that
 * lose unfinished writes, damaged logs, membership changes, transfers, truncations, reads. RaftNet
 * checks safety throughout; at the end everything heals, and what was asked for must get done.
 */
export class RaftFuzz {
  private readonly random: Prng;
  private readonly net: RaftNet;
  private readonly options: FuzzOptions;
  private readonly votes = new Map<string, number>();
  private readonly quorumChecked = new Set<number>();
  private readonly terms = new Set<number>();
  private proposals = 0;
  private tokens = 0;
  private readsExpected = new Map<number, number>();

  constructor(options: FuzzOptions) {
    this.options = options;
    this.random = new Prng(options.seed);
    this.net = RaftNet.of(3 + 2 * this.random.int(2), {
      config: { appendBytesMax: 200, inflightMax: 4, inflightBytesMax: 2000, electionTicks: 10 },
    });
    this.net.add(6);
    this.net.add(7);
    for (const member of this.net.members.values()) member.isDiskHeld = true;
  }

  run(): FuzzResult {
    for (let i = 0; i < this.options.steps; i++) this.act();
    this.checkAll();
    if (!this.options.isBeyondRepair) this.settle();
    return { committed: this.quorumChecked.size, leaders: this.terms.size };
  }

  private act(): void {
    const { random, net } = this;
    const id = random.pick([...net.members.keys()]);
    const member = net.get(id);
    const dice = random.int(1000);
    if (dice < 150) net.tick(id, 1 + random.int(4));
    else if (dice < 350) for (let i = random.int(12); i >= 0; i--) this.deliverOne();
    else if (dice < 550) this.runOne(member);
    else if (dice < 640) this.flow();
    else if (dice < 780) net.persist(id, 1 + random.int(3));
    else if (dice < 850) this.propose(member);
    else if (dice < 870) net.drop(() => random.chance(0.2));
    else if (dice < 885) this.crash(member);
    else if (dice < 925) this.restart(member);
    else if (dice < 935) net.isolate(id);
    else if (dice < 950) net.heal();
    else if (dice < 960) this.change(member);
    else if (dice < 970) this.transfer(member);
    else if (dice < 978) this.truncate(member);
    else if (dice < 988) this.read(member);
    else if (dice < 991) net.step(id, { kind: random.chance(0.7) ? 'quiesce' : 'wake' });
    else if (dice < 992) net.step(id, { kind: 'stalled' });
    else if (dice < 995) net.step(id, { kind: 'peerUnreachable', peer: this.anyId() });
    else net.step(id, { kind: 'connectionLost', peer: this.anyId() });
    this.checkAll();
  }

  /** A calm moment: everybody runs, writes and hears some of what is on its way. */
  private flow(): void {
    for (const member of this.net.members.values()) {
      this.runOne(member);
      this.net.persist(member.id);
      this.runOne(member);
    }
    for (let i = this.random.int(40); i >= 0; i--) this.deliverOne();
  }

  private anyId(): ReturnType<typeof brokerId> {
    return brokerId(this.random.pick([...this.net.members.keys()]));
  }

  private deliverOne(): void {
    const { net, random } = this;
    if (net.inFlight.length === 0) return;
    // Mostly the oldest few, at times any.
    const reach = random.chance(0.9) ? Math.min(4, net.inFlight.length) : net.inFlight.length;
    const [message] = net.inFlight.splice(random.int(reach), 1) as [InFlight];
    if (random.chance(0.05)) net.inFlight.push(message);
    if (random.chance(0.05)) net.lose(message);
    else net.receive(message);
  }

  private runOne(member: Member): void {
    const before = this.net.inFlight.length;
    this.net.run(member.id);
    for (const m of this.net.inFlight.slice(before)) this.checkSent(member, m);
  }

  /** What leaves a replica must be durable there. */
  private checkSent(member: Member, m: InFlight): void {
    if (m.kind === 'snapshot') return;
    const { hardState, last } = member.disk;
    const isClaim = m.kind !== 'preVoteRequest' && m.kind !== 'preVoteResponse';
    if (isClaim) this.must(m.term <= hardState.term, `${m.kind} of a term that is not durable`);
    if (m.kind === 'appendResponse' && m.outcome.ok) {
      this.must(m.outcome.match <= last.index, 'acknowledged what is not durable');
      if (!m.repairing) this.must(!hardState.needsRepair, 'whole before it is durable');
    }
    if (m.kind === 'voteRequest') {
      this.must(m.lastLog.index <= last.index, 'campaigned with what is not durable');
    }
    if (m.kind === 'voteResponse' && m.granted) {
      this.must(hardState.votedFor === m.to, 'a vote left before it was durable');
      this.must(m.damaged === hardState.needsRepair, 'a vote hides damage');
      const key = `${m.from} in ${m.term}`;
      this.must((this.votes.get(key) ?? m.to) === m.to, `two votes of ${key}`);
      this.votes.set(key, m.to);
    }
  }

  private propose(member: Member): void {
    if (!member.isUp) return;
    const count = 1 + this.random.int(3);
    const texts = Array.from({ length: count }, () => `p${this.proposals++}`);
    this.net.propose(member.id, ...texts);
  }

  private crash(member: Member): void {
    const { net, random, options } = this;
    const down = [...net.members.values()].filter((m) => !m.isUp).length;
    if (!member.isUp || (down >= 2 && random.chance(0.8))) return;
    net.crash(member.id);
    if (!random.chance(0.25)) return;
    const isAllowed = options.isBeyondRepair || this.mayDamage(member.id);
    if (isAllowed) member.disk.damage();
  }

  /** Whether every membership anyone may act on keeps a majority of intact voters without this one. */
  private mayDamage(id: number): boolean {
    const members = [...this.net.members.values()];
    const damaged = new Set(members.filter((m) => m.disk.hardState.needsRepair).map((m) => m.id));
    damaged.add(id);
    return members.every((m) => {
      const { membership } = m.node.status();
      return [membership.voters, membership.votersOutgoing].every(
        (voters) =>
          voters.length === 0 ||
          voters.filter((v) => !damaged.has(v)).length >= majorityOf(voters.length),
      );
    });
  }

  private restart(member: Member): void {
    if (!member.isUp) this.net.restart(member.id, this.random.u32());
  }

  private change(member: Member): void {
    const { random } = this;
    if (!member.isUp || member.node.status().role !== 'leader') return;
    const ids = [...this.net.members.keys()].filter(() => random.chance(0.7));
    const learners = ids.filter(() => random.chance(0.2));
    const voters = ids.filter((id) => !learners.includes(id));
    if (voters.length > 0) this.net.change(member.id, voters, learners);
  }

  private transfer(member: Member): void {
    this.net.step(member.id, { kind: 'transferLeadership', to: this.anyId() });
  }

  private truncate(member: Member): void {
    if (!member.isUp) return;
    const { applied } = member.node.status();
    const first = member.disk.snapshot.last.index + 1;
    const last = Math.min(applied, member.disk.last.index);
    if (last < first || member.writes.length > 0 || member.node.hasReady()) return;
    this.net.truncatePrefix(member.id, first + this.random.int(last - first + 1));
    member.node.trimRecent(this.random.int(500));
  }

  private read(member: Member): void {
    if (!member.isUp) return;
    const token = ++this.tokens;
    this.readsExpected.set(token, Math.max(0, ...this.quorumChecked));
    this.net.step(member.id, { kind: 'readBarrier', token });
  }

  private checkAll(): void {
    for (const member of this.net.members.values()) {
      if (!member.isUp) continue;
      const { role, term, commit } = member.node.status();
      if (role === 'leader') {
        this.terms.add(term);
        for (let i = commit; i > 0 && !this.quorumChecked.has(i); i--) this.checkQuorum(member, i);
      }
      for (const barrier of member.barriers.splice(0)) {
        const [token, index] = barrier.split('@').map(Number);
        if (index === undefined) continue;
        this.must(index >= this.readsExpected.get(token!)!, `a stale read at ${barrier}`);
      }
    }
  }

  /** At its first commit, an entry is durable on a quorum of intact replicas (I6). */
  private checkQuorum(leader: Member, index: number): void {
    this.quorumChecked.add(index);
    const entry = leader.node.recent({ first: index as never, next: (index + 1) as never }, 1)?.[0];
    if (entry === undefined || entry.term !== leader.node.status().term) return;
    const { membership, commit } = leader.node.status();
    if (index !== commit) return;
    for (const voters of [membership.voters, membership.votersOutgoing]) {
      const holders = voters.filter((id) => {
        const { disk } = this.net.get(id);
        if (disk.snapshot.last.index >= index) return true;
        // It had acknowledged before its log was damaged; candidates will have to cover that.
        if (disk.hardState.needsRepair && covers(disk.watermark, entry)) return true;
        return disk.entry(index)?.term === entry.term;
      });
      const needed = voters.length === 0 ? 0 : majorityOf(voters.length);
      this.must(holders.length >= needed, `${index} committed on [${holders.join(' ')}] alone`);
    }
  }

  /** Everything heals: a leader is found, everybody catches up, a new proposal is applied. */
  private settle(): void {
    const { net } = this;
    net.heal();
    for (const member of net.members.values()) {
      this.restart(member);
      member.isDiskHeld = false;
      net.persist(member.id);
      // Who watches over those that sleep is the host, which this net has none of.
      if (member.isUp) net.step(member.id, { kind: 'wake' });
    }
    net.tickAll(120);
    const leader = [...net.members.values()].find((m) => m.node.status().role === 'leader');
    this.must(leader !== undefined, 'nobody leads');
    this.must(net.propose(leader!.id, 'last').accepted, 'the leader refuses');
    net.tickAll(20);
    const { membership } = leader!.node.status();
    for (const id of [...votersOf(membership), ...membership.learners]) {
      this.must(net.appliedTexts(id).at(-1) === 'last', `${id} did not catch up`);
      this.must(!net.node(id).status().needsRepair, `${id} was not repaired`);
    }
  }

  private must(holds: boolean, what: string): void {
    if (!holds) throw new Error(`seed ${this.options.seed}: ${what}`);
  }
}
