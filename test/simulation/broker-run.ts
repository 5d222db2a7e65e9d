import type { Prng } from '../../src/base/prng.js';
import type { BrokerServices, ProduceResult } from '../../src/broker/types.js';
import type { ProduceCall } from '../../src/client/connection.js';
import type { RaftGroupId } from '../../src/model/ids.js';
import { checkHistory, HistoryWriter } from '../checker/index.js';
import { BrokerApp } from './broker-app.js';
import { ClientNet } from './client-net.js';
import { SimCluster, type SimBroker } from './cluster.js';
import { CounterClient, CounterHistory } from './counter-load.js';
import { insist, keyParts, SimProducer, SimReader, type LoadContext } from './load.js';
import { Nemesis, type AppFaults } from './nemesis.js';
import { PartitionOracle } from './partition-oracle.js';
import type { RunCounts } from './raft-run.js';
import { OffsetClient, TopicClient, Trimmer } from './side-load.js';
import type { SwarmOptions } from './swarm.js';
import { must, Violation } from './violation.js';
import { ms, seconds, type Scheduler } from './world.js';

const FORMATION = seconds(30);
const LIVENESS = seconds(30);
const TOPIC = 'events';
/** A topic that is trimmed: it has producers, but no history. */
const SHORT_TOPIC = 'short';
/** A topic to which everyone compares and appends. */
const COUNTER_TOPIC = 'counter';

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
  private readonly net: ClientNet;
  private readonly history: HistoryWriter;
  private readonly partitions = new Map<number, PartitionOracle>();
  private readonly keys: string[];
  private producers: SimProducer[] = [];
  private readers: SimReader[] = [];
  private readonly counter = new CounterHistory();
  private counters: CounterClient[] = [];
  private side: { stop(): void }[] = [];
  private offsets: OffsetClient[] = [];
  private nemesis: Nemesis<BrokerApp> | undefined;

  constructor(scheduler: Scheduler, prng: Prng, options: SwarmOptions) {
    this.scheduler = scheduler;
    this.prng = prng.fork();
    this.options = options;
    const oracleOf = (group: number) => this.cluster.oracle(group);
    this.cluster = new SimCluster(
      scheduler,
      prng.fork(),
      options,
      (boot) => new BrokerApp(boot, { swarm: options, oracleOf, scheduler }),
    );
    const delayMax = Math.max(ms(0.5), options.network.delayMax);
    const breakChance = options.faults.has('drop') ? 0.01 : 0;
    this.net = new ClientNet(this.cluster, prng.fork(), { delayMax, breakChance });
    this.net.watcher = (services, call, result) => this.judgeAnswer(services, call, result);
    this.history = new HistoryWriter(
      (line) => this.lines.push(line),
      () => scheduler.now,
    );
    const count = 1 + this.prng.int(3);
    this.keys = Array.from({ length: count }, (_, at) => `${TOPIC}/${at}`);
  }

  async run(): Promise<void> {
    for (const broker of this.cluster.brokers) this.cluster.start(broker.id);
    await this.createTopics();
    this.history.phase('start');
    this.startLoad();
    await this.scheduler.run(this.scheduler.now + ms(500));
    this.history.phase('fault');
    this.nemesis = new Nemesis(this.cluster, this.prng.fork(), this);
    await this.scheduler.run(this.scheduler.now + this.options.safety);
    const core = this.drawCore();
    this.scheduler.say(() => `healing: brokers ${[...core].join(' ')} run from here on`);
    this.nemesis.heal(core);
    this.net.heal();
    this.history.phase('heal');
    await this.mustServe(core);
    await this.drain(core);
  }

  counts(): RunCounts {
    const oracles = [...this.cluster.oracles.values()];
    return {
      leaderChanges: oracles.reduce((sum, oracle) => sum + oracle.leaderChanges, 0),
      requests: this.producers.reduce((sum, producer) => sum + producer.sent, 0),
      acked: this.producers.reduce((sum, producer) => sum + producer.acked, 0),
      committed: oracles.reduce((sum, oracle) => sum + oracle.committedIndex, 0),
      faults: Object.fromEntries(this.nemesis?.counts ?? []),
    };
  }

  transfer(): void {
    const groups = this.cluster.alive().flatMap(({ app }) => [...(app?.groups.values() ?? [])]);
    const led = groups.filter(({ group }) => group.isLeaderReady());
    if (led.length === 0) return;
    const { group } = this.prng.pick(led);
    const voters = group.status()?.membership.voters ?? [];
    if (voters.length === 0) return;
    group.transferLeadership(this.prng.pick(voters), 3_000).catch(() => undefined);
  }

  changeMembership(): void {
    const { brokers } = this.options;
    const ids = Array.from({ length: brokers }, (_, at) => at + 1);
    const replicas = ids.filter(() => this.prng.chance(0.6));
    if (replicas.length === 0) return;
    const request = { ...keyParts(this.prng.pick(this.keys)), replicas: replicas as never[] };
    const options = { deadlineMs: 2_000 };
    this.scheduler.say(
      () => `${request.topic}/${request.partition} moves to ${replicas.join(' ')}`,
    );
    this.net
      .call(1 + this.prng.int(brokers), 2_500, (s) => s.admin.moveReplicas(request, options))
      .catch(() => undefined);
  }

  private judgeAnswer(services: BrokerServices, call: ProduceCall, result: ProduceResult): void {
    const topic = services.view.image().topicsByName.get(call.topic);
    const groupId = topic?.partitions[call.partition]?.groupId;
    if (groupId === undefined || call.acks !== 'quorum') return;
    this.cluster.judge(() => {
      if (result.error === undefined) {
        this.partition(groupId).acknowledged(call.batch, result.baseOffset);
        return;
      }
      const { latestTerm } = this.cluster.oracle(groupId);
      const self = this.cluster.alive().find(({ app }) => app?.services === services);
      const term = self?.app?.groups.get(groupId)?.group.status()?.term;
      const isLatest = term !== undefined && term >= latestTerm;
      if (result.error.code === 'UNKNOWN_PRODUCER' && isLatest) {
        this.partition(groupId).forgets(call.batch);
      }
    });
  }

  private partition(groupId: number): PartitionOracle {
    let known = this.partitions.get(groupId);
    if (known === undefined) {
      known = new PartitionOracle(this.cluster.oracle(groupId));
      this.partitions.set(groupId, known);
    }
    return known;
  }

  private async createTopics(): Promise<void> {
    const { brokers } = this.options;
    const wanted = [
      { topic: TOPIC, partitions: this.keys.length },
      { topic: SHORT_TOPIC, partitions: 1 },
      { topic: COUNTER_TOPIC, partitions: 1 },
    ];
    let isDone = false;
    const create = async (): Promise<void> => {
      for (const { topic, partitions } of wanted) {
        const request = {
          topic,
          partitions,
          replicationFactor: Math.min(brokers, 3),
          config: new Map<string, string>(),
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

  private context(keys: readonly string[], history = this.history): LoadContext {
    const { net, scheduler, options } = this;
    return { net, scheduler, history, brokers: options.brokers, keys };
  }

  private startLoad(): void {
    const { prng, options } = this;
    const period = options.requestPeriod * 2;
    const context = this.context(this.keys);
    this.producers = [1, 2].map(
      (n) =>
        new SimProducer(context, prng.fork(), {
          name: `p${n}`,
          period,
          inFlightMax: prng.pick([1, 5, 20]),
        }),
    );
    this.readers = this.keys.map((key) => this.reader(key));
    const unheard = new HistoryWriter(
      () => undefined,
      () => this.scheduler.now,
    );
    const short = this.context([`${SHORT_TOPIC}/0`], unheard);
    this.producers.push(
      new SimProducer(short, prng.fork(), { name: 's', period: period * 2, inFlightMax: 5 }),
    );
    this.offsets = ['g1', 'g2'].map((g) => new OffsetClient(context, prng.fork(), g, ms(150)));
    this.side = [new TopicClient(context, prng.fork(), ms(400)), ...this.offsets];
    const counted = this.context([`${COUNTER_TOPIC}/0`], unheard);
    this.counters = [1, 2, 3].map(
      () => new CounterClient(counted, prng.fork(), this.counter, period),
    );
    if (options.truncatePeriod !== undefined) {
      this.side.push(new Trimmer(short, prng.fork(), SHORT_TOPIC, options.truncatePeriod));
    }
  }

  private reader(key: string): SimReader {
    return new SimReader(this.context(this.keys), this.prng.fork(), key, {
      period: ms(60),
      watch: (name, { batches, highWatermark }) => {
        const groupId = this.groupOf(name);
        if (groupId === undefined) return;
        this.cluster.judge(() => this.partition(groupId).fetched(batches, highWatermark));
      },
    });
  }

  private groupOf(key: string): RaftGroupId | undefined {
    const { topic, partition } = keyParts(key);
    for (const { disk } of this.cluster.brokers) {
      for (const { spec } of disk.replicas.values()) {
        if (spec.topic === topic && spec.partition === partition) return spec.groupId;
      }
    }
    return undefined;
  }

  /** A random quorum, or everyone where a quorum is not a matter of counting. */
  private drawCore(): Set<number> {
    const { faults, brokers } = this.options;
    const ids = this.cluster.brokers.map((broker) => broker.id);
    // With five brokers a partition has three replicas: any three brokers may miss two of them.
    if (faults.has('membership') || faults.has('damage') || brokers !== 3) return new Set(ids);
    const core = new Set(ids);
    if (this.prng.chance(0.5)) core.delete(this.prng.pick(ids));
    return core;
  }

  /** Every partition acknowledges something sent from now on, within its time. */
  private async mustServe(core: ReadonlySet<number>): Promise<void> {
    const healedAt = this.scheduler.now;
    const isServed = (key: string): boolean =>
      this.producers.some((producer) => (producer.ackedFrom.get(key) ?? -1) >= healedAt);
    const pending = new Set(this.keys);
    const isDone = await this.scheduler.run(this.scheduler.now + LIVENESS, () => {
      for (const key of pending) if (isServed(key)) pending.delete(key);
      return pending.size === 0;
    });
    if (!isDone) throw new Violation('P6', 'a healed quorum does not serve', this.stuck(core));
  }

  private watermarkOf(key: string): number {
    const groupId = this.groupOf(key);
    return groupId === undefined ? 0 : this.partition(groupId).highWatermark;
  }

  /** Load ends, everything is read back from the beginning, replicas agree; then the verdict. */
  private async drain(core: ReadonlySet<number>): Promise<void> {
    const { scheduler } = this;
    const writers = [...this.producers, ...this.counters];
    for (const one of [...writers, ...this.side]) one.stop();
    const settled = await scheduler.run(scheduler.now + seconds(30), () =>
      writers.every((writer) => writer.pending === 0),
    );
    must(settled, 'P6', 'a producer waits for ever');
    await scheduler.run(scheduler.now + ms(200));
    for (const reader of this.readers) reader.stop();
    await scheduler.run(scheduler.now + seconds(4));
    this.history.phase('drain');
    const final = this.keys.map((key) => this.reader(key));
    const isRead = await scheduler.run(scheduler.now + LIVENESS, () =>
      this.keys.every((key, at) => (final[at]?.position ?? 0) >= this.watermarkOf(key)),
    );
    must(isRead, 'P6', 'the final readers do not reach the end', this.stuck(core));
    const isEven = await scheduler.run(scheduler.now + LIVENESS, () => this.isEven(core));
    must(isEven, 'P6', 'the replicas do not converge', this.stuck(core));
    for (const reader of final) reader.stop();
    await scheduler.run(scheduler.now + seconds(4));
    this.history.phase('end');
    for (const client of this.offsets) client.check();
    const counted = this.watermarkOf(`${COUNTER_TOPIC}/0`);
    this.counter.end(scheduler.now, scheduler.now + 1, counted);
    this.counter.check();
    const verdict = checkHistory(this.lines, { okSendsPerSecondMin: 0 });
    must(verdict.verdict === 'PASS', 'history', verdict.reason ?? 'a promise was broken', {
      violations: verdict.violations,
    });
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
      watermarks: this.keys.map((key) => [key, this.groupOf(key), this.watermarkOf(key)]),
    };
  }
}
