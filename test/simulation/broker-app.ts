import { crc32c } from '../../src/base/crc32c.js';
import { createBroker } from '../../src/broker/broker.js';
import { createPartitionFloor } from '../../src/broker/partition-floor.js';
import {
  DEFAULT_BROKER_SETTINGS,
  type Broker,
  type BrokerServices,
} from '../../src/broker/types.js';
import { createMultiRaft } from '../../src/host/multi-raft.js';
import type { MultiRaft, RaftGroup, RaftGroupOwner } from '../../src/host/raft-group.js';
import { compileRe2 } from '../../src/main/re2-expressions.js';
import type { BrokerAddress } from '../../src/metadata/image.js';
import { brokerId, type RaftGroupId } from '../../src/model/ids.js';
import type { ReplicaSpec } from '../../src/ports/log-store.js';
import type { PeerAddress } from '../../src/ports/transport.js';
import type { App, Boot } from './cluster.js';
import type { GroupOracle } from './group-oracle.js';
import type { SwarmOptions } from './swarm.js';
import { WatchedMachine, type AppliedWatcher } from './watched-machine.js';
import type { Scheduler } from './world.js';

const CLIENT_PORT = 7_400;
const PEER_PORT = 7_500;

export function clientAddress(broker: number): { host: string; port: number } {
  return { host: 'sim', port: CLIENT_PORT + broker };
}

export function brokerAt(port: number): number {
  return port - CLIENT_PORT;
}

function addressOf(broker: number): BrokerAddress {
  const { host, port } = clientAddress(broker);
  return { host, port, peerHost: host, peerPort: PEER_PORT + broker, httpPort: 7_600 + broker };
}

export interface BrokerAppOptions {
  readonly swarm: SwarmOptions;
  readonly oracleOf: (group: number) => GroupOracle;
  readonly scheduler: Scheduler;
  /** Sees what brokers apply in which group. */
  readonly applied?: (broker: number, group: number, ...what: Parameters<AppliedWatcher>) => void;
}

/** What a broker of the broker-level simulation runs: the production broker, whole. */
export class BrokerApp implements App {
  readonly groups = new Map<RaftGroupId, { group: RaftGroup; machine: WatchedMachine }>();
  private readonly broker: Broker;
  private readonly options: BrokerAppOptions;

  constructor(boot: Boot, options: BrokerAppOptions) {
    this.options = options;
    const { swarm, scheduler } = options;
    const { process, store, endpoint, createNode, telemetry } = boot;
    const self = brokerId(process.brokerId);
    const founders: PeerAddress[] = Array.from({ length: swarm.brokers }, (_, at) => ({
      id: brokerId(at + 1),
      host: 'sim',
      port: PEER_PORT + at + 1,
    }));
    this.broker = createBroker({
      self: { id: self, address: addressOf(self), rack: self % 2 === 0 ? 'east' : 'west' },
      bootstrap: { founders, seeds: [] },
      world: process,
      peers: endpoint,
      store,
      createMultiRaft: (_identity, mayLead) => {
        const host = createMultiRaft({
          self,
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
          mayLead,
          replicaStopped: (group, error) => {
            scheduler.say(() => `b${self} g${group} stops for good`);
            scheduler.fail(error);
          },
        });
        return this.watched(host, self);
      },
      createPartitionFloor,
      telemetry,
      crc32c,
      compileExpression: compileRe2,
      settings: {
        ...DEFAULT_BROKER_SETTINGS,
        metadataLogEntriesMax: swarm.truncatePeriod === undefined ? 10_000 : 25,
        retentionCheckMs: 1_000 * Math.min(swarm.pace, 5),
        drainMs: 1_000,
      },
    });
    this.broker.start().catch((error: unknown) => {
      scheduler.say(() => `b${self} could not start: ${String(error)}`);
    });
  }

  get services(): BrokerServices | undefined {
    return this.broker.services();
  }

  stop(): Promise<void> {
    return this.broker.stop();
  }

  /** The host, with every state machine under watch. */
  private watched(host: MultiRaft, self: number): MultiRaft {
    return {
      start: () => host.start(),
      open: (spec, owner) => this.open(host, self, spec, owner),
      close: (id) => {
        this.groups.delete(id);
        return host.close(id);
      },
      delete: (id) => {
        this.groups.delete(id);
        return host.delete(id);
      },
      transferAllLeaderships: (deadlineMs, options) =>
        host.transferAllLeaderships(deadlineMs, options),
      stop: () => host.stop(),
    };
  }

  private async open(
    host: MultiRaft,
    self: number,
    spec: ReplicaSpec,
    owner: RaftGroupOwner,
  ): Promise<RaftGroup> {
    const { oracleOf, scheduler } = this.options;
    const oracle = oracleOf(spec.groupId);
    const machine = new WatchedMachine(owner.machine, self, oracle, scheduler, (...what) =>
      this.options.applied?.(self, spec.groupId, ...what),
    );
    const group = await host.open(spec, {
      machine,
      roleChanged: (change) => owner.roleChanged(change),
      leaderReady: (term) => owner.leaderReady(term),
      applied: (index) => owner.applied(index),
      fenced: (reason) => owner.fenced(reason),
    });
    this.groups.set(spec.groupId, { group, machine });
    return group;
  }
}
