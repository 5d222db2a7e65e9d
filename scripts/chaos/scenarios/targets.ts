import type { Stage } from '../scenario.js';

const UNLOADED_WITHIN_MS = 10_000;

/** A broker, and the partitions that it leads. */
export interface Target {
  readonly node: number;
  readonly keys: readonly string[];
}

/** Who leads most. */
export async function busiest(stage: Stage): Promise<Target> {
  const led = await stage.leaders();
  const [first] = [...led].sort((a, b) => b[1].length - a[1].length);
  if (first === undefined) throw new Error('nobody leads');
  return { node: first[0], keys: first[1] };
}

/** Who leads the metadata group, and with it coordinates all consumer groups. */
export async function controller(stage: Stage): Promise<Target | undefined> {
  const { controller: node } = await stage.admin.describeCluster();
  if (node === undefined) return undefined;
  return { node, keys: (await stage.leaders()).get(node) ?? [] };
}

export async function anybody(stage: Stage): Promise<Target> {
  const node = stage.prng.pick(stage.cluster.ids);
  return { node, keys: (await stage.leaders()).get(node) ?? [] };
}

/** A broker that leads neither the metadata group nor any partition, as far as it lets go in time. */
export async function bystander(stage: Stage): Promise<Target> {
  const { controller: busy } = await stage.admin.describeCluster();
  const node = stage.prng.pick(stage.cluster.ids.filter((id) => id !== busy));
  const others = stage.cluster.ids.filter((id) => id !== node);
  const giveUpAt = performance.now() + UNLOADED_WITHIN_MS;
  for (;;) {
    let keys = (await stage.leaders()).get(node) ?? [];
    // Brokers hand leaderships back to whom they are rightfully: who led none a moment ago may lead again.
    if (keys.length === 0) keys = await ledNow(stage, node);
    if (keys.length === 0 || performance.now() > giveUpAt || stage.isOver()) return { node, keys };
    for (const key of keys) {
      const partition = Number(key.slice(key.lastIndexOf('/') + 1));
      // Refused where leadership moved meanwhile: the next look shows it.
      await stage.admin
        .transferLeadership({ topic: stage.topic, partition }, stage.prng.pick(others))
        .catch(() => undefined);
    }
  }
}

/** What a broker leads as anybody has heard: a quicker look than one that asks every leader. */
async function ledNow(stage: Stage, node: number): Promise<string[]> {
  const { topics } = await stage.admin.metadata({ topics: [stage.topic] });
  return topics.flatMap(({ topic, partitions }) =>
    partitions
      .filter(({ leader }) => leader === node)
      .map(({ partition }) => `${topic}/${partition}`),
  );
}

/** A time that a scenario wants, or a share of the run if that is short. */
export function upTo(stage: Stage, seconds: number, share: number): number {
  return 1_000 * Math.min(seconds, Math.max(5, stage.seconds * share));
}
