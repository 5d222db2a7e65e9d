import { crc32c } from '@node-rs/crc32';
import { Prng } from '../../../src/base/prng.js';
import { createPartitionFloor } from '../../../src/broker/partition-floor.js';
import { PartitionManager } from '../../../src/broker/partition-manager.js';
import { DEFAULT_BROKER_SETTINGS, type PartitionFloor } from '../../../src/broker/types.js';
import { createMultiRaft } from '../../../src/host/multi-raft.js';
import type { MultiRaft } from '../../../src/host/raft-group.js';
import { topicSettings, type TopicSettings } from '../../../src/metadata/topic-config.js';
import { brokerId } from '../../../src/model/ids.js';
import { DEFAULT_RAFT_CONFIG } from '../../../src/raft/config.js';
import { createRaftNode } from '../../../src/raft/raft-core.js';
import { MemoryBrokerStore, MemoryDisk } from '../../../src/storage/memory-broker-store.js';
import { PERFECT_NETWORK, SimNetwork } from '../../simulation/network.js';
import { Scheduler, seconds, SimProcess } from '../../simulation/world.js';
import { FakeLeaders, silent, specOf, viewOfTopic } from './partition-fixture.js';

const WALL_MS = 1_700_000_000_000;

export interface TrioBroker {
  readonly process: SimProcess;
  readonly floor: PartitionFloor;
  readonly multiRaft: MultiRaft;
  readonly leaders: FakeLeaders;
  readonly host: PartitionManager;
}

/** Three brokers with production code over memory stores, on a virtual clock and network. */
export class Trio {
  readonly scheduler = new Scheduler();
  readonly prng: Prng;
  readonly network: SimNetwork;
  readonly brokers = new Map<number, TrioBroker>();
  /** Where clients live. */
  readonly client: SimProcess;
  private readonly disks = new Map<number, MemoryDisk>();
  private readonly settings: TopicSettings;
  private lives = 0;

  constructor(seed: number, settings: Partial<TopicSettings> = {}) {
    this.prng = new Prng(seed);
    this.network = new SimNetwork(this.scheduler, this.prng.fork(), PERFECT_NETWORK);
    this.settings = { ...topicSettings(new Map()), ...settings };
    this.client = this.newProcess(99);
  }

  async start(id: number): Promise<void> {
    const process = this.newProcess(id);
    const endpoint = this.network.attach(process);
    const disk = this.disks.get(id) ?? new MemoryDisk();
    this.disks.set(id, disk);
    const self = brokerId(id);
    disk.identity ??= {
      clusterId: 'trio',
      brokerId: self,
      directoryId: `directory-${id}`,
      founders: [],
      isFormed: true,
    };
    const store = new MemoryBrokerStore(disk);
    const multiRaft = createMultiRaft({
      self,
      world: process,
      transport: endpoint,
      store,
      createNode: createRaftNode,
      config: DEFAULT_RAFT_CONFIG,
      tickMs: 50,
      telemetry: silent,
      tuning: { checkpointEntries: 40 },
      replicaStopped: (_group, error) => this.scheduler.fail(error),
    });
    const leaders = new FakeLeaders(self);
    const floor = createPartitionFloor({
      self,
      world: process,
      multiRaft,
      store,
      view: viewOfTopic(1),
      leaders,
      peers: endpoint,
      telemetry: silent,
      crc32c,
      settings: { ...DEFAULT_BROKER_SETTINGS, retentionCheckMs: 500 },
    });
    const { host } = floor;
    if (!(host instanceof PartitionManager)) throw new Error('the host is the manager');
    this.brokers.set(id, { process, floor, multiRaft, leaders, host });
    multiRaft.start();
    floor.start();
    await host.ensure(specOf(0), this.settings);
  }

  kill(id: number): void {
    const broker = this.brokers.get(id);
    if (broker === undefined) return;
    this.brokers.delete(id);
    broker.process.kill();
    this.network.detach(broker.process);
  }

  /** The broker whose replica leads and is ready. */
  leader(): number | undefined {
    for (const [id, broker] of this.brokers) {
      const group = broker.host.group(specOf(0).groupId);
      if (broker.process.isAlive && group?.isLeaderReady() === true) return id;
    }
    return undefined;
  }

  async run(forSeconds: number, done?: () => boolean): Promise<boolean> {
    return this.scheduler.run(this.scheduler.now + seconds(forSeconds), done);
  }

  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => void this.client.timers.after(delayMs, resolve));
  }

  private newProcess(id: number): SimProcess {
    this.lives += 1;
    const timing = { rate: 1, wallBaseMs: WALL_MS };
    return new SimProcess(id, this.lives, this.scheduler, timing, this.prng.fork());
  }
}
