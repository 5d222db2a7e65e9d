import type { Prng } from '../../src/base/prng.js';
import type { App, SimCluster } from './cluster.js';
import { GOOD_DISK } from './disk-replica.js';
import { PERFECT_NETWORK } from './network.js';
import { isAmbient, type FaultKind } from './swarm.js';
import { ms, type Micros } from './world.js';

/** Faults that only what runs in the brokers can carry out. */
export interface AppFaults {
  transfer(): void;
  changeMembership(): void;
}

/**
 * Breaks things at random, as the seed's options allow, and mends them after a while; until it is
 * told to heal everything.
 */
export class Nemesis<A extends App> {
  readonly counts = new Map<FaultKind, number>();
  private readonly cluster: SimCluster<A>;
  private readonly prng: Prng;
  private readonly app: AppFaults;
  private readonly kinds: FaultKind[];
  private isOver = false;

  constructor(cluster: SimCluster<A>, prng: Prng, app: AppFaults) {
    this.cluster = cluster;
    this.prng = prng;
    this.app = app;
    const { faults } = cluster.options;
    this.kinds = [...faults].filter((kind) => !isAmbient(kind));
    for (const kind of faults) if (isAmbient(kind)) this.counts.set(kind, 1);
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
      this.inflict(this.prng.pick(this.kinds));
      this.next();
    });
  }

  private later(run: () => void): void {
    const wait: Micros = this.prng.int(this.cluster.options.mendMax) + ms(1);
    this.cluster.scheduler.schedule(wait, undefined, () => {
      if (!this.isOver) run();
    });
  }

  private inflict(kind: FaultKind): void {
    const { cluster, prng } = this;
    const alive = cluster.alive().filter((broker) => !broker.isStopping);
    if (alive.length === 0) return;
    const victim = prng.pick(alive);
    cluster.scheduler.hash.add(77, victim.id);
    switch (kind) {
      case 'kill':
      case 'powerCut':
        this.kill(victim.id, kind === 'kill' ? 'process' : 'power');
        break;
      case 'killAll': {
        // The mains fail: the fault that a topic which puts its syncs off does not promise to bear.
        const isBlackout = cluster.options.lazySync && prng.chance(0.5);
        for (const broker of alive) {
          this.kill(broker.id, isBlackout || prng.chance(0.5) ? 'power' : 'process');
        }
        break;
      }
      case 'restart':
        cluster.stop(victim.id);
        this.later(() => this.revive(victim.id));
        break;
      case 'pause': {
        const { process } = victim;
        process?.pause();
        this.later(() => process?.resume());
        break;
      }
      case 'isolate':
        this.cut(new Set([victim.id]), 'both');
        break;
      case 'split':
        this.cut(new Set(cluster.brokers.map((b) => b.id).filter(() => prng.chance(0.5))), 'both');
        break;
      case 'oneWay':
        this.cut(new Set([victim.id]), prng.chance(0.5) ? 'in' : 'out');
        break;
      case 'wallJump':
        victim.process?.jumpWallClock(prng.int(120_000) - 60_000);
        break;
      case 'damage':
        if (!this.damage()) return;
        break;
      case 'transfer':
        this.app.transfer();
        break;
      case 'membership':
        this.app.changeMembership();
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

  private kill(id: number, how: 'process' | 'power'): void {
    this.cluster.kill(id, how);
    this.later(() => this.revive(id));
  }

  private revive(id: number): void {
    const broker = this.cluster.broker(id);
    if (broker.isStopping) this.later(() => this.revive(id));
    else this.cluster.start(id);
  }

  /** Kills a broker, if need be, and damages some of its replicas before it comes back. */
  private damage(): boolean {
    const { cluster, prng } = this;
    const victim = prng.pick(cluster.brokers);
    if (victim.isStopping) return false;
    this.kill(victim.id, prng.chance(0.5) ? 'process' : 'power');
    let hasDamaged = false;
    for (const group of victim.disk.replicas.keys()) {
      if (!prng.chance(0.6) || !cluster.mayDamage(victim.id, group)) continue;
      victim.disk.damage(group);
      hasDamaged = true;
    }
    return hasDamaged;
  }

  private cut(side: ReadonlySet<number>, way: 'both' | 'in' | 'out'): void {
    const { network, brokers, scheduler } = this.cluster;
    scheduler.say(() => `the network splits off ${[...side].join(' ')} (${way})`);
    for (const { id: inside } of brokers.filter((b) => side.has(b.id))) {
      for (const { id: outside } of brokers.filter((b) => !side.has(b.id))) {
        if (way !== 'in') network.cut(inside, outside);
        if (way !== 'out') network.cut(outside, inside);
      }
    }
    this.later(() => network.mend());
  }
}
