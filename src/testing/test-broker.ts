import type { BrokerHealth } from '../broker/types.js';
import type { BrokerConfig, PeerSetting } from '../config/schema.js';
import { crc32c } from '../base/crc32c.js';
import { silentTelemetry, type ProcessTelemetry } from '../main/process-telemetry.js';
import {
  StartError,
  startBroker,
  type BrokerPorts,
  type RunningBroker,
} from '../main/start-broker.js';
import { brokerId } from '../model/ids.js';
import { MemoryBrokerStore, MemoryDisk } from '../storage/memory-broker-store.js';
import { FaultyBrokerStore, type DiskSpeed } from './faulty-store.js';
import { SplitPeers, type Network } from './split-peers.js';
import type { TestClock, TestWorld } from './test-clock.js';

const ANY_PORTS: BrokerPorts = { clientPort: 0, peerPort: 0, httpPort: 0 };

/** What the brokers of one cluster have in common. */
export interface Surroundings {
  readonly clock: TestClock;
  readonly network: Network;
  readonly log: ((line: string) => void) | undefined;
}

/** Told where the broker listens; resolves with where all do. */
export type FindFounders = (own: BrokerPorts) => Promise<readonly PeerSetting[]>;

interface Life {
  readonly running: RunningBroker;
  readonly store: FaultyBrokerStore;
  readonly world: TestWorld;
  /** A process that is dead writes no log. */
  readonly mute: () => void;
}

/**
 * One broker of a test cluster, through all its lives: the production broker, with a disk in memory
 * that outlives it. Owned by the cluster.
 *
 * Invariants: at most one life at a time, since what is asked of it is done in turn; every life listens
 * where the first one did, unless somebody else took a port meanwhile.
 */
export class TestBroker {
  readonly id: number;
  readonly disk: DiskSpeed = { writeMs: 0 };
  /** How far its wall clock is ahead of the cluster's; negative: behind. */
  skewMs = 0;
  private readonly config: BrokerConfig;
  private readonly around: Surroundings;
  private readonly memory = new MemoryDisk();
  private listensOn = ANY_PORTS;
  private life: Life | undefined;
  private turn: Promise<unknown> = Promise.resolve();

  constructor(config: BrokerConfig, around: Surroundings) {
    this.id = config.brokerId;
    this.config = config;
    this.around = around;
  }

  get isRunning(): boolean {
    return this.life !== undefined;
  }

  /** The last known ones while it is not running; zeros before its first life. */
  get ports(): BrokerPorts {
    return this.listensOn;
  }

  health(): BrokerHealth {
    const down: BrokerHealth = { live: true, ready: false, reason: 'not running' };
    return this.life?.running.health() ?? down;
  }

  /** Resolves once it listens; a life that was under way has ended well before. */
  start(founders: FindFounders): Promise<void> {
    return this.inTurn(async () => {
      await this.end((life) => life.running.stop());
      try {
        this.life = await this.begin(this.listensOn, founders);
      } catch (error) {
        const isTaken = error instanceof StartError && this.listensOn !== ANY_PORTS;
        if (!isTaken) throw error;
        this.life = await this.begin(ANY_PORTS, founders);
      }
      this.listensOn = this.life.running.ports;
    });
  }

  /** What was not durable is lost, nobody is told. Resolves with whether there was a life to end. */
  kill(): Promise<boolean> {
    return this.inTurn(() =>
      this.end((life) => {
        life.mute();
        life.store.die();
        return life.running.kill();
      }),
    );
  }

  /** As on SIGTERM. Resolves with whether there was a life to end. */
  stop(): Promise<boolean> {
    return this.inTurn(() => this.end((life) => life.running.stop()));
  }

  private async begin(ports: BrokerPorts, founders: FindFounders): Promise<Life> {
    const { clock, network, log } = this.around;
    const world = clock.world(() => this.skewMs);
    const store = new FaultyBrokerStore(new MemoryBrokerStore(this.memory), {
      timers: world.timers,
      speed: this.disk,
    });
    let isMute = false;
    const mute = (): void => {
      isMute = true;
    };
    const telemetry = await this.telemetry((line) => {
      if (!isMute) log?.(line);
    });
    try {
      const running = await startBroker(
        { ...this.config, ...ports },
        {
          telemetry,
          // Loading native code takes longer than it saves a test.
          crc32c,
          world,
          store,
          peers: (transport) => new SplitPeers(transport, brokerId(this.id), network),
          founders,
        },
      );
      return { running, store, world, mute };
    } catch (error) {
      world.end();
      throw error;
    }
  }

  /** Whoever wants no log does not wait for what would write it. */
  private async telemetry(write: (line: string) => void): Promise<ProcessTelemetry> {
    if (this.around.log === undefined) return silentTelemetry();
    const { pinoTelemetry } = await import('../main/pino-telemetry.js');
    return pinoTelemetry({
      level: this.config.logLevel,
      brokerId: this.id,
      brokerOnly: true,
      destination: { write },
    });
  }

  private async end(how: (life: Life) => Promise<void>): Promise<boolean> {
    const { life } = this;
    if (life === undefined) return false;
    this.life = undefined;
    try {
      await how(life);
    } finally {
      life.world.end();
    }
    return true;
  }

  private async inTurn<T>(run: () => Promise<T>): Promise<T> {
    const done = this.turn.then(run);
    this.turn = done.catch(() => undefined);
    return await done;
  }
}
