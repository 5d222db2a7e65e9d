import net from 'node:net';

/**
 * A TCP proxy in front of one port, to slow, stall or cut connections. `bytesPerSecond` holds for
 * each connection's way to the target; `stalled` connections take nothing more from their client.
 */
export class TestProxy {
  private readonly server: net.Server;
  private readonly pairs = new Set<{ readonly near: net.Socket; readonly far: net.Socket }>();
  private readonly bytesPerSecond: number;

  constructor(options: { readonly bytesPerSecond?: number } = {}) {
    this.bytesPerSecond = options.bytesPerSecond ?? Infinity;
    this.server = net.createServer();
  }

  async listen(targetPort: number): Promise<number> {
    this.server.on('connection', (near) => this.connect(near, targetPort));
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    const address = this.server.address();
    if (address === null || typeof address === 'string') throw new Error('not a TCP port');
    return address.port;
  }

  /** Connections made so far that are still open. */
  get connections(): number {
    return this.pairs.size;
  }

  stall(): void {
    for (const { near } of this.pairs) near.pause();
  }

  resume(): void {
    for (const { near } of this.pairs) near.resume();
  }

  /** Every connection ends with a reset; new ones are still taken. */
  resetConnections(): void {
    for (const { near, far } of this.pairs) {
      near.resetAndDestroy();
      far.resetAndDestroy();
    }
  }

  /** As if the process behind it were killed: no more listening, every connection reset. */
  async die(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.resetConnections();
    await closed;
  }

  async stop(): Promise<void> {
    if (this.server.listening) await this.die();
  }

  private connect(near: net.Socket, targetPort: number): void {
    const far = net.connect({ host: '127.0.0.1', port: targetPort });
    const pair = { near, far };
    this.pairs.add(pair);
    near.setNoDelay(true);
    far.setNoDelay(true);
    const end = (): void => {
      this.pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    for (const socket of [near, far]) {
      socket.on('error', end);
      socket.on('close', end);
    }
    near.on('data', (chunk) => {
      far.write(chunk);
      if (this.bytesPerSecond === Infinity) return;
      near.pause();
      setTimeout(() => near.resume(), (chunk.length / this.bytesPerSecond) * 1000);
    });
    far.on('data', (chunk) => near.write(chunk));
  }
}
