import type { Socket } from 'node:net';
import {
  logVerbosity,
  ServerCredentials,
  setLogVerbosity,
  type Server,
  type ServerOptions,
} from '@grpc/grpc-js';
import { LIMITS } from '../model/limits.js';
import type { Logger } from '../ports/telemetry.js';
import { formatAddress, sharedOptions } from './channel.js';
import { trackSockets } from './flow-control.js';

/**
 * For a process that is a broker: what gRPC has to say reaches us as errors, and it must not write to
 * standard error by itself.
 */
export function silenceGrpc(): void {
  setLogVerbosity(logVerbosity.NONE);
}

/** Options of both of a broker's gRPC servers. */
export function serverOptions(options: {
  readonly messageBytesMax: number;
  readonly keepaliveTimeMs: number;
  readonly keepaliveTimeoutMs: number;
}): ServerOptions {
  return {
    ...sharedOptions(options.messageBytesMax),
    'grpc.max_concurrent_streams': LIMITS.streamsPerConnectionMax,
    'grpc.keepalive_time_ms': options.keepaliveTimeMs,
    'grpc.keepalive_timeout_ms': options.keepaliveTimeoutMs,
  };
}

/** A bound port of a gRPC server. */
export interface Listener {
  readonly port: number;
  /** Lets calls under way finish within graceMs, then ends what is left. */
  stop(graceMs: number): Promise<void>;
}

/** Binds the server and widens its windows; rejects with the system's reason. */
export async function listenOn(
  server: Server,
  address: { readonly host: string; readonly port: number },
  log: Logger,
): Promise<Listener> {
  const port = await new Promise<number>((resolve, reject) => {
    const target = formatAddress(address.host, address.port);
    server.bindAsync(target, ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  const sockets = trackSockets(server);
  if (sockets === undefined) {
    log.warn(
      { port },
      'cannot reach the HTTP/2 sessions of this grpc-js: receive windows stay at 64 KiB, ' +
        'and links with latency will be slow',
    );
  }
  return { port, stop: (graceMs) => shutDown(server, sockets ?? new Set(), graceMs) };
}

async function shutDown(
  server: Server,
  sockets: ReadonlySet<Socket>,
  graceMs: number,
): Promise<void> {
  await new Promise<void>((resolve) => {
    const force = setTimeout(() => {
      // forceShutdown() of this grpc-js ends no connection unless channelz is on. A session that is
      // closing already would only end its half, and wait for a peer who may not care.
      for (const socket of sockets) socket.destroy();
      server.forceShutdown();
      resolve();
    }, graceMs);
    server.tryShutdown(() => {
      clearTimeout(force);
      resolve();
    });
  });
}
