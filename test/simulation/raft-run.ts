import type { Prng } from '../../src/base/prng.js';
import { FSYNC, type Durability } from '../../src/model/durability.js';
import { brokerId, raftGroupId, type RaftGroupId, type TopicId } from '../../src/model/ids.js';
import { BrokerError } from '../../src/model/errors.js';
import { membershipOf, NO_MEMBERS, type Membership } from '../../src/model/membership.js';
import type { RaftGroup } from '../../src/host/raft-group.js';
import type { ReplicaSpec } from '../../src/ports/log-store.js';
import { SimCluster } from './cluster.js';
import type { FaultList } from './fault-list.js';
import { Nemesis, type AppFaults } from './nemesis.js';
import { RaftApp, type Replica } from './raft-app.js';
import { SleepWatch } from './sleep-watch.js';
import type { SwarmOptions } from './swarm.js';
import { must, Violation } from './violation.js';
import { ms, seconds, type Scheduler } from './world.js';

/** How long a healed quorum may take to serve everything. */
const LIVENESS = seconds(30);
/** Between one look and the next whether learners have been filled up, and how often. */
const FILLING = ms(200);
const FILLINGS_MAX = 5;

/** What a run did, for the report. */
export interface RunCounts {
  readonly leaderChanges: number;
  readonly requests: number;
  readonly acked: number;
  readonly committed: number;
  readonly faults: Readonly<Record<string, number>>;
}

/**
 * Several Raft groups on three or five brokers: the production core in the production host, under
 * clients that propose and read, and a nemesis. First everything may break and nothing may go wrong;
 * then a quorum heals, and everything must work again.
 */
export class RaftRun implements AppFaults {
  readonly cluster: SimCluster<RaftApp>;
  private readonly scheduler: Scheduler;
  private readonly prng: Prng;
  private readonly options: SwarmOptions;
  private readonly specs: ReplicaSpec[];
  private readonly nemesis: Nemesis<RaftApp>;
  private readonly sleepWatch: SleepWatch;
  private requests = 0;
  private acked = 0;
  private isLoadOn = true;
  /** Highest acknowledged index by group and its losses until then: what a later read must see. */
  private readonly ackedIndex = new Map<string, number>();
  /** What differs from fsync. */
  private readonly durabilities = new Map<number, Durability>();

  constructor(scheduler: Scheduler, prng: Prng, options: SwarmOptions, faults: FaultList) {
    this.scheduler = scheduler;
    this.prng = prng.fork();
    this.options = options;
    this.specs = Array.from({ length: options.groups }, (_, at) => this.makeSpec(at + 1));
    this.cluster = new SimCluster(scheduler, prng.fork(), options, (boot) => {
      const local = this.specs.map((spec) => this.specAt(spec, boot.process.brokerId));
      const oracleOf = (group: number) => this.cluster.oracle(group);
      const durabilityOf = (group: number): Durability => this.durabilities.get(group) ?? FSYNC;
      return new RaftApp(boot, { swarm: options, specs: local, oracleOf, scheduler, durabilityOf });
    });
    this.nemesis = new Nemesis(this.cluster, prng.fork(), this, faults);
    this.sleepWatch = new SleepWatch(this.cluster);
  }

  async run(): Promise<void> {
    for (const broker of this.cluster.brokers) this.cluster.start(broker.id);
    this.load();
    this.truncations();
    if (this.options.quiesceAfterTicks > 0) this.watchSleep();
    if (this.options.lazySync) this.switchDurability();
    await this.scheduler.run(this.options.safety);
    this.isLoadOn = false;
    const core = this.drawCore();
    this.scheduler.say(() => `healing: brokers ${[...core].join(' ')} run from here on`);
    this.scheduler.chronicle?.note({ lane: 'run', kind: 'phase', text: 'all is healed' });
    this.nemesis.heal(core);
    await this.mustServe(core);
  }

  counts(): RunCounts {
    const oracles = [...this.cluster.oracles.values()];
    return {
      leaderChanges: oracles.reduce((sum, oracle) => sum + oracle.leaderChanges, 0),
      requests: this.requests,
      acked: this.acked,
      committed: oracles.reduce((sum, oracle) => sum + oracle.committedIndex, 0),
      faults: Object.fromEntries([...this.nemesis.counts, ...this.scheduler.mishaps]),
    };
  }

  transfer(prng: Prng): void {
    const leader = this.pickLeader(prng.pick(this.specs).groupId);
    const { group } = leader ?? {};
    const voters = group?.status()?.membership.voters ?? [];
    if (group === undefined || voters.length === 0) return;
    group.transferLeadership(prng.pick(voters), 3_000).catch(() => undefined);
  }

