import type { Scenario, Stage } from '../scenario.js';
import { busiest } from './targets.js';

const MOVED_WITHIN_MS = 120_000;
const LOOK_MS = 200;
const AWAY_MS = 2_000;
const REFUSED_WITHIN_MS = 30_000;
const KILL_AFTER_MS_MAX = 400;
/** Partitions that shrink and grow at a time. */
const RESIZED = 3;
/** Moves hand leadership over in order, but take part of the machine. */
const MOVE_LIMIT_MS = 3_000;

function partitionsOf(stage: Stage): number[] {
  return Array.from({ length: stage.partitions }, (_, i) => i);
}

/** Decided as soon as somebody can; nobody leads the metadata group for moments when brokers die. */
async function move(stage: Stage, partition: number, replicas: readonly number[]): Promise<void> {
  const giveUpAt = performance.now() + REFUSED_WITHIN_MS;
  for (;;) {
    try {
      await stage.admin.moveReplicas({ topic: stage.topic, partition }, replicas);
      return;
    } catch (error) {
      if (performance.now() > giveUpAt) throw error;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }
}

/** Every partition's replicas are on exactly these brokers, and in sync. */
async function moved(stage: Stage, wanted: ReadonlyMap<number, readonly number[]>): Promise<void> {
  const giveUpAt = performance.now() + MOVED_WITHIN_MS;
  for (;;) {
    const { partitions } = await stage.admin.describeTopic(stage.topic);
    const isDone = [...wanted].every(([partition, brokers]) => {
      const replicas = partitions[partition]?.replicas ?? [];
      return (
        replicas.length === brokers.length &&
        replicas.every(({ brokerId, inSync }) => inSync && brokers.includes(brokerId))
      );
    });
    if (isDone) return;
    if (performance.now() > giveUpAt) {
      stage.problem(`replicas were not where they were wanted within ${MOVED_WITHIN_MS} ms`);
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

async function replicasOf(stage: Stage): Promise<Map<number, number[]>> {
  const { partitions } = await stage.admin.describeTopic(stage.topic);
  return new Map(
    partitions.map(({ partition, replicas }) => [partition, replicas.map((r) => r.brokerId)]),
  );
}

/** Where every partition that is on `from` is on `to` instead, in the same place. */
async function replace(stage: Stage, from: number, to: number): Promise<number> {
  const wanted = new Map<number, readonly number[]>();
  for (const [partition, brokers] of await replicasOf(stage)) {
    if (!brokers.includes(from) || brokers.includes(to)) continue;
    wanted.set(
      partition,
      brokers.map((id) => (id === from ? to : id)),
    );
  }
  for (const [partition, brokers] of wanted) await move(stage, partition, brokers);
  await moved(stage, wanted);
  stage.count('replicas moved', wanted.size);
  return wanted.size;
}

/** A broker joins, and takes the place of another one in every partition; later the other way round. */
const addBroker: Scenario = {
  id: 'D18',
  title: 'a broker joins and partitions are moved onto it',
  strike: async (stage, turn) => {
    const { ids } = stage.cluster;
    const leaving = stage.prng.pick(ids.slice(0, 3));
    if (turn === 0) await stage.cluster.script.add({});
    const newcomer = stage.cluster.ids.at(-1) ?? 0;
    const [from, to] = turn % 2 === 0 ? [leaving, newcomer] : [newcomer, await missingFrom(stage)];
    const keys = (await stage.leaders()).get(from) ?? [];
    const isOver = stage.fault({ kind: 'move', nodes: [from, to], keys, limitMs: MOVE_LIMIT_MS });
    const count = await replace(stage, from, to);
    isOver();
    stage.say(`moved ${count} replicas from broker ${from} to broker ${to}`);
    if (count === 0) stage.doubt('nothing was moved');
  },
};

/** A founder that some partition is not on. */
async function missingFrom(stage: Stage): Promise<number> {
  const all = await replicasOf(stage);
  const founders = stage.cluster.ids.slice(0, 3);
  const missing = founders.find((id) => [...all.values()].some((on) => !on.includes(id)));
  return missing ?? 1;
}

/** Everything is moved off the broker that leads most, which then ends. It comes back empty-handed. */
const decommission: Scenario = {
  id: 'D19',
  title: 'the broker that leads most gives its replicas away and ends',
  needs: { brokers: 4 },
  strike: async (stage) => {
    const { node, keys } = await busiest(stage);
    const all = await replicasOf(stage);
    const wanted = new Map<number, readonly number[]>();
    for (const [partition, brokers] of all) {
      if (!brokers.includes(node)) continue;
      const free = stage.cluster.ids.filter((id) => !brokers.includes(id));
      const heir = stage.prng.pick(free);
      wanted.set(
        partition,
        brokers.map((id) => (id === node ? heir : id)),
      );
    }
    const isOver = stage.fault({
      kind: 'decommission',
      nodes: [node],
      keys,
      limitMs: MOVE_LIMIT_MS,
    });
    for (const [partition, brokers] of wanted) await move(stage, partition, brokers);
    await moved(stage, wanted);
    await stage.broker(node).kill('SIGTERM');
    isOver();
    stage.count('replicas moved', wanted.size);
    stage.say(`broker ${node} gave ${wanted.size} replicas away, led ${keys.length}, and ended`);
    await stage.whole();
    await stage.rest(AWAY_MS);
    await stage.start([node]);
  },
};

/** A broker dies for good, a new one with another id and an empty disk takes its place. */
const replaceDead: Scenario = {
  id: 'D20',
  title: 'a broker dies for good; a new one with an empty disk takes its place',
  // The dead one stays a voter of the metadata group: a second one would be the end of it.
  strike: async (stage, turn) => {
    if (turn > 0) {
      await stage.rest(LOOK_MS);
      return;
    }
    const { node, keys } = await busiest(stage);
    await stage.kill({ kind: 'kill-leader', nodes: [node], keys });
    await stage.rest(AWAY_MS);
    const newcomer = await stage.cluster.script.add({
      config: { seeds: stage.cluster.brokers.filter((b) => b.isRunning).map(seedOf) },
    });
    const count = await replace(stage, node, newcomer.id);
    stage.repair('replaced', [newcomer.id]);
    stage.say(`broker ${newcomer.id} took ${count} replicas of broker ${node}, which is dead`);
    if (count === 0) stage.doubt('nothing was moved');
  },
};

function seedOf({ id, ports }: { id: number; ports: { peer: number } }): object {
  return { id, host: '127.0.0.1', peerPort: ports.peer };
}

/** Partitions shrink to one replica and grow again while brokers are killed. */
const resize: Scenario = {
  id: 'D21',
  title: 'replication factor 3, 1 and 3 again, with kills in between',
  strike: async (stage) => {
    const all = partitionsOf(stage);
    const first = stage.prng.int(all.length);
    const some = all.map((_, i) => all[(first + i) % all.length] ?? 0).slice(0, RESIZED);
    const before = await replicasOf(stage);
    const single = new Map(
      some.map((partition) => [partition, [stage.prng.pick(before.get(partition) ?? [1])]]),
    );
    await resizeTo(stage, single);
    await resizeTo(stage, new Map(some.map((p) => [p, before.get(p) ?? []])));
    stage.say(`partitions ${some.join(', ')} were on 1 replica and are on 3 again`);
  },
};

async function resizeTo(
  stage: Stage,
  wanted: ReadonlyMap<number, readonly number[]>,
): Promise<void> {
  await Promise.all([...wanted].map(([partition, brokers]) => move(stage, partition, brokers)));
  await stage.rest(stage.prng.int(KILL_AFTER_MS_MAX));
  const node = stage.prng.pick(stage.cluster.ids);
  // A partition with one replica is gone for as long as its broker is.
  const keys = (await stage.leaders().catch(() => new Map<number, string[]>())).get(node) ?? [];
  await stage.kill({ kind: 'kill-while-resizing', nodes: [node], keys });
  await stage.rest(LOOK_MS);
  await stage.start([node]);
  await moved(stage, wanted);
  stage.count('resized partitions', wanted.size);
}

/** Brokers that come and go, and replicas that move. */
export const MEMBERSHIP: readonly Scenario[] = [addBroker, decommission, replaceDead, resize];
