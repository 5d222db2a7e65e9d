import { setTimeout as pause } from 'node:timers/promises';

import { MillraceClient } from '../../src/client/index.js';
import type { HistoryWriter } from '../../test/checker/index.js';
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
const COORDINATOR_EVERY_MS = 12_000;
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

async function killLeader(stage: Stage): Promise<void> {
  const client = new MillraceClient({ bootstrap: stage.cluster.bootstrap });
  let kills = 0;
  while (!stage.isOver()) {
    await whenWhole(client.admin, stage);
    const led = await leaders(client.admin, stage);
    const [node, keys] = [...led].sort((a, b) => b[1].length - a[1].length)[0] ?? [];
    if (node === undefined || keys === undefined) throw new Error('nobody leads');
    await pause(SETTLE_MS);
    const broker = stage.cluster.broker(node);
    const atMs = performance.now();
    await broker.kill();
    stage.history.event({
      f: 'nemesis',
      v: { kind: 'kill9', node, limitMs: stage.limitMs ?? KILL_LIMIT_MS },
    });
    stage.faulted({ atMs, keys });
    kills += 1;
    stage.say(`kill ${kills}: broker ${node}, which led ${keys.length} of ${stage.partitions}`);
    await pause(SETTLE_MS);
    broker.start();
    await broker.ready();
    stage.history.event({ f: 'nemesis', v: { kind: 'start', node } });
  }
  await client.close();
}

async function killAll(stage: Stage): Promise<void> {
  const client = new MillraceClient({ bootstrap: stage.cluster.bootstrap });
  const { brokers } = stage.cluster;
  const keys = Array.from({ length: stage.partitions }, (_, i) => `${stage.topic}/${i}`);
  while (!stage.isOver()) {
    await whenWhole(client.admin, stage);
    await pause(SETTLE_MS);
    const atMs = performance.now();
    await Promise.all(brokers.map((broker) => broker.kill()));
    const node = brokers.map((broker) => broker.id);
    stage.history.event({
      f: 'nemesis',
      v: { kind: 'kill9', node, limitMs: stage.limitMs ?? KILL_ALL_LIMIT_MS },
    });
    stage.faulted({ atMs, keys });
    for (const broker of brokers) broker.start();
    await Promise.all(brokers.map((broker) => broker.ready()));
    stage.history.event({ f: 'nemesis', v: { kind: 'start', node } });
    stage.say('killed and restarted all brokers');
  }
  await client.close();
}

async function rollingRestart(stage: Stage): Promise<void> {
  const client = new MillraceClient({ bootstrap: stage.cluster.bootstrap });
  for (let i = 0; !stage.isOver(); i += 1) {
    await whenWhole(client.admin, stage);
    const broker = stage.cluster.brokers[i % stage.cluster.brokers.length];
    if (broker === undefined) throw new Error('no broker');
    const keys = (await leaders(client.admin, stage)).get(broker.id) ?? [];
    await pause(SETTLE_MS);
    const atMs = performance.now();
    stage.history.event({
      f: 'nemesis',
      v: { kind: 'term', node: broker.id, limitMs: stage.limitMs ?? TERM_LIMIT_MS },
    });
    stage.faulted({ atMs, keys });
    await broker.kill('SIGTERM');
    broker.start();
    await broker.ready();
    stage.history.event({ f: 'nemesis', v: { kind: 'start', node: broker.id } });
    stage.say(`restarted broker ${broker.id}, which led ${keys.length}`);
  }
  await client.close();
}

/** The coordinator of consumer groups is the broker that leads the metadata group. */
async function killCoordinator(stage: Stage): Promise<void> {
  const client = new MillraceClient({ bootstrap: stage.cluster.bootstrap });
  let kills = 0;
  while (!stage.isOver()) {
    await whenWhole(client.admin, stage);
    for (let waited = 0; waited < COORDINATOR_EVERY_MS && !stage.isOver(); waited += 100) {
      await pause(100);
    }
    if (stage.isOver()) break;
    const { controller: node } = await client.admin.describeCluster();
    if (node === undefined) continue;
    const keys = (await leaders(client.admin, stage)).get(node) ?? [];
    const broker = stage.cluster.broker(node);
    const atMs = performance.now();
    await broker.kill();
    stage.history.event({
      f: 'nemesis',
      v: { kind: 'kill9', node, limitMs: stage.limitMs ?? KILL_LIMIT_MS },
    });
    stage.faulted({ atMs, keys });
    kills += 1;
    stage.say(`kill ${kills}: broker ${node}, the coordinator, which led ${keys.length} as well`);
    await pause(COORDINATOR_DOWN_MS);
    broker.start();
    await broker.ready();
    stage.history.event({ f: 'nemesis', v: { kind: 'start', node } });
  }
  await client.close();
}

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'kill-leader': killLeader,
  'kill-all': killAll,
  'rolling-restart': rollingRestart,
  groups: killCoordinator,
};
