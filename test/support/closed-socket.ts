import type net from 'node:net';

/** Ends when the socket is closed. `once` of Node's would reject if an error came first, such as a reset. */
export function closed(socket: net.Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}
