import { FAULTS } from '../limits.js';
import type { Scenario, Stage } from '../scenario.js';
import { anybody, busiest, bystander, controller, type Target, upTo } from './targets.js';

const SETTLE_MS = 500;
const DOWN_MS = 2_000;
/** Twice an election timeout at its longest. */
const STOPPED_MS = 4_000;
/** What a fault may cost that hits nobody who leads. */
const BYSTANDER_LIMIT_MS = 500;

async function killOne(stage: Stage, kind: string, target: Target, downMs: number): Promise<void> {
  const { node, keys } = target;
  await stage.kill({ kind, nodes: [node], keys });
  stage.say(`killed broker ${node}, which led ${keys.length} of ${stage.partitions}`);
  await stage.rest(downMs);
  await stage.start([node]);
}

/** Limits of a fault that should find nobody leading; one that still led is a leader's fault. */
function limitOf(target: Target, leaderLimitMs: number): number {
  return target.keys.length === 0 ? BYSTANDER_LIMIT_MS : leaderLimitMs;
}

async function killAll(stage: Stage): Promise<void> {
  const keys = Array.from({ length: stage.partitions }, (_, i) => `${stage.topic}/${i}`);
  const { ids } = stage.cluster;
  await stage.rest(SETTLE_MS);
  await stage.kill({ kind: 'kill-all', nodes: ids, keys });
  await Promise.all(
    shuffled(ids, stage).map(async (id, place) => {
      await new Promise((resolve) => setTimeout(resolve, place * stage.prng.int(200)));
      await stage.start([id]);
    }),
  );
  stage.say('killed and restarted all brokers');
}

function shuffled(ids: readonly number[], stage: Stage): number[] {
  return ids
    .map((id) => ({ id, at: stage.prng.u32() }))
    .sort((a, b) => a.at - b.at)
    .map(({ id }) => id);
}

async function stopProcess(
  stage: Stage,
  kind: string,
  { node, keys }: Target,
  options: { readonly ms: number; readonly limitMs?: number },
): Promise<void> {
  const { ms, ...limit } = options;
  const broker = stage.broker(node);
  broker.signal('SIGSTOP');
  stage.fault({ kind, nodes: [node], keys, ...limit });
  stage.say(`stopped broker ${node} for ${ms / 1000} s, which led ${keys.length}`);
  try {
    await stage.rest(ms);
  } finally {
    if (broker.isRunning) broker.signal('SIGCONT');
    stage.repair('continue', [node]);
  }
}

async function terminate(stage: Stage, node: number): Promise<void> {
  const keys = (await stage.leaders()).get(node) ?? [];
  // Before it ends: it hands over what it leads first, and that may already be felt.
  const isOver = stage.fault({ kind: 'term', nodes: [node], keys });
  await stage.broker(node).kill('SIGTERM');
  isOver();
  await stage.start([node]);
  stage.say(`restarted broker ${node}, which led ${keys.length}`);
}

/** The broker whose turn it is. */
function inTurn(stage: Stage, turn: number): number {
  const { ids } = stage.cluster;
  return ids[turn % ids.length] ?? 1;
}

/** Processes that end, or stand still. */
export const KILLS: readonly Scenario[] = [
  {
    id: 'D01',
    title: 'no faults',
    onWhole: false,
    faultsMin: 0,
    strike: async (stage) => {
      const before = await epochs(stage);
      await stage.rest(stage.seconds * 1_000);
      const after = await epochs(stage);
      const changes = after.reduce((sum, epoch, i) => sum + epoch - (before[i] ?? 0), 0);
      stage.count('leader changes without a fault', changes);
    },
  },
  {
    id: 'D02',
    alias: 'kill-leader',
    title: 'kill -9 of the broker that leads most partitions, every 15 s',
    everyMs: 15_000,
    random: 'alone',
    strike: async (stage) => {
      await stage.rest(SETTLE_MS);
      await killOne(stage, 'kill-leader', await busiest(stage), SETTLE_MS);
    },
  },
  {
    id: 'D03',
    title: 'kill -9 of the metadata leader, every 15 s',
    everyMs: 15_000,
    random: 'alone',
    strike: async (stage) => {
      const target = await controller(stage);
      if (target === undefined) await stage.rest(SETTLE_MS);
      else await killOne(stage, 'kill-metadata-leader', target, DOWN_MS);
    },
  },
  {
    id: 'D04',
    title: 'kill -9 of a broker that only follows, every 5 s',
    everyMs: 5_000,
    random: 'alone',
    strike: async (stage) => {
      const target = await bystander(stage);
      if (stage.isOver()) return;
      const { node, keys } = target;
      const limitMs = limitOf(target, FAULTS['kill-broker'].max);
      await stage.kill({ kind: 'kill-follower', nodes: [node], keys, limitMs });
      await stage.rest(SETTLE_MS);
      await stage.start([node]);
    },
  },
  {
    id: 'D05',
    alias: 'kill-all',
    title: 'kill -9 of all brokers together, restarted in random order',
    random: 'alone',
    strike: killAll,
  },
  {
    id: 'D06',
    alias: 'rolling-restart',
    title: 'rolling restart with SIGTERM, 15 s apart',
    everyMs: 15_000,
    random: 'alone',
    strike: async (stage, turn) => {
      await stage.rest(SETTLE_MS);
      await terminate(stage, inTurn(stage, turn));
    },
  },
  {
    id: 'D07',
    title: 'rolling kill -9, 15 s apart',
    everyMs: 15_000,
    strike: async (stage, turn) => {
      const node = inTurn(stage, turn);
      const keys = (await stage.leaders()).get(node) ?? [];
      await killOne(stage, 'kill-broker', { node, keys }, SETTLE_MS);
    },
  },
  {
    id: 'D08',
    title: 'SIGSTOP of a leader for twice an election timeout, then SIGCONT',
    everyMs: 10_000,
    random: 'alone',
    strike: async (stage) => {
      const target = await busiest(stage);
      await stopProcess(stage, 'stop-leader', target, { ms: STOPPED_MS });
    },
  },
  {
    id: 'D09',
    title: 'SIGSTOP of a follower for a minute, then SIGCONT: it catches up',
    random: 'alone',
    strike: async (stage) => {
      const target = await bystander(stage);
      if (stage.isOver()) return;
      await stopProcess(stage, 'stop-follower', target, {
        ms: upTo(stage, 60, 0.3),
        limitMs: limitOf(target, FAULTS['stop-leader'].max),
      });
    },
  },
  {
    id: 'groups',
    title: 'kill -9 of the coordinator every 15 s while members of a group come and go',
    needs: { churn: true },
    everyMs: 15_000,
    strike: async (stage) => {
      const target = (await controller(stage)) ?? (await anybody(stage));
      await killOne(stage, 'kill-metadata-leader', target, DOWN_MS);
    },
  },
];

async function epochs(stage: Stage): Promise<number[]> {
  const { partitions } = await stage.admin.describeTopic(stage.topic);
  return partitions.map(({ leaderEpoch }) => leaderEpoch);
}
