import { Server } from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import type { Crc32c } from '../../base/crc32c.js';
import type { BrokerHealth, BrokerServices } from '../../broker/types.js';
import type { BrokerId } from '../../model/ids.js';
import { LIMITS } from '../../model/limits.js';
import type { Telemetry } from '../../ports/telemetry.js';
import type { Cancel, World } from '../../ports/world.js';
import { gatheringRecordsService } from '../../rpc/fetch-response.js';
import { listenOn, serverOptions, type Listener } from '../../rpc/grpc-server.js';
import { protoTypes } from '../../rpc/proto.js';
import { clusterHandlers } from './cluster-handlers.js';
import { apiMetrics, type ApiContext } from './context.js';
import { groupHandlers } from './group-handlers.js';
import { recordsHandlers } from './records-handlers.js';

const KEEPALIVE_TIME_MS = 10_000;
const KEEPALIVE_TIMEOUT_MS = 5_000;
const HEALTH_POLL_MS = 250;
const SERVICES = [
  '',
  'millrace.broker.v1.Records',
  'millrace.broker.v1.Cluster',
  'millrace.broker.v1.Groups',
] as const;

export interface ClientServerOptions {
  readonly self: BrokerId;
  readonly world: World;
  readonly crc32c: Crc32c;
  readonly telemetry: Telemetry;
  readonly reflection: boolean;
  services(): BrokerServices | undefined;
  health(): BrokerHealth;
}

/**
 * The client port: its own gRPC server with Records, Cluster, Groups, health and, unless switched off,
 * reflection. It answers from the start, with BROKER_UNAVAILABLE until the broker is part of its
 * cluster. It does not know the brokers' own service.
 */
export class ClientServer {
  private readonly options: ClientServerOptions;
  private readonly context: ApiContext;
  private readonly server: Server;
  private readonly healthService = new HealthImplementation();
  private listener: Listener | undefined;
  private cancelPoll: Cancel | undefined;

  constructor(options: ClientServerOptions) {
    this.options = options;
    const { self, world, crc32c, telemetry } = options;
    this.context = {
      self,
      clock: world.clock,
      crc32c,
      log: telemetry.log.child({ part: 'api' }),
      metrics: apiMetrics(telemetry),
      services: () => options.services(),
      health: () => options.health(),
    };
    this.server = new Server(
      serverOptions({
        messageBytesMax: LIMITS.clientMessageBytesMax,
        keepaliveTimeMs: KEEPALIVE_TIME_MS,
        keepaliveTimeoutMs: KEEPALIVE_TIMEOUT_MS,
      }),
    );
    this.server.addService(gatheringRecordsService(), recordsHandlers(this.context));
    this.server.addService(protoTypes().Cluster.service, clusterHandlers(this.context));
    this.server.addService(protoTypes().Groups.service, groupHandlers(this.context));
    this.healthService.addToServer(this.server);
  }

  /** Resolves with the port; rejects if it cannot be bound. */
  async listen(host: string, port: number): Promise<number> {
    if (this.options.reflection) {
      // What tells of the protocol is loaded only where it is told.
      const { addReflection } = await import('./reflection.js');
      addReflection(this.server);
    }
    this.listener = await listenOn(this.server, { host, port }, this.context.log);
    this.tellHealth();
    const { timers } = this.options.world;
    this.cancelPoll = timers.every(HEALTH_POLL_MS, () => this.tellHealth());
    return this.listener.port;
  }

  /** Lets calls under way finish within graceMs. Idempotent. */
  async stop(graceMs: number): Promise<void> {
    this.cancelPoll?.();
    this.cancelPoll = undefined;
    for (const service of SERVICES) this.healthService.setStatus(service, 'NOT_SERVING');
    const listener = this.listener;
    this.listener = undefined;
    await listener?.stop(graceMs);
  }

  private tellHealth(): void {
    const status = this.options.health().ready ? 'SERVING' : 'NOT_SERVING';
    for (const service of SERVICES) this.healthService.setStatus(service, status);
  }
}
