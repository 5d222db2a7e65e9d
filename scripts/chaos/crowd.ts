/**
 * Clients that ask for nothing, and ones that come and go, in a process of their own: the parent's side is
 * {@link Crowd}; forked, this file is the process itself.
 */
import { type ChildProcess, fork } from 'node:child_process';
import http2 from 'node:http2';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { GrpcTransport } from '../../src/client/grpc-transport.js';

export interface CrowdSettings {
  /** `host:port` of each broker. */
  readonly bootstrap: readonly string[];
  readonly idle: number;
  readonly reconnecting: number;
}

export interface CrowdCounts {
  /** Idle connections that are open now. */
  readonly open: number;
  /** Idle connections that broke and were made again. */
  readonly broken: number;
  /** Clients that connected, were answered and left. */
  readonly visits: number;
  /** Ones that were not answered. */
  readonly failed: number;
}

const REOPEN_AFTER_MS = 200;
const VISIT_EVERY_MS = 2_000;
const VISIT_MS_MAX = 5_000;
const TELL_EVERY_MS = 200;
const HANDFUL = 20;
const HANDFUL_MS = 20;

/** The process that holds the crowd. */
export class Crowd {
  counts: CrowdCounts = { open: 0, broken: 0, visits: 0, failed: 0 };
  private readonly child: ChildProcess;

  constructor(settings: CrowdSettings) {
    this.child = fork(fileURLToPath(import.meta.url), [JSON.stringify(settings)], {
      stdio: ['ignore', 2, 2, 'ipc'],
      execArgv: ['--import', 'tsx'],
    });
    this.child.on('message', (counts: CrowdCounts) => (this.counts = counts));
  }

  stop(): void {
    this.child.kill('SIGKILL');
  }
}

async function hold(settings: CrowdSettings): Promise<never> {
  const counts = { open: 0, broken: 0, visits: 0, failed: 0 };
  setInterval(() => process.send?.(counts), TELL_EVERY_MS);
  const addressOf = (i: number): string => settings.bootstrap[i % settings.bootstrap.length] ?? '';
  for (let i = 0; i < settings.idle; i += 1) {
    keepOpen(addressOf(i), counts);
    if (i % HANDFUL === HANDFUL - 1) await pause(HANDFUL_MS);
  }
  const visitors = Array.from({ length: settings.reconnecting }, async (_, i) => {
    await pause((VISIT_EVERY_MS * i) / settings.reconnecting);
    for (let turn = i; ; turn += 1) {
      if (await visit(addressOf(turn))) counts.visits += 1;
      else counts.failed += 1;
      await pause(VISIT_EVERY_MS);
    }
  });
  return await Promise.race(visitors);
}

type MutableCounts = { -readonly [Name in keyof CrowdCounts]: number };

function keepOpen(address: string, counts: MutableCounts): void {
  const session = http2.connect(`http://${address}`);
  let isOpen = false;
  session.on('connect', () => {
    isOpen = true;
    counts.open += 1;
  });
  session.on('error', () => undefined);
  session.on('close', () => {
    if (isOpen) {
      counts.open -= 1;
      counts.broken += 1;
    }
    setTimeout(() => keepOpen(address, counts), REOPEN_AFTER_MS);
  });
}

/** A client that asks who leads what, over a connection of its own. */
async function visit(address: string): Promise<boolean> {
  const transport = new GrpcTransport();
  const [host = '', port] = address.split(':');
  const request = { topics: [], linearizable: false };
  try {
    const deadline = { deadlineMs: VISIT_MS_MAX };
    await transport.call({ host, port: Number(port) }, 'getMetadata', request, deadline);
    return true;
  } catch {
    return false;
  } finally {
    transport.close();
  }
}

if (process.send !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) {
  process.on('disconnect', () => process.exit(0));
  await hold(JSON.parse(process.argv[2] ?? '{}') as CrowdSettings);
}
