import { crc32c } from '../../../../src/base/crc32c.js';
import { createBroker } from '../../../../src/broker/broker.js';
import type { AdminService } from '../../../../src/broker/admin-types.js';
import { createPartitionFloor } from '../../../../src/broker/partition-floor.js';
import {
  DEFAULT_BROKER_SETTINGS,
  type BootstrapOptions,
  type Broker,
  type BrokerServices,
  type BrokerSettings,
  type PartitionFloor,
} from '../../../../src/broker/types.js';
import { createMultiRaft } from '../../../../src/host/multi-raft.js';
import { compileRe2 } from '../../../../src/main/re2-expressions.js';
import type { BrokerError } from '../../../../src/model/errors.js';
import { brokerId, METADATA_GROUP, type BrokerId } from '../../../../src/model/ids.js';
import type { World } from '../../../../src/ports/world.js';
import { DEFAULT_RAFT_CONFIG } from '../../../../src/raft/config.js';
import { createRaftNode } from '../../../../src/raft/raft-core.js';
import { MemoryBrokerStore, MemoryDisk } from '../../../../src/storage/memory-broker-store.js';
import { FakeWorld } from '../../host/support/fake-world.js';
import { MemoryNetwork } from '../../host/support/memory-network.js';
import { testTelemetry, type LogLine } from '../../host/support/test-cluster.js';
import { addressOf, MemoryPeers } from './memory-peers.js';

const TICK_MS = 50;

/** One life of one broker. */
export interface Life {
  readonly broker: Broker;
  floor: PartitionFloor | undefined;
  isDead: boolean;
  startError: BrokerError | undefined;
}

/** Whole brokers in one process: real Raft, host, metadata and partitions; memory for disk and wires. */
export class TestBrokers {
  readonly world = new FakeWorld();
  readonly network = new MemoryNetwork(this.world);
  readonly peers = new MemoryPeers(this.world);
  readonly disks = new Map<number, MemoryDisk>();
  readonly lives = new Map<number, Life>();
  /** What the volumes have left; plenty, if not told here. */
  readonly freeBytes = new Map<number, number>();
  readonly log: LogLine[] = [];
  readonly #settings: BrokerSettings;

  constructor(settings: Partial<BrokerSettings> = {}) {
    this.#settings = { ...DEFAULT_BROKER_SETTINGS, leaderBalanceMs: 0, ...settings };
  }

  /** Starts a broker on whatever its disk holds. */
  start(id: number, bootstrap: { founders?: number[]; seeds?: number[]; rack?: string }): Life {
    const self = brokerId(id);
    const disk = this.disks.get(id) ?? new MemoryDisk();
    this.disks.set(id, disk);
    const store = new MemoryBrokerStore(disk);
    store.freeBytes = () => Promise.resolve(this.freeBytes.get(id) ?? Number.MAX_SAFE_INTEGER);
    const holder: { life: Life | undefined } = { life: undefined };
    const world = mortal(this.world, () => holder.life?.isDead === true);
    const telemetry = testTelemetry(this.log, new Map());
    const options: BootstrapOptions = {
      founders: (bootstrap.founders ?? []).map(addressOf),
      seeds: (bootstrap.seeds ?? []).map(addressOf),
    };
    const broker = createBroker({
      self: {
        id: self,
        rack: bootstrap.rack ?? '',
        address: {
          host: `client${id}.test`,
          port: 7_400 + id,
          peerHost: 'peer.test',
          peerPort: 7_500 + id,
          httpPort: 7_600 + id,
        },
      },
      bootstrap: options,
      world,
      peers: this.peers.connect(self, () => store.identity()?.clusterId),
      store,
      createMultiRaft: (_identity, mayLead) =>
        createMultiRaft({
          self,
          world,
          transport: this.network.transport(self),
          store,
          createNode: createRaftNode,
          config: DEFAULT_RAFT_CONFIG,
          tickMs: TICK_MS,
          telemetry,
          mayLead,
        }),
      createPartitionFloor: (deps) => {
        const floor = createPartitionFloor(deps);
        if (holder.life !== undefined) holder.life.floor = floor;
        return floor;
      },
      telemetry,
      crc32c,
      compileExpression: compileRe2,
      settings: this.#settings,
    });
    const life: Life = { broker, floor: undefined, isDead: false, startError: undefined };
    holder.life = life;
    this.lives.set(id, life);
    broker.start().catch((error: unknown) => {
      life.startError = error as BrokerError;
    });
    return life;
  }

  startAll(ids: readonly number[], founders = ids): void {
    for (const id of ids) this.start(id, { founders: [...founders] });
  }

  /** kill -9. */
  kill(id: number): void {
    const life = this.lives.get(id);
    if (life !== undefined) life.isDead = true;
    this.lives.delete(id);
    this.peers.remove(brokerId(id));
    this.network.remove(brokerId(id), true);
  }

  isolate(id: number): void {
    this.network.isolate(brokerId(id));
    this.peers.isolate(brokerId(id));
  }

  heal(id: number): void {
    this.network.heal(brokerId(id));
    this.peers.heal(brokerId(id));
  }

  services(id: number): BrokerServices {
    const services = this.lives.get(id)?.broker.services();
    if (services === undefined) throw new Error(`broker ${id} has no services yet`);
    return services;
  }

  admin(id: number): AdminService {
    return this.services(id).admin;
  }

  floor(id: number): PartitionFloor {
    const floor = this.lives.get(id)?.floor;
    if (floor === undefined) throw new Error(`broker ${id} has no partitions yet`);
    return floor;
  }

  isReady(id: number): boolean {
    return this.lives.get(id)?.broker.health().ready === true;
  }

  async untilReady(ids: readonly number[] = [...this.lives.keys()]): Promise<void> {
    try {
      await this.world.until(() => ids.every((id) => this.isReady(id)));
    } catch (error) {
      const why = ids.map((id) => `${id}: ${this.lives.get(id)?.broker.health().reason}`);
      throw new Error(why.join('; '), { cause: error });
    }
  }

  /** The broker that leads the metadata group as the one with this id sees it. */
  controllerSeenBy(id: number): BrokerId | undefined {
    return this.services(id).leaders.leaderOf(METADATA_GROUP)?.leader;
  }

  /** Lets time pass until the promise has an outcome. */
  async settled<T>(promise: Promise<T>, limitMs = 60_000): Promise<T> {
    let isDone = false;
    const done = (): void => {
      isDone = true;
    };
    promise.then(done, done);
    await this.world.until(() => isDone, limitMs);
    return promise;
  }

  /** The error the promise rejects with. */
  async refused(promise: Promise<unknown>): Promise<BrokerError> {
    try {
      await this.settled(promise);
    } catch (error) {
      return error as BrokerError;
    }
    throw new Error('it succeeded');
  }

  async stopAll(): Promise<void> {
    await this.settled(Promise.all([...this.lives.values()].map((life) => life.broker.stop())));
  }
}

/** A world whose timers end with the process. */
function mortal(world: World, isDead: () => boolean): World {
  const whileAlive = (run: () => void) => () => {
    if (!isDead()) run();
  };
  return {
    clock: world.clock,
    random: world.random,
    timers: {
      after: (delayMs, run) => world.timers.after(delayMs, whileAlive(run)),
      every: (periodMs, run) => world.timers.every(periodMs, whileAlive(run)),
      defer: (run) => world.timers.defer(whileAlive(run)),
    },
  };
}
