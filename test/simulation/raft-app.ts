import type { MultiRaft, RaftGroup, RaftGroupOwner } from '../../src/host/raft-group.js';
import { createMultiRaft } from '../../src/host/multi-raft.js';
import { FSYNC, type Durability } from '../../src/model/durability.js';
import { brokerId, type LogIndex, type RaftGroupId } from '../../src/model/ids.js';
import type { ReplicaSpec } from '../../src/ports/log-store.js';
import type { App, Boot } from './cluster.js';
import { CounterMachine } from './counter-machine.js';
import type { GroupOracle } from './group-oracle.js';
import type { SwarmOptions } from './swarm.js';
import { WatchedMachine } from './watched-machine.js';
import type { Scheduler } from './world.js';

/** One group on one broker, in one life. */
export interface Replica {
  readonly spec: ReplicaSpec;
  readonly machine: CounterMachine;
  readonly watched: WatchedMachine;
  group: RaftGroup | undefined;
  isTruncating: boolean;
}

export interface RaftAppOptions {
  readonly swarm: SwarmOptions;
  readonly specs: readonly ReplicaSpec[];
  readonly oracleOf: (group: number) => GroupOracle;
  readonly scheduler: Scheduler;
  /** As set for the group's topic at the moment. */
  readonly durabilityOf?: (group: number) => Durability;
}

/** What a broker of the Raft-level simulation runs: the production host with counting machines. */
export class RaftApp implements App {
  readonly replicas = new Map<RaftGroupId, Replica>();
  readonly multiRaft: MultiRaft;
  private readonly options: RaftAppOptions;

  constructor(boot: Boot, options: RaftAppOptions) {
    this.options = options;
    const { swarm, scheduler } = options;
    const { process, store, endpoint, createNode, telemetry } = boot;
    this.multiRaft = createMultiRaft({
      self: brokerId(process.brokerId),
      world: process,
      transport: endpoint,
      store,
      createNode,
      config: swarm.raft,
      tickMs: swarm.tickMs,
      telemetry,
      tuning: {
        checkpointEntries: swarm.checkpointEntries,
        applyTurnBytesMax: 4_000,
        quiesceAfterTicks: swarm.quiesceAfterTicks,
      },
      replicaStopped: (group, error) => {
        scheduler.say(() => `b${process.brokerId} g${group} stops for good`);
        scheduler.fail(error);
      },
    });
    this.multiRaft.start();
    for (const spec of options.specs) void this.open(process.brokerId, spec);
  }

  stop(): Promise<void> {
    return this.multiRaft.stop();
  }

  /** Replaces a prefix of what is applied by its state, as a partition does for retention. */
  async truncate(groupId: RaftGroupId, keep: number): Promise<void> {
    const replica = this.replicas.get(groupId);
    if (replica?.group === undefined || replica.isTruncating) return;
    const { group, machine, watched } = replica;
    const last = (watched.applied - keep) as LogIndex;
    if (last < group.firstIndex()) return;
    const state = machine.encodeAt(last);
    if (state === undefined) return;
    replica.isTruncating = true;
    try {
      await group.truncatePrefix(last, state);
      machine.forgetBelow(last);
    } catch {
      // Not durable yet, or fenced meanwhile: the next attempt comes.
    } finally {
      replica.isTruncating = false;
    }
  }

  private async open(broker: number, spec: ReplicaSpec): Promise<void> {
    const { oracleOf, scheduler, durabilityOf } = this.options;
    const machine = new CounterMachine();
    const watched = new WatchedMachine(machine, broker, oracleOf(spec.groupId), scheduler);
    const replica: Replica = { spec, machine, watched, group: undefined, isTruncating: false };
    this.replicas.set(spec.groupId, replica);
    const owner: RaftGroupOwner = {
      machine: watched,
      roleChanged: () => undefined,
      leaderReady: () => undefined,
      applied: () => undefined,
      fenced: () => undefined,
    };
    try {
      const durability = durabilityOf?.(spec.groupId) ?? FSYNC;
      replica.group = await this.multiRaft.open(spec, owner, { durability });
    } catch (error) {
      scheduler.say(() => `b${broker} g${spec.groupId} could not open: ${String(error)}`);
    }
  }
}
