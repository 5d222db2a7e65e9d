import type { Prng } from '../../src/base/prng.js';
import { checkHistory, HistoryWriter } from '../checker/index.js';
import { BrokerApp } from './broker-app.js';
import { BrokerLoad } from './broker-load.js';
import { BrokerOracles } from './broker-oracles.js';
import { ClientNet } from './client-net.js';
import { SimCluster, type SimBroker } from './cluster.js';
import type { FaultList } from './fault-list.js';
import { insist, keyParts } from './load.js';
import { Nemesis, type AppFaults } from './nemesis.js';
import type { RunCounts } from './raft-run.js';
import type { SwarmOptions } from './swarm.js';
import { must, Violation } from './violation.js';
import { ms, seconds, type Scheduler } from './world.js';

const FORMATION = seconds(30);
const LIVENESS = seconds(30);
/** How often it is looked whether the end is reached, where looking costs more than an event. */
const LOOK_EVERY = ms(25);

/**
 * Whole brokers: formation, metadata group, controller, reconciler, partitions, produce and fetch,
 * all of it production code, under the production client's producers, readers and a nemesis. What the
 * clients saw is judged by the same checker as real runs.
 */
export class BrokerRun implements AppFaults {
  readonly cluster: SimCluster<BrokerApp>;
  /** The history so far, line by line. */
  readonly lines: string[] = [];
  private readonly scheduler: Scheduler;
  private readonly prng: Prng;
  private readonly options: SwarmOptions;
  private readonly faults: FaultList;
  private readonly net: ClientNet;
  private readonly history: HistoryWriter;
  private readonly oracles: BrokerOracles;
  private readonly load: BrokerLoad;
  private nemesis: Nemesis<BrokerApp> | undefined;

  constructor(scheduler: Scheduler, prng: Prng, options: SwarmOptions, faults: FaultList) {
    this.scheduler = scheduler;
    this.prng = prng.fork();
    this.options = options;
    this.faults = faults;
    const oracleOf = (group: number) => this.cluster.oracle(group);
    this.cluster = new SimCluster(
      scheduler,
      prng.fork(),
      options,
      (boot) =>
        new BrokerApp(boot, {
          ...{ swarm: options, oracleOf, scheduler },
          applied: (...what) => this.oracles.applied(...what),
        }),
    );
    this.oracles = new BrokerOracles(this.cluster, (memberId) => {
      const member = this.load.members?.member(memberId);
      return member?.isOver === false ? new Set(member.holding()) : undefined;
    });
    const delayMax = Math.max(ms(0.5), options.network.delayMax);
    const breakChance = options.faults.has('drop') ? 0.01 : 0;
    const straggleChance = options.faults.has('reorder') ? 0.02 : 0;
    const chances = { breakChance, straggleChance };
    this.net = new ClientNet(this.cluster, prng.fork(), { delayMax, ...chances });
    this.net.watcher = this.oracles;
    this.history = new HistoryWriter(
      (line) => this.lines.push(line),
      () => scheduler.now,
    );
    const { net, history, oracles } = this;
    this.load = new BrokerLoad(prng.fork(), { net, scheduler, history, oracles, options, faults });
  }

  async run(): Promise<void> {
    for (const broker of this.cluster.brokers) this.cluster.start(broker.id);
    await this.createTopics();
    this.history.phase('start');
    this.load.start();
    await this.scheduler.run(this.scheduler.now + ms(500));
    this.history.phase('fault');
    this.nemesis = new Nemesis(this.cluster, this.prng.fork(), this, this.faults);
    await this.scheduler.run(this.scheduler.now + this.options.safety);
    const core = this.drawCore();
    this.scheduler.say(() => `healing: brokers ${[...core].join(' ')} run from here on`);
    this.scheduler.chronicle?.note({ lane: 'run', kind: 'phase', text: 'all is healed' });
    this.nemesis.heal(core);
    this.net.heal();
    this.load.settle();
    this.history.phase('heal');
    await this.mustServe(core);
    await this.drain(core);
  }

  counts(): RunCounts {
    const oracles = [...this.cluster.oracles.values()];
    return {
      leaderChanges: oracles.reduce((sum, oracle) => sum + oracle.leaderChanges, 0),
      requests: this.load.requests,
      acked: this.load.acked,
      committed: oracles.reduce((sum, oracle) => sum + oracle.committedIndex, 0),
      faults: {
        ...Object.fromEntries([...(this.nemesis?.counts ?? []), ...this.scheduler.mishaps]),
        ...this.load.faults,
      },
    };
  }

  transfer(prng: Prng): void {
    const groups = this.cluster.alive().flatMap(({ app }) => [...(app?.groups.values() ?? [])]);
    const led = groups.filter(({ group }) => group.isLeaderReady());
    if (led.length === 0) return;
    const { group } = prng.pick(led);
    const voters = group.status()?.membership.voters ?? [];
    if (voters.length === 0) return;
    group.transferLeadership(prng.pick(voters), 3_000).catch(() => undefined);
  }

  changeMembership(prng: Prng): void {
    const { brokers } = this.options;
    const ids = Array.from({ length: brokers }, (_, at) => at + 1);
    const replicas = ids.filter(() => prng.chance(0.6));
    if (replicas.length === 0) return;
    const request = { ...keyParts(prng.pick(this.load.keys)), replicas: replicas as never[] };
    const options = { deadlineMs: 2_000 };
    this.scheduler.say(
      () => `${request.topic}/${request.partition} moves to ${replicas.join(' ')}`,
    );
    this.net
      .call(1 + prng.int(brokers), 2_500, (s) => s.admin.moveReplicas(request, options))
      .catch(() => undefined);
  }

