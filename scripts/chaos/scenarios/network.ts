import type { LinkState } from '../../lib/link.js';
import { FAULTS } from '../limits.js';
import type { Scenario, Stage } from '../scenario.js';
import { busiest, bystander, type Target, upTo } from './targets.js';

const ISOLATED_MS = 8_000;
const UNREACHABLE_MS = 6_000;
const SPLIT_MS = 8_000;
const NEXT_SPLIT_MS = 10_000;
const BETWEEN_MS = 2_000;
/** Clients find a broker that they can reach again. */
const REACHED_AGAIN_MS = 8_000;
const REJOIN_LIMIT_MS = 1_500;
const SLOW: LinkState = {
  kind: 'slow',
  delayMs: 100,
  jitterMs: 50,
  lostShare: 0.3,
  // What TCP waits at least before it sends a segment again.
  resendMs: 200,
};
const TROUBLED = { repeatedShare: 0.1, heldShare: 0.1, lostShare: 0, heldMsMax: 100 };
const SILENT: LinkState = { kind: 'silent' };
const CUT: LinkState = { kind: 'cut' };
const OPEN: LinkState = { kind: 'open' };
const HIT = 'connections hit';

/** Connections that end tell at once; ones that go silent do not. Strikes take turns. */
function wayOf(turn: number): LinkState {
  return turn % 2 === 0 ? SILENT : CUT;
}

/** Links that nobody went through were cut in vain. */
function somebodyWasHit(stage: Stage): Promise<void> {
  if ((stage.figures[HIT] ?? 0) === 0) stage.doubt('no link that was cut had a connection');
  return Promise.resolve();
}

async function isolate(
  stage: Stage,
  fault: { readonly kind: string; readonly limitMs: number },
  { node, keys }: Target,
  how: { readonly way: LinkState; readonly ms: number; readonly rejoinLimitMs?: number },
): Promise<void> {
  stage.count(HIT, await stage.cluster.isolate(node, how.way));
  stage.fault({ ...fault, nodes: [node], keys });
  stage.say(`broker ${node}, which led ${keys.length}, hears no other (${how.way.kind})`);
  try {
    await stage.rest(how.ms);
  } finally {
    await stage.cluster.isolate(node, OPEN);
    stage.repair('rejoin', [node], how.rejoinLimitMs);
  }
}

/** Two sides that do not hear each other; the smaller one has the leader of most partitions. */
async function splitLeader(stage: Stage, turn: number): Promise<void> {
  const { node } = await busiest(stage);
  const others = stage.cluster.ids.filter((id) => id !== node);
  const minority = [node, ...others.splice(0, Math.floor((others.length - 1) / 2))];
  const led = await stage.leaders();
  const keys = minority.flatMap((id) => led.get(id) ?? []);
  stage.count(HIT, await stage.cluster.between([minority, others], wayOf(turn)));
  stage.fault({ kind: 'split-majority', nodes: minority, keys });
  stage.say(`brokers ${minority.join(', ')} on one side, ${others.join(', ')} on the other`);
  try {
    await stage.rest(SPLIT_MS);
  } finally {
    await stage.cluster.between([minority, others], OPEN);
    stage.repair('rejoin', minority);
  }
}

/** Everyone on one of two sides at random; or two brokers that do not hear each other, but a third. */
async function splitAnyhow(stage: Stage, turn: number): Promise<void> {
  const { prng, cluster } = stage;
  const isPair = prng.chance(0.3);
  const lone = prng.pick(cluster.ids);
  const rest = cluster.ids.filter((id) => id !== lone);
  const sides = isPair ? [[lone], [prng.pick(rest)]] : [[lone], rest];
  const keys = (await stage.leaders()).get(lone) ?? [];
  const way = prng.pick([SILENT, CUT]);
  stage.count(HIT, await cluster.between(sides, way));
  const kind = isPair ? 'split-pair' : 'split-majority';
  stage.fault({ kind, nodes: [lone], keys, limitMs: FAULTS['split-majority'].max });
  const text = sides.map((side) => side.join(' and ')).join(' from ');
  stage.say(`split ${turn + 1}: ${text} (${way.kind})`);
  try {
    await stage.rest(NEXT_SPLIT_MS - BETWEEN_MS);
  } finally {
    await cluster.between(sides, OPEN);
    stage.repair('rejoin', [lone]);
  }
}

