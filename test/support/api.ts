import { crc32c } from '../../src/base/crc32c.js';
import { ClientServer } from '../../src/api/grpc/server.js';
import type { AdminService } from '../../src/broker/admin-types.js';
import type {
  BrokerHealth,
  BrokerServices,
  FetchRequest,
  FetchResult,
  ProduceRequest,
  ProduceResult,
} from '../../src/broker/types.js';
import { systemWorld } from '../../src/client/system-world.js';
import { brokerId } from '../../src/model/ids.js';
import { connectBroker, type BrokerConnection } from '../../src/rpc/channel.js';
import { recordingTelemetry, type RecordingTelemetry } from './telemetry.js';

/** What stands behind the API: each test says what it needs. */
export interface FakeServices {
  produce?: (request: ProduceRequest, done: (result: ProduceResult) => void) => void;
  fetch?: (request: FetchRequest, signal?: AbortSignal) => Promise<FetchResult>;
  admin?: Partial<AdminService>;
  health?: BrokerHealth;
  /** False: as before the broker has joined. */
  hasJoined?: boolean;
}

export interface TestApi {
  readonly server: ClientServer;
  readonly connection: BrokerConnection;
  readonly address: string;
  readonly port: number;
  readonly telemetry: RecordingTelemetry;
  readonly fake: FakeServices;
  stop(): Promise<void>;
}

export const READY: BrokerHealth = { live: true, ready: true, reason: '' };

/** The real client server in front of services made up by a test, and a connection to it. */
export async function startApi(fake: FakeServices, reflection = true): Promise<TestApi> {
  const telemetry = recordingTelemetry();
  const health = (): BrokerHealth => fake.health ?? READY;
  const services = {
    produce: {
      produce: (request: ProduceRequest, done: (result: ProduceResult) => void) =>
        fake.produce?.(request, done),
    },
    fetch: {
      fetch: (request: FetchRequest, signal?: AbortSignal) => {
        if (fake.fetch === undefined) throw new Error('no fetch was expected');
        return fake.fetch(request, signal);
      },
    },
    get admin() {
      return fake.admin;
    },
    health,
  } as unknown as BrokerServices;
  const server = new ClientServer({
    self: brokerId(1),
    world: systemWorld(),
    crc32c,
    telemetry,
    reflection,
    services: () => (fake.hasJoined === false ? undefined : services),
    health,
  });
  const port = await server.listen('127.0.0.1', 0);
  const address = `127.0.0.1:${port}`;
  const connection = connectBroker(address);
  const stop = async (): Promise<void> => {
    connection.close();
    await server.stop(50);
  };
  return { server, connection, address, port, telemetry, fake, stop };
}

/** The answer of a unary call, or its error. */
export function answerOf<T>(
  call: (done: (error: Error | null, answer?: T) => void) => unknown,
): Promise<T> {
  return new Promise((resolve, reject) => {
    call((error, answer) => {
      if (error === null && answer !== undefined) resolve(answer);
      else reject(error ?? new Error('empty answer'));
    });
  });
}
