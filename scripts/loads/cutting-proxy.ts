import { connect, createServer, type Server, type Socket } from 'node:net';

/**
 * A TCP proxy before a broker that can swallow answers: what clients send still reaches the broker,
 * what it answers is lost, and then the connections break.
 */
export class CuttingProxy {
  private readonly server: Server = createServer({ noDelay: true });
  private readonly pairs = new Set<readonly [Socket, Socket]>();
  private isSwallowing = false;
  /** Bytes of answers that nobody got. */
  swallowedBytes = 0;

  async listen(target: number): Promise<number> {
    this.server.on('connection', (near) => this.relay(near, target));
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(0, '127.0.0.1', resolve);
    });
    const address = this.server.address();
    if (address === null || typeof address === 'string') throw new Error('not a TCP port');
    return address.port;
  }

  /** From now on no answer comes through. */
  swallow(): void {
    this.isSwallowing = true;
  }

  /** Breaks all connections; the next ones work. */
  cut(): void {
    for (const [near, far] of this.pairs) {
      near.resetAndDestroy();
      far.resetAndDestroy();
    }
    this.isSwallowing = false;
  }

  async stop(): Promise<void> {
    if (!this.server.listening) return;
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.cut();
    await closed;
  }

  private relay(near: Socket, target: number): void {
    const far = connect({ port: target, host: '127.0.0.1', noDelay: true });
    const pair = [near, far] as const;
    this.pairs.add(pair);
    for (const socket of pair) {
      socket.on('error', () => this.end(pair));
      socket.on('close', () => this.end(pair));
    }
    near.pipe(far);
    far.on('data', (chunk: Buffer) => {
      if (this.isSwallowing) {
        this.swallowedBytes += chunk.length;
        return;
      }
      if (near.write(chunk)) return;
      far.pause();
      near.once('drain', () => far.resume());
    });
  }

  private end(pair: readonly [Socket, Socket]): void {
    this.pairs.delete(pair);
    for (const socket of pair) socket.destroy();
  }
}