  private async createTopics(): Promise<void> {
    const { brokers } = this.options;
    let isDone = false;
    const create = async (): Promise<void> => {
      for (const { topic, partitions, config } of this.load.topics) {
        const request = {
          topic,
          partitions,
          replicationFactor: Math.min(brokers, 3),
          config,
          noWait: false,
          timeoutMs: undefined,
        };
        await insist(
          this.scheduler,
          () =>
            this.net.call(1 + this.prng.int(brokers), 5_500, (s) =>
              s.admin.createTopic(request, { deadlineMs: 5_000 }),
            ),
          (error) => error.code === 'TOPIC_EXISTS',
        );
      }
      isDone = true;
    };
    create().catch((error: unknown) => this.scheduler.fail(error));
    const inTime = await this.scheduler.run(FORMATION, () => isDone);
    must(inTime, 'P6', 'a new cluster does not form', { brokers });
  }

  /** A random quorum, or everyone where a quorum is not a matter of counting. */
  private drawCore(): Set<number> {
    const { faults, brokers } = this.options;
    const ids = this.cluster.brokers.map((broker) => broker.id);
    // With five brokers a partition has three replicas: any three brokers may miss two of them.
    const needsAll = faults.has('membership') || faults.has('damage') || this.options.lazySync;
    if (needsAll || brokers !== 3) return new Set(ids);
    const core = new Set(ids);
    if (this.prng.chance(0.5)) core.delete(this.prng.pick(ids));
    return core;
  }

  /** Every partition acknowledges something sent from now on, within its time. */
  private async mustServe(core: ReadonlySet<number>): Promise<void> {
    const healedAt = this.scheduler.now;
    const isDone = await this.scheduler.run(healedAt + LIVENESS, () => {
      return this.load.unserved(healedAt).length === 0;
    });
    if (!isDone) throw new Violation('P6', 'a healed quorum does not serve', this.stuck(core));
  }

  /** Load ends, everything is read back from the beginning, replicas agree; then the verdict. */
  private async drain(core: ReadonlySet<number>): Promise<void> {
    const { scheduler, load } = this;
    load.stopWriting();
    const settled = await scheduler.run(scheduler.now + seconds(30), () => !load.isWriting);
    must(settled, 'P6', 'a producer waits for ever');
    await scheduler.run(scheduler.now + ms(200));
    load.stopReading();
    await this.answersToCome();
    this.history.phase('drain');
    load.readAll();
    const isFinished = (): boolean => load.unfinished().length === 0;
    const isRead = await scheduler.run(scheduler.now + LIVENESS, isFinished, LOOK_EVERY);
    must(isRead, 'P6', 'not everything is read to its end', {
      ...this.stuck(core),
      unfinished: load.unfinished(),
    });
    const isEven = await scheduler.run(
      scheduler.now + LIVENESS,
      () => this.isEven(core),
      LOOK_EVERY,
    );
    must(isEven, 'P6', 'the replicas do not converge', this.stuck(core));
    load.stopReading();
    load.stopTrimmed();
    load.members?.closeAll();
    await this.answersToCome();
    const haveLeft = (): boolean => load.stillThere().length === 0;
    const isLeft = await scheduler.run(scheduler.now + LIVENESS, haveLeft, LOOK_EVERY);
    must(isLeft, 'P6', 'a member never leaves', {
      ...this.stuck(core),
      members: load.stillThere(),
    });
    this.history.phase('end');
    load.check();
    const verdict = checkHistory(this.lines, { okSendsPerSecondMin: 0 });
    must(verdict.verdict === 'PASS', 'history', verdict.reason ?? 'a promise was broken', {
      violations: verdict.violations,
    });
  }

  /** Nobody who asked something before is still waiting; who never hears of it gives up within this. */
  private async answersToCome(): Promise<void> {
    const { scheduler, net } = this;
    await scheduler.run(scheduler.now + seconds(4), () => net.isQuiet, ms(100));
  }

  /** Every open replica in the core has applied all that is committed, and their states are equal. */
  private isEven(core: ReadonlySet<number>): boolean {
    const brokers = this.cluster.alive().filter((broker) => core.has(broker.id));
    return brokers.every((broker) => this.uneven(broker).length === 0);
  }

  private uneven({ app }: SimBroker<BrokerApp>): string[] {
    if (app?.services?.health().ready !== true) return ['is not ready'];
    const out: string[] = [];
    for (const [groupId, { group, machine }] of app.groups) {
      const status = group.status();
      const { committedIndex } = this.cluster.oracle(groupId);
      if (machine.applied === committedIndex && status?.needsRepair === false) {
        machine.encode();
        continue;
      }
      const s = status;
      const role = s === undefined ? 'closed' : `${s.role} t${s.term} repair=${s.needsRepair}`;
      const voters = s?.membership.voters.join(',') ?? '';
      out.push(`g${groupId} ${role} applied=${machine.applied}/${committedIndex} of ${voters}`);
    }
    return out;
  }

  private stuck(core: ReadonlySet<number>): Record<string, unknown> {
    return {
      core: [...core],
      brokers: this.cluster.alive().map((broker) => ({
        id: broker.id,
        health: broker.app?.services?.health().reason ?? 'no services',
        behind: this.uneven(broker),
      })),
      watermarks: this.load.keys.map((key) => [
        key,
        this.oracles.groupOf(key),
        this.oracles.highWatermarkOf(key),
      ]),
    };
  }
}
