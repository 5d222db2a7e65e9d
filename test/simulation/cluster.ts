import { invariant } from '../../src/base/assert.js';
import type { Prng } from '../../src/base/prng.js';
import { brokerId, raftGroupId } from '../../src/model/ids.js';
import type { BrokerStore } from '../../src/ports/log-store.js';
import type { Telemetry } from '../../src/ports/telemetry.js';
import type { SnapshotMeta } from '../../src/raft/io.js';
import { createRaftNode } from '../../src/raft/raft-core.js';
import type { CreateRaftNode } from '../../src/raft/raft-node.js';
import { crc32c } from '../../src/base/crc32c.js';
import type { CrashKind } from './disk-replica.js';
import { SimDisk } from './disk.js';
import { GroupOracle } from './group-oracle.js';
import { SimNetwork, type SimEndpoint } from './network.js';
import type { SwarmOptions } from './swarm.js';
import { simTelemetry } from './telemetry.js';
import { WatchedNode } from './watched-node.js';
import { ms, SimProcess, type Scheduler } from './world.js';

/** What one life of a broker is given: the world, through ports, and a core under watch. */
export interface Boot {
  readonly process: SimProcess;
  readonly store: BrokerStore;
  readonly endpoint: SimEndpoint;
  readonly createNode: CreateRaftNode;
  readonly telemetry: Telemetry;
}

/** What runs in a broker's process. */
export interface App {
  stop(): Promise<void>;
}

/** One broker through all its lives. */
export interface SimBroker<A extends App> {
  readonly id: number;
  readonly disk: SimDisk;
  life: number;
  process: SimProcess | undefined;
  app: A | undefined;
  /** Being stopped in an orderly way: not to be killed or restarted until that is over. */
  isStopping: boolean;
}

/**
 * Brokers, their disks, the network between them, and the oracle above. Starts and ends lives; what
 * a life runs is the caller's choice, production code in any case.
 */
export class SimCluster<A extends App> {
  readonly brokers: SimBroker<A>[];
  readonly network: SimNetwork;
  readonly oracles = new Map<number, GroupOracle>();
  readonly scheduler: Scheduler;
  readonly options: SwarmOptions;
  /** Sees every replica whose data is about to go. */
  deletionWatcher: ((broker: number, group: number) => void) | undefined;
  private readonly prng: Prng;
  private readonly boot: (boot: Boot) => A;
  /** Which replica a snapshot meta was handed out for: how a new core is recognised. */
  private readonly opened = new WeakMap<SnapshotMeta, number>();
  /** Who wants to hear of a process's end: what was connected to it. */
  private readonly mourners = new Map<SimProcess, (() => void)[]>();
  /** Living cores by broker and group. */
  private readonly nodes = new Map<string, WatchedNode>();

  constructor(scheduler: Scheduler, prng: Prng, options: SwarmOptions, boot: (boot: Boot) => A) {
    this.scheduler = scheduler;
    this.options = options;
    this.prng = prng;
    this.boot = boot;
    this.network = new SimNetwork(scheduler, prng.fork(), options.network);
    this.network.watcher = (from, _to, { group, message }) => {
      const node = this.nodes.get(`${from} ${group}`);
      const speaker = node?.speaker ?? { term: 0, isCandidate: false };
      this.judge(() => this.oracle(group).sends(message, node?.log, speaker));
    };
    this.brokers = Array.from({ length: options.brokers }, (_, at) => this.makeBroker(at + 1));
  }

  broker(id: number): SimBroker<A> {
    const broker = this.brokers[id - 1];
    invariant(broker !== undefined, 'the broker exists', { id });
    return broker;
  }

  alive(): SimBroker<A>[] {
    return this.brokers.filter((broker) => broker.process !== undefined);
  }

  oracle(group: number): GroupOracle {
    let oracle = this.oracles.get(group);
    if (oracle === undefined) {
      const groupId = raftGroupId(group);
      oracle = new GroupOracle(group, (id) => {
        const { replicas, deleted } = this.broker(id).disk;
        return replicas.get(groupId) ?? deleted.get(groupId);
      });
      this.oracles.set(group, oracle);
    }
    return oracle;
  }

  node(broker: number, group: number): WatchedNode | undefined {
    return this.nodes.get(`${broker} ${group}`);
  }

