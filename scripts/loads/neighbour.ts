/**
 * A small group of other people on the same cluster, in a process of its own: a producer that sends a
 * record every few milliseconds, one member that reads it, and how long each took. So a load can tell
 * what it does to those beside it. Forked with its settings; told over IPC when a stretch ends.
 */
import { fork, type ChildProcess } from 'node:child_process';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { type GroupConsumer, MillraceClient } from '../../src/client/index.js';
import { median } from '../bench/statistics.js';
import type { LoadStage } from './stage.js';

export interface Stretch {
  /** From sending to the acknowledgement. */
  readonly ackMs: readonly number[];
  /** From sending to the member that reads it. */
  readonly deliveryMs: readonly number[];
  readonly failed: number;
}

interface Settings {
  readonly bootstrap: readonly string[];
  readonly topic: string;
  readonly everyMs: number;
}

const TOPIC = 'neighbour';
const EVERY_MS = 20;
const FIRST_RECORDS = 20;
/** What the median of deliveries may rise to beside a load that only stands there. */
const HARMED_FACTOR = 3;
const HARMED_MS = 100;
/** Shorter stretches tell of what the one before left behind, and of how busy the machine is. */
const JUDGED_SECONDS_MIN = 2;

export class Neighbour {
  private readonly child: ChildProcess;
  private waiting: ((stretch: Stretch) => void)[] = [];
  private isGone = false;

  private constructor(child: ChildProcess) {
    this.child = child;
    child.on('message', (stretch: Stretch) => this.waiting.shift()?.(stretch));
    child.once('exit', () => {
      this.isGone = true;
      for (const each of this.waiting.splice(0)) each({ ackMs: [], deliveryMs: [], failed: -1 });
    });
  }

  /** Resolves once its first records were delivered. */
  static async moveIn(stage: LoadStage): Promise<Neighbour> {
    const client = stage.client();
    await client.admin.createTopic({ topic: TOPIC, partitions: 3, replicationFactor: 3 });
    const settings: Settings = {
      bootstrap: stage.cluster.bootstrap,
      topic: TOPIC,
      everyMs: EVERY_MS,
    };
    const child = fork(fileURLToPath(import.meta.url), [JSON.stringify(settings)], {
      execArgv: ['--import', 'tsx'],
    });
    const neighbour = new Neighbour(child);
    stage.onEnd(() => child.kill('SIGKILL'));
    await neighbour.next();
    return neighbour;
  }

  /** Ends a stretch and says what it was like; the first ends when everything is running. */
  async next(): Promise<Stretch> {
    if (this.isGone) return { ackMs: [], deliveryMs: [], failed: -1 };
    return await new Promise((resolve) => {
      this.waiting.push(resolve);
      this.child.send('next', () => undefined);
    });
  }

  /** Ends a stretch and puts its figures beside the others. */
  async note(stage: LoadStage, when: string): Promise<Stretch> {
    const stretch = await this.next();
    stage.findings.times(`neighbour's delivery ${when}`, stretch.deliveryMs);
    stage.findings.times(`neighbour's acknowledgements ${when}`, stretch.ackMs);
    stage.findings.must(stretch.failed === 0, `${stretch.failed} of the neighbour's sends failed`);
    stage.findings.needs(stretch.deliveryMs.length > 0, `the neighbour read nothing ${when}`);
    return stretch;
  }

  /** Lets so much time go by in which the load does nothing, and notes what that was like. */
  async noteQuiet(stage: LoadStage, seconds: number, when: string): Promise<Stretch> {
    await pause(seconds * 1000);
    return await this.note(stage, when);
  }
}

/** Whether a load that is not doing anything at the moment is felt by those beside it. */
export function judgeUnharmed(
  stage: LoadStage,
  quiet: { readonly seconds: number; readonly before: Stretch; readonly beside: Stretch },
): void {
  const { seconds, before, beside } = quiet;
  if (seconds < JUDGED_SECONDS_MIN) return;
  const limitMs = median(before.deliveryMs) * HARMED_FACTOR + HARMED_MS;
  const ms = median(beside.deliveryMs);
  stage.findings.must(
    !(ms > limitMs),
    `the neighbour's median delivery rose to ${ms.toFixed(0)} ms, over ${limitMs.toFixed(0)} ms`,
  );
}

async function live({ bootstrap, topic, everyMs }: Settings): Promise<void> {
  const client = new MillraceClient({ bootstrap });
  const producer = client.producer({ lingerMs: 0 });
  let ackMs: number[] = [];
  let deliveryMs: number[] = [];
  let failed = 0;
  let isRunning = false;
  /** Records from before the reader had its partitions say nothing of how long delivery takes. */
  let countedFrom = Number.POSITIVE_INFINITY;
  const orders: (() => void)[] = [];
  const answer = (): void => {
    const stretch: Stretch = { ackMs, deliveryMs, failed };
    ackMs = [];
    deliveryMs = [];
    failed = 0;
    process.send?.(stretch);
  };
  process.on('message', () => {
    if (isRunning) answer();
    else orders.push(answer);
  });
  process.on('disconnect', () => process.exit(0));
  const reader = client.groupConsumer({ group: topic, topics: [topic] });
  let delivered = 0;
  void read(reader, (sentAt) => {
    const now = performance.now();
    delivered += 1;
    if (sentAt >= countedFrom) deliveryMs.push(now - sentAt);
    if (isRunning || delivered < FIRST_RECORDS) return;
    isRunning = true;
    countedFrom = now;
    for (const each of orders.splice(0)) each();
  });
  for (let i = 0, dueAt = performance.now(); ; i += 1, dueAt += everyMs) {
    while (performance.now() < dueAt) await pause(Math.max(1, dueAt - performance.now()));
    const sentAt = dueAt;
    void producer.send({ topic, partition: i % 3, value: String(sentAt) }).then(
      () => ackMs.push(performance.now() - sentAt),
      () => (failed += 1),
    );
  }
}

async function read(reader: GroupConsumer, took: (sentAt: number) => void): Promise<void> {
  for await (const { value } of reader) took(Number(Buffer.from(value ?? []).toString()));
}

if (process.send !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) {
  await live(JSON.parse(process.argv[2] ?? '{}') as Settings);
}
