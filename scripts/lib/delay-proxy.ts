/**
 * TCP proxies that hold every byte back for a set time each way, in a process of their own so that
 * their work is not counted as anybody's. Forked with `<delayMs>`; told over IPC which ports to stand
 * before, it answers with its own, and told another delay, it holds back for that from then on.
 */
import { fork } from 'node:child_process';
import { connect, createServer, type Socket } from 'node:net';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

type Order =
  | { readonly kind: 'stand'; readonly target: number }
  | { readonly kind: 'delay'; readonly delayMs: number };
interface Answer {
  readonly target: number;
  readonly port: number;
}

/** Bytes held back a direction before the sender is paused. */
const HELD_BYTES_MAX = 64 << 20;

interface Delay {
  ms: number;
}

function relay(from: Socket, to: Socket, delay: Delay): void {
  const held: { readonly chunk: Buffer; readonly dueAt: number }[] = [];
  let heldBytes = 0;
  let timer: NodeJS.Timeout | undefined;
  const release = (): void => {
    timer = undefined;
    const now = performance.now();
    for (let head = held[0]; head !== undefined && head.dueAt <= now; head = held[0]) {
      held.shift();
      heldBytes -= head.chunk.length;
      to.write(head.chunk);
    }
    if (heldBytes < HELD_BYTES_MAX) from.resume();
    if (held[0] !== undefined) timer = setTimeout(release, Math.max(0, held[0].dueAt - now));
  };
  from.on('data', (chunk: Buffer) => {
    // A timer takes a millisecond at least.
    if (delay.ms === 0 && held.length === 0) {
      if (to.write(chunk)) return;
      from.pause();
      to.once('drain', () => from.resume());
      return;
    }
    held.push({ chunk, dueAt: performance.now() + delay.ms });
    heldBytes += chunk.length;
    if (heldBytes >= HELD_BYTES_MAX) from.pause();
    timer ??= setTimeout(release, delay.ms);
  });
  from.on('close', () => to.destroy());
  from.on('error', () => to.destroy());
}

function stand(target: number, delay: Delay): Promise<number> {
  const server = createServer({ noDelay: true }, (near) => {
    const far = connect({ port: target, host: '127.0.0.1', noDelay: true });
    relay(near, far, delay);
    relay(far, near, delay);
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      if (address === null || typeof address === 'string') reject(new Error('no port'));
      else resolve(address.port);
    });
  });
}

export interface DelayProxies {
  before(target: number): Promise<number>;
  /** From now on; bytes on their way keep the old one. */
  setDelay(delayMs: number): void;
  stop(): void;
}

export function startDelayProxies(delayMs: number): DelayProxies {
  const child = fork(fileURLToPath(import.meta.url), [String(delayMs)], {
    execArgv: ['--import', 'tsx'],
  });
  return {
    before: (target) =>
      new Promise((resolve) => {
        const answered = (message: unknown): void => {
          const answer = message as Answer;
          if (answer.target !== target) return;
          child.off('message', answered);
          resolve(answer.port);
        };
        child.on('message', answered);
        child.send({ kind: 'stand', target } satisfies Order);
      }),
    setDelay: (ms) => void child.send({ kind: 'delay', delayMs: ms } satisfies Order),
    stop: () => child.kill('SIGKILL'),
  };
}

if (process.send !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) {
  const delay: Delay = { ms: Number(process.argv[2]) };
  process.on('message', (order: Order) => {
    if (order.kind === 'delay') {
      delay.ms = order.delayMs;
      return;
    }
    void stand(order.target, delay).then((port) =>
      process.send?.({ target: order.target, port } satisfies Answer),
    );
  });
  process.on('disconnect', () => process.exit(0));
}
