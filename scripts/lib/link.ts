import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

import { Prng } from '../../src/base/prng.js';

/** How a link is; `slow` loses nothing, as TCP does not: a lost chunk arrives later, and all behind it. */
export type LinkState =
  | { readonly kind: 'open' }
  /** Connections are reset, and new ones refused. */
  | { readonly kind: 'cut' }
  /** Nothing arrives and no socket closes. What is still wanted when it ends arrives then. */
  | { readonly kind: 'silent' }
  | {
      readonly kind: 'slow';
      readonly delayMs: number;
      readonly jitterMs: number;
      /** Share of chunks that have to be sent again, which takes `resendMs` each time. */
      readonly lostShare: number;
      readonly resendMs: number;
    };

interface Held {
  readonly chunk: Buffer;
  readonly dueAt: number;
}

const HELD_BYTES_MAX = 64 << 20;
const LOOK_EVERY_MS = 10;

/**
 * One way from one party to one port: a TCP proxy of its own. Invariant: while nobody listens on the
 * port behind it, nobody listens here, so that whoever tells a dead process by its refusal still can.
 */
export class Link {
  /** Chunks that were sent again. */
  resent = 0;
  private readonly target: number;
  private readonly prng: Prng;
  private readonly pairs = new Set<Pair>();
  private server: Server | undefined;
  private port = 0;
  private current: LinkState = { kind: 'open' };
  private isGone = false;
  private isStopped = false;

  constructor(target: number, seed: number) {
    this.target = target;
    this.prng = new Prng(seed);
  }

  /** Resolves with the port that stands for the target; always the same one. */
  async listen(): Promise<number> {
    while (this.server === undefined && !this.isStopped) {
      const server = createServer({ noDelay: true }, (near) => this.accept(near));
      this.server = server;
      const isBound = await new Promise<boolean>((resolve) => {
        server.once('error', () => resolve(false));
        server.listen(this.port, '127.0.0.1', () => resolve(true));
      });
      const address = server.address();
      if (isBound && address !== null && typeof address !== 'string') this.port = address.port;
      // Somebody's outgoing connection has the port for a moment.
      else {
        if (this.server === server) this.server = undefined;
        await pause(LOOK_EVERY_MS);
      }
    }
    return this.port;
  }

  /** That go through it now. */
  get connections(): number {
    return this.pairs.size;
  }

  get state(): LinkState {
    return this.current;
  }

  async set(state: LinkState): Promise<void> {
    this.current = state;
    if (state.kind === 'cut') {
      this.deafen();
      for (const pair of this.pairs) pair.reset();
      return;
    }
    if (!this.isGone) await this.listen();
    for (const pair of this.pairs) pair.update();
  }

  stop(): void {
    this.isStopped = true;
    this.deafen();
    for (const pair of this.pairs) pair.reset();
  }

  /** When a chunk that comes now may go on. */
  dueAt(): number {
    const now = performance.now();
    if (this.current.kind !== 'slow') return now;
    const { delayMs, jitterMs, lostShare, resendMs } = this.current;
    let dueAt = now + delayMs + (this.prng.float() * 2 - 1) * jitterMs;
    while (this.prng.chance(lostShare)) {
      dueAt += resendMs;
      this.resent += 1;
    }
    return dueAt;
  }

  private accept(near: Socket): void {
    const pair = new Pair(this, near, this.target, {
      ended: () => this.pairs.delete(pair),
      refused: () => void this.mirror(),
    });
    this.pairs.add(pair);
  }

  private deafen(): void {
    this.server?.close();
    this.server = undefined;
  }

  /** The target's process is gone: refuses as it would, until it is back. */
  private async mirror(): Promise<void> {
    if (this.isGone) return;
    this.isGone = true;
    this.deafen();
    while (!this.isStopped && !(await answers(this.target))) await pause(LOOK_EVERY_MS);
    this.isGone = false;
    if (!this.isStopped && this.current.kind !== 'cut') await this.listen();
  }
}

/** One connection through a link: two sockets, and what is on its way between them. */
class Pair {
  private readonly link: Link;
  private readonly near: Socket;
  private readonly target: number;
  private readonly events: { ended(): void; refused(): void };
  private far: Socket | undefined;
  private isOver = false;

  constructor(
    link: Link,
    near: Socket,
    target: number,
    events: { ended(): void; refused(): void },
  ) {
    this.link = link;
    this.near = near;
    this.target = target;
    this.events = events;
    near.pause();
    near.on('error', () => this.reset());
    near.on('close', () => this.reset());
    this.update();
  }

  /** The link's state changed. */
  update(): void {
    if (this.isOver) return;
    if (this.link.state.kind === 'silent') {
      this.near.pause();
      this.far?.pause();
    } else if (this.far === undefined) this.connect();
    else {
      this.near.resume();
      this.far.resume();
    }
  }

  reset(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.near.resetAndDestroy();
    this.far?.resetAndDestroy();
    this.events.ended();
  }

  private connect(): void {
    const far = connect({ port: this.target, host: '127.0.0.1', noDelay: true });
    this.far = far;
    far.on('error', (error: NodeJS.ErrnoException) => {
      // Before the other end hears of it: its next attempt must be refused.
      if (error.code === 'ECONNREFUSED') this.events.refused();
      this.reset();
    });
    far.on('close', () => this.reset());
    this.relay(this.near, far);
    this.relay(far, this.near);
    this.near.resume();
  }

  /** Bytes keep their order whatever delays them. */
  private relay(from: Socket, to: Socket): void {
    const held: Held[] = [];
    let heldBytes = 0;
    let lastDueAt = 0;
    let timer: NodeJS.Timeout | undefined;
    const isSilent = (): boolean => this.link.state.kind === 'silent';
    const release = (): void => {
      timer = undefined;
      const now = performance.now();
      while (!isSilent()) {
        const head = held[0];
        if (head === undefined || head.dueAt > now) break;
        held.shift();
        heldBytes -= head.chunk.length;
        to.write(head.chunk);
      }
      if (heldBytes < HELD_BYTES_MAX && !isSilent()) from.resume();
      const next = held[0];
      if (next !== undefined && !this.isOver)
        timer = setTimeout(release, Math.max(LOOK_EVERY_MS, next.dueAt - now));
    };
    from.on('data', (chunk: Buffer) => {
      const dueAt = Math.max(this.link.dueAt(), lastDueAt);
      if (held.length === 0 && dueAt <= performance.now()) {
        to.write(chunk);
        return;
      }
      lastDueAt = dueAt;
      held.push({ chunk, dueAt });
      heldBytes += chunk.length;
      if (heldBytes >= HELD_BYTES_MAX) from.pause();
      timer ??= setTimeout(release, Math.max(1, dueAt - performance.now()));
    });
    from.on('end', () => to.end());
  }
}

/** Whether anybody listens on the port. */
async function answers(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