/** Links and messages between brokers, and between clients and brokers. */
export const NETWORK: readonly Scenario[] = [
  {
    id: 'D10',
    title: 'a leader is isolated from its peers, clients still reach it',
    needs: { peerLinks: true },
    everyMs: 15_000,
    setsLinks: true,
    random: 'alone',
    strike: async (stage, turn) => {
      const kind = 'isolate-leader';
      const fault = { kind, limitMs: FAULTS[kind].max };
      await isolate(stage, fault, await busiest(stage), { way: wayOf(turn), ms: ISOLATED_MS });
    },
    verify: somebodyWasHit,
  },
  {
    id: 'D11',
    title: 'a leader is isolated from clients only',
    needs: { clientLinks: true },
    everyMs: 15_000,
    strike: async (stage, turn) => {
      const { node, keys } = await busiest(stage);
      stage.count(HIT, await stage.cluster.links.set([['clients', node]], wayOf(turn)));
      // It goes on leading, and nobody can write what it leads.
      stage.fault({ kind: 'unreachable', nodes: [node], keys, limitMs: null });
      stage.say(`clients do not reach broker ${node}, which leads ${keys.length}`);
      try {
        await stage.rest(UNREACHABLE_MS);
      } finally {
        await stage.cluster.links.set([['clients', node]], OPEN);
        stage.repair('reachable', [node], REACHED_AGAIN_MS);
      }
    },
    verify: somebodyWasHit,
  },
  {
    id: 'D12',
    title: 'a follower is isolated for five minutes, and disturbs nobody when it is back',
    needs: { peerLinks: true },
    setsLinks: true,
    random: 'alone',
    strike: async (stage, turn) => {
      const target = await bystander(stage);
      if (stage.isOver()) return;
      const isLeading = target.keys.length > 0;
      const limitMs = isLeading ? FAULTS['isolate-leader'].max : REJOIN_LIMIT_MS;
      await isolate(stage, { kind: 'isolate-follower', limitMs }, target, {
        way: wayOf(turn),
        ms: upTo(stage, 300, 0.4),
        rejoinLimitMs: REJOIN_LIMIT_MS,
      });
    },
    verify: somebodyWasHit,
  },
  {
    id: 'D13',
    title: 'a split with the leader on the smaller side, five brokers',
    needs: { peerLinks: true, brokers: 5, replicationFactor: 5, partitions: 8 },
    everyMs: 15_000,
    strike: splitLeader,
    verify: somebodyWasHit,
  },
  {
    id: 'D14',
    title: 'random symmetric partitions, a new one every 10 s',
    needs: { peerLinks: true },
    everyMs: NEXT_SPLIT_MS,
    onWhole: false,
    setsLinks: true,
    random: 'alone',
    strike: splitAnyhow,
    verify: somebodyWasHit,
  },
  {
    id: 'D15',
    title: '30 % loss and 100 ± 50 ms delay between brokers',
    needs: { peerLinks: true, recordsPerSecond: 400 },
    onWhole: false,
    setsLinks: true,
    random: 'beside',
    strike: async (stage) => {
      const { cluster } = stage;
      const before = await cluster.links.resent();
      await cluster.between(
        cluster.ids.map((id) => [id]),
        SLOW,
      );
      stage.fault({ kind: 'slow-links', nodes: cluster.ids, keys: [] });
      try {
        await stage.rest(upTo(stage, 60, 0.5));
      } finally {
        await cluster.between(
          cluster.ids.map((id) => [id]),
          OPEN,
        );
        stage.repair('quick-links', cluster.ids);
      }
      const resent = (await cluster.links.resent()) - before;
      stage.count('chunks sent again', resent);
      if (resent < 10) stage.doubt(`only ${resent} chunks had to be sent again`);
    },
  },
  {
    id: 'D16',
    title: 'Raft messages repeated and reordered',
    needs: { peerLinks: true },
    onWhole: false,
    random: 'beside',
    strike: async (stage) => {
      const { cluster } = stage;
      cluster.troubleMessages(TROUBLED);
      stage.fault({ kind: 'trouble-messages', nodes: cluster.ids, keys: [], limitMs: 3_000 });
      await stage.rest(upTo(stage, 60, 0.5));
      const { repeated, held } = await cluster.messageCounts();
      stage.repair('calm-messages', cluster.ids);
      stage.count('messages repeated', repeated);
      stage.count('messages held back', held);
      if (repeated < 10) stage.doubt(`only ${repeated} messages were repeated`);
    },
  },
];
