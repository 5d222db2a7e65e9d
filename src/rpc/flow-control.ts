import type { Server } from '@grpc/grpc-js';
import type { Http2Server } from 'node:http2';
import type { Socket } from 'node:net';
import { FLOW_CONTROL_WINDOW_BYTES } from './channel.js';

/**
 * What grpc-js leaves out on the server's side: receive windows wider than 64 KiB (one round trip for
 * every 64 KiB a client sends), and an end to connections that do not end by themselves. The HTTP/2
 * servers are no part of its public surface: this file alone reaches for them, package.json pins the
 * version, and a test fails when they are gone.
 *
 * To be called after binding. Undefined if the servers could not be reached: the caller then warns,
 * as everything still works, only slower over links with latency.
 */
export function trackSockets(server: Server): ReadonlySet<Socket> | undefined {
  const servers = http2ServersOf(server);
  if (servers.length === 0) return undefined;
  const sockets = new Set<Socket>();
  for (const http2Server of servers) {
    http2Server.on('session', (session) => {
      session.settings({ initialWindowSize: FLOW_CONTROL_WINDOW_BYTES });
      session.setLocalWindowSize(FLOW_CONTROL_WINDOW_BYTES);
    });
    http2Server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    });
  }
  return sockets;
}

function http2ServersOf(server: Server): Http2Server[] {
  const { http2Servers } = server as unknown as { http2Servers?: unknown };
  if (!(http2Servers instanceof Map)) return [];
  const isHttp2Server = (key: unknown): key is Http2Server =>
    typeof key === 'object' && key !== null && 'on' in key && 'listen' in key;
  return [...http2Servers.keys()].filter(isHttp2Server);
}
