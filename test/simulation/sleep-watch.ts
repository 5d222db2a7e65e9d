import type { Asleep } from '../../src/raft/io.js';
import type { SimCluster } from './cluster.js';
import type { RaftApp } from './raft-app.js';
import { must } from './violation.js';
import { ms, type Micros } from './world.js';

/** Of an election timeout: a sleeper that hears nothing wakes sooner, even by a slow clock. */
const PATIENCE = 1.5;

interface Dozing {
  readonly asleep: Asleep;
  readonly since: Micros;
}

/**
 * I30: no follower sleeps on under a leader whose broker it does not hear any more. To be asked once a
 * tick; a process that is stopped meanwhile cannot notice anything, and listens anew when it goes on.
 */
export class SleepWatch {
  private readonly cluster: SimCluster<RaftApp>;
  private dozing: ReadonlyMap<string, Dozing> = new Map();

  constructor(cluster: SimCluster<RaftApp>) {
    this.cluster = cluster;
  }

  look(): void {
    const dozing = new Map<string, Dozing>();
    for (const { id, app, process, isStopping } of this.cluster.alive()) {
      if (process?.isPaused !== false || isStopping) continue;
      for (const [groupId, { group }] of app?.replicas ?? []) {
        const asleep = this.cluster.node(id, groupId)?.asleep;
        // What was closed is asked nothing and woken by nobody.
        const isOpen = group?.status() !== undefined;
        if (!isOpen || asleep === undefined || asleep.leader === id) continue;
        const name = `${id} ${groupId}`;
        const known = this.dozing.get(name);
        const since = known?.asleep === asleep ? known.since : this.cluster.scheduler.now;
        dozing.set(name, { asleep, since });
        this.check(id, groupId, { asleep, since });
      }
    }
    this.dozing = dozing;
  }

  private check(broker: number, group: number, { asleep, since }: Dozing): void {
    const { network, options, scheduler } = this.cluster;
    const { leader } = asleep;
    const heardAt = Math.max(since, network.heardAt(broker, leader) ?? 0);
    const timeout = options.raft.electionTicks * ms(options.tickMs);
    const isHeard = scheduler.now - heardAt <= PATIENCE * timeout;
    const facts = { broker, group, leader, heardAt, now: scheduler.now };
    must(isHeard, 'I30', 'sleeps under a leader that has fallen silent', facts);
  }
}