  /** Asks whoever believes to lead, ready or not, and often again before the first change is done. */
  changeMembership(prng: Prng): void {
    const { groupId } = prng.pick(this.specs);
    const leaders = this.cluster.alive().flatMap(({ app }) => {
      const group = app?.replicas.get(groupId)?.group;
      return group?.status()?.role === 'leader' ? [group] : [];
    });
    if (leaders.length === 0) return;
    this.requestChange(groupId, prng.pick(leaders), prng);
    if (!prng.chance(0.4)) return;
    const wait = prng.int(ms(20));
    this.scheduler.schedule(wait, undefined, () => this.changeMembership(prng));
  }

  private requestChange(groupId: RaftGroupId, group: RaftGroup, prng: Prng): void {
    const ids = this.cluster.brokers.map((broker) => broker.id);
    const voters = ids.filter(() => prng.chance(0.6));
    if (voters.length === 0) voters.push(prng.pick(ids));
    const learners = ids.filter((id) => !voters.includes(id) && prng.chance(0.3));
    this.scheduler.say(() => `g${groupId} is to have voters ${voters.join(' ')}`);
    this.change(group, membershipOf(voters, learners), FILLINGS_MAX);
  }

  /** Who is to be a voter and is not filled up yet becomes a learner, and it is asked for again. */
  private change(group: RaftGroup, target: Membership, tries: number): void {
    group.changeMembership(target, 5_000).catch((thrown: unknown) => {
      const voters = group.status()?.membership.voters ?? [];
      const newcomers = target.voters.filter((id) => !voters.includes(id));
      if (BrokerError.from(thrown).code !== 'THROTTLED' || newcomers.length === 0 || tries === 0)
        return;
      const learners = [...newcomers, ...target.learners.filter((id) => !voters.includes(id))];
      group.changeMembership({ voters, learners }, 5_000).catch(() => undefined);
      this.scheduler.schedule(FILLING, undefined, () => this.change(group, target, tries - 1));
    });
  }

  private makeSpec(group: number): ReplicaSpec {
    const ids = Array.from({ length: this.options.brokers }, (_, at) => at + 1);
    // Five brokers: some groups have three voters, and two brokers that only wait to be asked.
    const isSmall = ids.length === 5 && this.options.faults.has('membership');
    const voters = isSmall ? ids.filter((id) => (id + group) % 5 < 3) : ids;
    return {
      groupId: raftGroupId(group),
      topicId: group.toString(16).padStart(32, '0') as TopicId,
      topic: `topic-${group}`,
      partition: 0,
      bootstrap: membershipOf(voters),
    };
  }

  private specAt(spec: ReplicaSpec, broker: number): ReplicaSpec {
    const isFounder = spec.bootstrap.voters.includes(brokerId(broker));
    return isFounder ? spec : { ...spec, bootstrap: NO_MEMBERS };
  }

  private replica(broker: number, group: RaftGroupId): Replica | undefined {
    return this.cluster.broker(broker).app?.replicas.get(group);
  }

  private pickLeader(group: RaftGroupId): Replica | undefined {
    const leaders = this.cluster
      .alive()
      .flatMap(({ app }) => app?.replicas.get(group) ?? [])
      .filter((replica) => replica.group?.isLeaderReady() === true);
    return leaders.length === 0 ? undefined : this.prng.pick(leaders);
  }

  private load(): void {
    this.scheduler.schedule(this.prng.int(2 * this.options.requestPeriod) + 1, undefined, () => {
      if (!this.isLoadOn) return;
      const { groupId } = this.prng.pick(this.specs);
      const replica = this.pickLeader(groupId);
      if (replica !== undefined) {
        if (this.prng.chance(0.1)) this.read(groupId, replica);
        else this.propose(groupId, replica);
      }
      this.load();
    });
  }

  /** One proposal; I7: what is acknowledged is committed. */
  private propose(groupId: RaftGroupId, replica: Replica, acked = (): void => undefined): void {
    const payload = new Uint8Array(8 + this.prng.int(120));
    new DataView(payload.buffer).setUint32(0, (this.requests += 1));
    const outcome = replica.group?.propose(
      { kind: 'command', payload },
      {
        committed: (_result, id) => {
          this.acked += 1;
          // A loss takes back what was acknowledged before it.
          const { losses } = this.cluster.oracle(groupId);
          const key = `${groupId} ${losses.length}`;
          this.ackedIndex.set(key, Math.max(id.index, this.ackedIndex.get(key) ?? 0));
          this.cluster.judge(() => this.cluster.oracle(groupId).acknowledges(id));
          acked();
        },
        failed: () => undefined,
      },
    );
    this.scheduler.hash.add(outcome?.accepted === true ? outcome.id.index : 0);
  }

  /** I18: a read behind a barrier sees everything acknowledged before it was asked for. */
  private read(groupId: RaftGroupId, replica: Replica): void {
    const { losses } = this.cluster.oracle(groupId);
    const count = losses.length;
    const floor = this.ackedIndex.get(`${groupId} ${count}`) ?? 0;
    replica.group?.readBarrier(2_000).then(
      () => {
        const { applied } = replica.watched;
        if (losses.length > count) return;
        this.cluster.judge(() =>
          must(applied >= floor, 'I18', 'a linearizable read is stale', {
            group: groupId,
            applied,
            floor,
          }),
        );
      },
      () => undefined,
    );
  }