  start(id: number): void {
    const broker = this.broker(id);
    if (broker.process !== undefined) return;
    broker.life += 1;
    this.scheduler.say(() => `b${id} starts, life ${broker.life}`);
    this.scheduler.chronicle?.note({
      ...{ lane: `b${id}`, kind: 'up', broker: id },
      text: `life ${broker.life}`,
    });
    const rate = this.options.clockDrift ? 0.95 + this.prng.float() * 0.1 : 1;
    const wallBaseMs = 1_700_000_000_000 + this.prng.int(5_000);
    const timing = { rate, wallBaseMs };
    const process = new SimProcess(id, broker.life, this.scheduler, timing, this.prng.fork());
    broker.process = process;
    const endpoint = this.network.attach(process);
    broker.app = this.boot({
      process,
      store: broker.disk.open(process),
      endpoint,
      createNode: this.watchedNodes(id),
      telemetry: simTelemetry(id, this.scheduler),
    });
  }

  kill(id: number, kind: CrashKind): void {
    const broker = this.broker(id);
    const { process } = broker;
    if (process === undefined) return;
    this.scheduler.say(() => `b${id} is killed (${kind})`);
    broker.disk.crash(kind);
    this.end(broker, process);
  }

  /** SIGTERM: the app stops in an orderly way, then the process ends. */
  stop(id: number): void {
    const broker = this.broker(id);
    const { process, app } = broker;
    if (process === undefined || app === undefined || broker.isStopping) return;
    this.scheduler.say(() => `b${id} is stopped`);
    broker.isStopping = true;
    app.stop().then(
      () => {
        if (broker.process !== process) return;
        broker.disk.crash('process');
        this.end(broker, process);
      },
      (error: unknown) => this.scheduler.fail(error),
    );
  }

  /** Whether more damage to the group leaves an intact majority that can still be told apart. */
  mayDamage(id: number, group: number): boolean {
    const replicas = this.brokers.flatMap((b) => b.disk.replicas.get(raftGroupId(group)) ?? []);
    const voters = Math.max(...replicas.map((r) => r.spec.bootstrap.voters.length), 0);
    const damaged = replicas.filter((r) => r.isDamaged || r.hardState.needsRepair).length;
    const mine = replicas.find((r) => r.broker === id);
    if (mine === undefined || mine.open !== undefined || mine.hardState.term === 0) return false;
    return mine.isDamaged || mine.hardState.needsRepair || 2 * (damaged + 1) < voters;
  }

  whenGone(process: SimProcess, run: () => void): void {
    const all = this.mourners.get(process) ?? [];
    this.mourners.set(process, all);
    all.push(run);
  }

  judge(check: () => void): void {
    try {
      check();
    } catch (error) {
      this.scheduler.fail(error);
    }
  }

  private makeBroker(id: number): SimBroker<A> {
    const disk = new SimDisk(id, this.scheduler, this.prng.fork(), this.options.disk);
    disk.watcher = {
      truncating: (broker, group, meta, state) =>
        this.judge(() => {
          const oracle = this.oracle(group);
          oracle.snapshots(broker, meta);
          oracle.stateAt('snapshot', meta.last.index, crc32c(state), broker);
        }),
      deleting: (broker, group) => this.judge(() => this.deletionWatcher?.(broker, group)),
    };
    disk.openWatcher = (_broker, group, loaded) =>
      void this.opened.set(loaded.raft.snapshot, group);
    return { id, disk, life: 0, process: undefined, app: undefined, isStopping: false };
  }

  private end(broker: SimBroker<A>, process: SimProcess): void {
    const lane = `b${broker.id}`;
    this.scheduler.chronicle?.note({ lane, kind: 'down', text: `the end of life ${broker.life}` });
    process.kill();
    this.network.detach(process);
    for (const run of this.mourners.get(process) ?? []) run();
    this.mourners.delete(process);
    broker.process = undefined;
    broker.app = undefined;
    broker.isStopping = false;
    for (const name of this.nodes.keys()) {
      if (name.startsWith(`${broker.id} `)) this.nodes.delete(name);
    }
  }

  private watchedNodes(id: number): CreateRaftNode {
    return (init, config) => {
      const group = this.opened.get(init.snapshot);
      invariant(group !== undefined, 'a core starts from what its store handed out');
      const oracle = this.oracle(group);
      const disk = this.broker(id).disk.replicas.get(raftGroupId(group));
      invariant(disk !== undefined, 'a core has a disk', { id, group });
      const inner = createRaftNode(init, config);
      const log = disk.log.copy();
      const { membership } = init.snapshot;
      const node = new WatchedNode(inner, brokerId(id), oracle, log, this.scheduler, membership);
      this.nodes.set(`${id} ${group}`, node);
      return node;
    };
  }

  /** Time for a hint or a message to arrive: what a decision from outside waits for. */
  soon(run: () => void): void {
    this.scheduler.schedule(ms(1) + this.prng.int(2_000), undefined, run);
  }
}
