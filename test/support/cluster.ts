import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { deferred } from '../../src/base/deferred.js';
import { loadConfig } from '../../src/config/load.js';
import type { BrokerConfig, PeerSetting } from '../../src/config/schema.js';
import { pinoTelemetry } from '../../src/main/pino-telemetry.js';
import { startBroker, type RunningBroker } from '../../src/main/start-broker.js';
import { eventually } from './eventually.js';

/** Brokers of one cluster in this process, on free ports of 127.0.0.1, with real stores. */
export interface TestCluster {
  readonly brokers: readonly RunningBroker[];
  readonly logs: readonly string[];
  /** `host:port` of every broker's client port. */
  readonly bootstrap: readonly string[];
  readonly configs: readonly BrokerConfig[];
  stop(): Promise<void>;
}

export async function startCluster(
  size: number,
  settings: Readonly<Record<string, string>> = {},
): Promise<TestCluster> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'millrace-cluster-'));
  const founders = deferred<readonly PeerSetting[]>();
  const listening: PeerSetting[] = [];
  const logs: string[] = [];
  const configs = Array.from({ length: size }, (_, i) =>
    loadConfig({
      flags: {
        brokerId: String(i + 1),
        dataDir: path.join(directory, String(i + 1)),
        clientPort: '0',
        peerPort: '0',
        httpPort: '0',
        storeMemoryBytes: String(32 * 1024 * 1024),
        ...settings,
      },
    }),
  );
  const brokers = await Promise.all(
    configs.map((config) =>
      startBroker(config, {
        telemetry: pinoTelemetry({
          level: 'debug',
          brokerId: config.brokerId,
          destination: { write: (line) => void logs.push(line) },
        }),
        founders: (own) => {
          listening.push({ id: config.brokerId, host: '127.0.0.1', peerPort: own.peerPort });
          if (listening.length === size) founders.resolve(listening);
          return founders.promise;
        },
      }),
    ),
  );
  const stop = async (): Promise<void> => {
    await Promise.all(brokers.map((broker) => broker.stop()));
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await eventually('every broker ready', () => brokers.every((b) => b.health().ready), 50_000);
  } catch (error) {
    await stop();
    const reasons = brokers.map((broker) => broker.health().reason).join('; ');
    throw new Error(`${reasons}\n${logs.slice(-40).join('')}`, { cause: error });
  }
  const bootstrap = brokers.map(({ ports }) => `127.0.0.1:${ports.clientPort}`);
  return { brokers, logs, bootstrap, configs, stop };
}