  /** Online, on whatever runs; half of the groups, and each of them back and forth. */
  private switchDurability(): void {
    const lazy = this.specs.filter(({ groupId }) => groupId % 2 === 1);
    const { groupId } = this.prng.pick(lazy);
    const isLazy = this.prng.chance(0.75);
    const flushMs = this.prng.pick([20, 200, 1_000]);
    const durability: Durability = isLazy
      ? { kind: 'unsafe-quorum-memory', flushMs, flushBytes: 1_000_000 }
      : FSYNC;
    this.durabilities.set(groupId, durability);
    for (const { id } of this.cluster.alive()) {
      this.replica(id, groupId)?.group?.setDurability(durability);
    }
    this.scheduler.say(() => `g${groupId} is to sync ${isLazy ? 'later' : 'at once'}`);
    this.scheduler.schedule(this.prng.int(seconds(2)) + 1, undefined, () => {
      if (this.isLoadOn) this.switchDurability();
    });
  }

  private watchSleep(): void {
    this.scheduler.schedule(ms(this.options.tickMs), undefined, () => {
      this.cluster.judge(() => this.sleepWatch.look());
      this.watchSleep();
    });
  }

  private truncations(): void {
    const { truncatePeriod } = this.options;
    if (truncatePeriod === undefined) return;
    this.scheduler.schedule(this.prng.int(2 * truncatePeriod) + 1, undefined, () => {
      const alive = this.cluster.alive();
      if (alive.length > 0) {
        const { groupId } = this.prng.pick(this.specs);
        void this.prng.pick(alive).app?.truncate(groupId, this.prng.int(10));
      }
      this.truncations();
    });
  }

  /** A random quorum, or everyone where a quorum is not a matter of counting. */
  private drawCore(): Set<number> {
    const ids = this.cluster.brokers.map((broker) => broker.id);
    const { faults } = this.options;
    const needsAll = faults.has('membership') || faults.has('damage') || this.options.lazySync;
    if (needsAll) return new Set(ids);
    const quorum = (ids.length >> 1) + 1;
    const core = new Set<number>();
    const size = quorum + this.prng.int(ids.length - quorum + 1);
    while (core.size < size) core.add(this.prng.pick(ids));
    return core;
  }

  private async mustServe(core: ReadonlySet<number>): Promise<void> {
    const until = this.scheduler.now + LIVENESS;
    const served = new Set<number>();
    const probe = (): void => {
      for (const { groupId } of this.specs) {
        const replica = this.pickLeader(groupId);
        if (replica === undefined || served.has(groupId)) continue;
        this.propose(groupId, replica, () => void served.add(groupId));
      }
      this.scheduler.schedule(ms(300), undefined, probe);
    };
    probe();
    const isDone = await this.scheduler.run(
      until,
      () => served.size === this.specs.length && this.specs.every((s) => this.isEven(s, core)),
    );
    if (!isDone) throw new Violation('P6', 'a healed quorum does not serve', this.stuck(core));
    for (const { groupId } of this.specs) {
      for (const id of core) this.replica(id, groupId)?.watched.encode();
    }
  }

  /** Everyone who takes part in the group has applied everything, whole. */
  private isEven({ groupId }: ReplicaSpec, core: ReadonlySet<number>): boolean {
    const { committedIndex } = this.cluster.oracle(groupId);
    const leader = this.pickLeader(groupId)?.group?.status();
    if (leader === undefined) return false;
    const { voters, votersOutgoing } = leader.membership;
    if (votersOutgoing.length > 0) return false;
    return voters
      .filter((id) => core.has(id))
      .every((id) => {
        const replica = this.replica(id, groupId);
        const status = replica?.group?.status();
        return replica?.watched.applied === committedIndex && status?.needsRepair === false;
      });
  }

  private stuck(core: ReadonlySet<number>): Record<string, unknown> {
    const groups = this.specs.filter((spec) => !this.isEven(spec, core));
    return {
      core: [...core],
      groups: groups.map(({ groupId }) => ({
        groupId,
        committed: this.cluster.oracle(groupId).committedIndex,
        replicas: [...core].map((id) => {
          const replica = this.replica(id, groupId);
          const s = replica?.group?.status();
          if (s === undefined) return `${id} is not open`;
          const role = `${id} ${s.role} t${s.term} vote=${s.votedFor ?? '-'} repair=${s.needsRepair}`;
          const indexes = `last=${s.last.index} commit=${s.commit} applied=${s.applied}`;
          return `${role} ${indexes} voters=${s.membership.voters.join(',')}`;
        }),
      })),
    };
  }
}
