import { setTimeout as pause } from 'node:timers/promises';

import { MillraceClient } from '../../src/client/index.js';
import type { HistoryWriter } from '../../test/checker/index.js';
import type { BrokerProcess } from '../lib/broker-process.js';
import type { ScriptCluster } from '../lib/script-cluster.js';
import type { Fault } from './gaps.js';

export interface Stage {
  readonly cluster: ScriptCluster;
  readonly topic: string;
  readonly partitions: number;
  readonly history: HistoryWriter;
  /** Longest write gap to allow instead of the fault's own, in ms. */
  readonly limitMs: number | undefined;
  /** True once the run's time is over or enough faults were made. */
  isOver(): boolean;
  faulted(fault: Fault): void;
  say(text: string): void;
}

/** Makes faults until the stage is over; leaves every broker running. */
export type Scenario = (stage: Stage) => Promise<void>;

const SETTLE_MS = 500;
/** The longest write gap a kill of a leader, of the whole cluster, or an orderly restart may cause. */
const KILL_LIMIT_MS = 1_500;
const KILL_ALL_LIMIT_MS = 10_000;
const TERM_LIMIT_MS = 500;
const COORDINATOR_EVERY_MS = 15_000;
const COORDINATOR_DOWN_MS = 2_000;

async function leaders(
  admin: MillraceClient['admin'],
  stage: Stage,
): Promise<Map<number, string[]>> {
  const { partitions } = await admin.describeTopic(stage.topic);
  const led = new Map<number, string[]>();
  for (const { partition, leader } of partitions) {
    if (leader === undefined) continue;
    led.set(leader, [...(led.get(leader) ?? []), `${stage.topic}/${partition}`]);
  }
  return led;
}

/** Every partition has a leader and all its replicas in sync: the next fault meets a whole cluster. */
async function whenWhole(admin: MillraceClient['admin'], stage: Stage): Promise<void> {
  const giveUpAt = performance.now() + 60_000;
  for (;;) {
    const description = await admin.describeTopic(stage.topic);
    const isWhole = description.partitions.every(
      (p) => p.leader !== undefined && p.replicas.every((replica) => replica.inSync),
    );
    if (isWhole) return;
    if (performance.now() > giveUpAt)
      throw new Error('the cluster did not become whole within 60 s');
    await pause(50);
  }
}

/** Fault after fault until the stage is over, each on a whole cluster. */
async function repeat(
  stage: Stage,
  fault: (admin: MillraceClient['admin'], turn: number) => Promise<void>,
): Promise<void> {
  const client = new MillraceClient({ bootstrap: stage.cluster.bootstrap });
  try {
    for (let turn = 0; !stage.isOver(); turn += 1) {
      await whenWhole(client.admin, stage);
      await fault(client.admin, turn);
    }
  } finally {
    await client.close();
  }
}

interface Hit {
  readonly brokers: readonly BrokerProcess[];
  /** Partitions that have to find another leader. */
  readonly keys: readonly string[];
  /** The longest write gap that this may cause, unless the run says otherwise. */
  readonly limitMs: number;
}

/** Kills these brokers all at once. */
async function kill(stage: Stage, { brokers, keys, limitMs }: Hit): Promise<void> {
  const atMs = performance.now();
  await Promise.all(brokers.map((broker) => broker.kill()));
  noteFault(stage, 'kill9', { brokers, keys, limitMs });
  stage.faulted({ atMs, keys });
}

function noteFault(stage: Stage, kind: 'kill9' | 'term', { brokers, limitMs }: Hit): void {
  const v = { kind, node: nodeOf(brokers), limitMs: stage.limitMs ?? limitMs };
  stage.history.event({ f: 'nemesis', v });
}

/** Starts brokers that were ended, and waits until they serve. */
async function start(stage: Stage, brokers: readonly BrokerProcess[]): Promise<void> {
  for (const broker of brokers) broker.start();
  await Promise.all(brokers.map((broker) => broker.ready()));
  stage.history.event({ f: 'nemesis', v: { kind: 'start', node: nodeOf(brokers) } });
}

function nodeOf(brokers: readonly BrokerProcess[]): number | number[] {
  const ids = brokers.map((broker) => broker.id);
  const [id] = ids;
  return id !== undefined && ids.length === 1 ? id : ids;
}

async function killLeader(stage: Stage): Promise<void> {
  await repeat(stage, async (admin, turn) => {
    const led = await leaders(admin, stage);
    const [node, keys] = [...led].sort((a, b) => b[1].length - a[1].length)[0] ?? [];
    if (node === undefined || keys === undefined) throw new Error('nobody leads');
    await pause(SETTLE_MS);
    const brokers = [stage.cluster.broker(node)];
    await kill(stage, { brokers, keys, limitMs: KILL_LIMIT_MS });
    stage.say(`kill ${turn + 1}: broker ${node}, which led ${keys.length} of ${stage.partitions}`);
    await pause(SETTLE_MS);
    await start(stage, brokers);
  });
}

async function killAll(stage: Stage): Promise<void> {
  const { brokers } = stage.cluster;
  const keys = Array.from({ length: stage.partitions }, (_, i) => `${stage.topic}/${i}`);
  await repeat(stage, async () => {
    await pause(SETTLE_MS);
    await kill(stage, { brokers, keys, limitMs: KILL_ALL_LIMIT_MS });
    await start(stage, brokers);
    stage.say('killed and restarted all brokers');
  });
}

async function rollingRestart(stage: Stage): Promise<void> {
  const { brokers } = stage.cluster;
  await repeat(stage, async (admin, turn) => {
    const broker = brokers[turn % brokers.length];
    if (broker === undefined) throw new Error('no broker');
    const keys = (await leaders(admin, stage)).get(broker.id) ?? [];
    await pause(SETTLE_MS);
    const atMs = performance.now();
    // Before it ends: it hands over what it leads first, and that may already be felt.
    noteFault(stage, 'term', { brokers: [broker], keys, limitMs: TERM_LIMIT_MS });
    stage.faulted({ atMs, keys });
    await broker.kill('SIGTERM');
    await start(stage, [broker]);
    stage.say(`restarted broker ${broker.id}, which led ${keys.length}`);
  });
}

/** The coordinator of consumer groups is the broker that leads the metadata group. */
async function killCoordinator(stage: Stage): Promise<void> {
  let kills = 0;
  let dueAt = performance.now() + COORDINATOR_EVERY_MS;
  await repeat(stage, async (admin) => {
    while (performance.now() < dueAt && !stage.isOver()) await pause(100);
    dueAt = Math.max(dueAt, performance.now()) + COORDINATOR_EVERY_MS;
    if (stage.isOver()) return;
    const { controller: node } = await admin.describeCluster();
    if (node === undefined) return;
    const keys = (await leaders(admin, stage)).get(node) ?? [];
    const brokers = [stage.cluster.broker(node)];
    await kill(stage, { brokers, keys, limitMs: KILL_LIMIT_MS });
    kills += 1;
    stage.say(`kill ${kills}: broker ${node}, the coordinator, which led ${keys.length} as well`);
    await pause(COORDINATOR_DOWN_MS);
    await start(stage, brokers);
  });
}

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'kill-leader': killLeader,
  'kill-all': killAll,
  'rolling-restart': rollingRestart,
  groups: killCoordinator,
};
