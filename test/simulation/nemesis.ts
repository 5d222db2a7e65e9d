import type { Prng } from '../../src/base/prng.js';
import type { App, SimCluster } from './cluster.js';
import type { FaultList } from './fault-list.js';
import { GOOD_DISK } from './disk-replica.js';
import { PERFECT_NETWORK } from './network.js';
import { isAmbient, type FaultKind } from './swarm.js';
import { ms, type Micros } from './world.js';

/** Faults that only what runs in the brokers can carry out. */
export interface AppFaults {
  transfer(prng: Prng): void;
  changeMembership(prng: Prng): void;
}

/**
 * Breaks things at random, as the seed's options allow, and mends them after a while; until it is
 * told to heal everything.
 */
export class Nemesis<A extends App> {
  /** What it did; links and disks misbehave by themselves. */
  readonly counts = new Map<FaultKind, number>();
  private readonly cluster: SimCluster<A>;
  private readonly prng: Prng;
  private readonly app: AppFaults;
  private readonly list: FaultList;
  private readonly kinds: FaultKind[];
  private isOver = false;

  constructor(cluster: SimCluster<A>, prng: Prng, app: AppFaults, list: FaultList) {
    this.list = list;
    this.cluster = cluster;
    this.prng = prng;
    this.app = app;
    const { faults } = cluster.options;
    this.kinds = [...faults].filter((kind) => !isAmbient(kind));
    if (this.kinds.length > 0) this.next();
  }

  /** Ends all faults: links and disks are good, and exactly the brokers in `core` run. */
  heal(core: ReadonlySet<number>): void {
    this.isOver = true;
    const { cluster } = this;
    cluster.network.mend();
    cluster.network.setOptions(PERFECT_NETWORK);
    for (const broker of cluster.brokers) {
      broker.disk.options = GOOD_DISK;
      broker.process?.resume();
      if (broker.isStopping || !core.has(broker.id)) cluster.kill(broker.id, 'process');
      if (core.has(broker.id)) cluster.start(broker.id);
    }
  }

  private next(): void {
    const { scheduler, options } = this.cluster;
    const wait = this.prng.int(2 * options.faultPeriod) + 1;
    scheduler.schedule(wait, undefined, () => {
      if (this.isOver) return;
      // Drawn the same way whether it is carried out or not: those that follow stay what they are.
      const name = this.list.next('n');
      const kind = this.prng.pick(this.kinds);
      const own = this.prng.fork();
      if (this.list.mayStrike(name, kind)) this.inflict(kind, own);
      this.next();
    });
  }

  private later(prng: Prng, run: () => void): void {
    const wait: Micros = prng.int(this.cluster.options.mendMax) + ms(1);
    this.cluster.scheduler.schedule(wait, undefined, () => {
      if (!this.isOver) run();
    });
  }

  private inflict(kind: FaultKind, prng: Prng): void {
    const { cluster } = this;
    const alive = cluster.alive().filter((broker) => !broker.isStopping);
    if (alive.length === 0) return;
    const victim = prng.pick(alive);
    cluster.scheduler.hash.add(77, victim.id);
    switch (kind) {
      case 'kill':
      case 'powerCut':
        this.kill(victim.id, kind === 'kill' ? 'process' : 'power', prng);
        break;
      case 'killAll': {
        // The mains fail: the fault that a topic which puts its syncs off does not promise to bear.
        const isBlackout = cluster.options.lazySync && prng.chance(0.5);
        for (const broker of alive) {
          this.kill(broker.id, isBlackout || prng.chance(0.5) ? 'power' : 'process', prng);
        }
        break;
      }
      case 'restart':
        cluster.stop(victim.id);
        this.later(prng, () => this.revive(victim.id, prng));
        break;
      case 'pause': {
        const { process } = victim;
        process?.pause();
        this.later(prng, () => process?.resume());
        break;
      }
      case 'isolate':
        this.cut(new Set([victim.id]), 'both', prng);
        break;
      case 'split':
        this.cut(
          new Set(cluster.brokers.map((b) => b.id).filter(() => prng.chance(0.5))),
          'both',
          prng,
        );
        break;
      case 'oneWay':
        this.cut(new Set([victim.id]), prng.chance(0.5) ? 'in' : 'out', prng);
        break;
      case 'wallJump':
        victim.process?.jumpWallClock(prng.int(120_000) - 60_000);
        break;
      case 'damage':
        if (!this.damage(prng)) return;
        break;
      case 'transfer':
        this.app.transfer(prng);
        break;
      case 'membership':
        this.app.changeMembership(prng);
        break;
      case 'slowDisk':
      case 'syncError':
      case 'drop':
      case 'duplicate':
      case 'reorder':
      case 'falseHint':
        return;
    }
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
  }

  private kill(id: number, how: 'process' | 'power', prng: Prng): void {
    this.cluster.kill(id, how);
    this.later(prng, () => this.revive(id, prng));
  }

  private revive(id: number, prng: Prng): void {
    const broker = this.cluster.broker(id);
    if (broker.isStopping) this.later(prng, () => this.revive(id, prng));
    else this.cluster.start(id);
  }

  /** Kills a broker, if need be, and damages some of its replicas before it comes back. */
  private damage(prng: Prng): boolean {
    const { cluster } = this;
    const victim = prng.pick(cluster.brokers);
    if (victim.isStopping) return false;
    this.kill(victim.id, prng.chance(0.5) ? 'process' : 'power', prng);
    let hasDamaged = false;
    for (const group of victim.disk.replicas.keys()) {
      if (!prng.chance(0.6) || !cluster.mayDamage(victim.id, group)) continue;
      victim.disk.damage(group);
      hasDamaged = true;
    }
    return hasDamaged;
  }

  private cut(side: ReadonlySet<number>, way: 'both' | 'in' | 'out', prng: Prng): void {
    const { network, brokers, scheduler } = this.cluster;
    scheduler.say(() => `the network splits off ${[...side].join(' ')} (${way})`);
    for (const { id: inside } of brokers.filter((b) => side.has(b.id))) {
      for (const { id: outside } of brokers.filter((b) => !side.has(b.id))) {
        if (way !== 'in') network.cut(inside, outside);
        if (way !== 'out') network.cut(outside, inside);
      }
    }
    this.later(prng, () => network.mend());
  }
}
