import { Prng } from '../../src/base/prng.js';
import type { MillraceClient } from '../../src/client/index.js';
import type { Load } from './load.js';
import { Neighbour } from './neighbour.js';
import type { LoadStage } from './stage.js';

const TOPIC = 'commits';
/** Ends of the partitions: commits beyond them would be refused. */
const RECORDS = 1_000;

/** Commits of many groups at once, one partition each and then many: what the metadata group carries. */
export const commits: Load = {
  about: 'offset commits per second, single and batched; CPU, and what producing beside it takes',
  sizes: { seconds: 30, groups: 200, partitions: 50, lanes: 128, clients: 4 },
  short: { seconds: 5, groups: 50, partitions: 10, lanes: 32 },
  async run(stage, size) {
    const { findings } = stage;
    const partitions = size('partitions');
    const clients = Array.from({ length: Math.max(1, size('clients')) }, () => stage.client());
    const [client] = clients;
    if (client === undefined) throw new Error('no client');
    await client.admin.createTopic({ topic: TOPIC, partitions, replicationFactor: 3 });
    await fill(client, partitions);
    const neighbour = await Neighbour.moveIn(stage);
    await neighbour.noteQuiet(stage, size('seconds') / 2, 'before');

    const ledger = new Ledger(size('groups'), partitions);
    for (const [what, each] of [
      ['one partition a commit', 1],
      [`${partitions} partitions a commit`, partitions],
    ] as const) {
      const load = { ledger, clients, each, lanes: size('lanes'), seconds: size('seconds') };
      const took = await stage.booked(what, async () => await commitFor(load));
      findings.figure(`commits a second, ${what}`, took.ms.length / took.seconds);
      findings.figure(`offsets a second, ${what}`, (took.ms.length * each) / took.seconds);
      findings.times(`commit, ${what}`, took.ms);
      findings.must(took.refused === 0, `${took.refused} offsets were refused`);
      await neighbour.note(stage, `beside commits of ${each}`);
    }
    await judge(stage, client, ledger);
    stage.noteMemory('at the end');
  },
};

/** Every group's next offsets, and what was acknowledged of them. One commit of a group at a time. */
class Ledger {
  readonly groups: readonly { readonly name: string; readonly acked: number[] }[];
  private readonly idle: number[];

  constructor(groups: number, partitions: number) {
    this.groups = Array.from({ length: groups }, (_, i) => ({
      name: `committer-${i}`,
      acked: Array.from({ length: partitions }, () => 0),
    }));
    this.idle = this.groups.map((_, i) => i);
  }

  take(): Ledger['groups'][number] | undefined {
    const i = this.idle.shift();
    return i === undefined ? undefined : this.groups[i];
  }

  giveBack(group: Ledger['groups'][number]): void {
    this.idle.push(this.groups.indexOf(group));
  }
}

async function fill(client: MillraceClient, partitions: number): Promise<void> {
  const producer = client.producer({ lingerMs: 20 });
  await Promise.all(
    Array.from({ length: partitions }, async (_, partition) => {
      function* records(): Generator<{ readonly partition: number; readonly value: string }> {
        for (let i = 0; i < RECORDS; i += 1) yield { partition, value: '' };
      }
      await producer.sendMany(TOPIC, records());
    }),
  );
  await producer.close();
}

/** Keeps `lanes` commits under way until the time is over; offsets of a group only rise. */
async function commitFor(load: {
  readonly ledger: Ledger;
  readonly clients: readonly MillraceClient[];
  readonly each: number;
  readonly lanes: number;
  readonly seconds: number;
}): Promise<{ readonly ms: number[]; readonly seconds: number; readonly refused: number }> {
  const { ledger, clients, each, seconds } = load;
  const ms: number[] = [];
  let refused = 0;
  const startedAt = performance.now();
  const endAt = startedAt + seconds * 1000;
  const lane = async (number: number): Promise<void> => {
    const client = clients[number % clients.length];
    const prng = new Prng(number + 1);
    while (performance.now() < endAt) {
      const group = ledger.take();
      if (client === undefined || group === undefined) return;
      const first = each === 1 ? prng.int(group.acked.length) : 0;
      const offsets = Array.from({ length: each }, (_, i) => ({
        topic: TOPIC,
        partition: first + i,
        offset: ((group.acked[first + i] ?? 0) + 1) % RECORDS,
      }));
      const from = performance.now();
      const answers = await client.admin.commitOffsets(group.name, offsets);
      ms.push(performance.now() - from);
      for (const { error, partition, offset } of answers) {
        if (error !== undefined || offset === undefined) refused += 1;
        else group.acked[partition] = offset;
      }
      ledger.giveBack(group);
    }
  };
  await Promise.all(Array.from({ length: load.lanes }, async (_, i) => await lane(i)));
  return { ms, seconds: (performance.now() - startedAt) / 1000, refused };
}

/** Of every group, the offsets that stand are those acknowledged last. */
async function judge(stage: LoadStage, client: MillraceClient, ledger: Ledger): Promise<void> {
  let wrong = 0;
  let compared = 0;
  for (const { name, acked } of ledger.groups) {
    const stored = await client.admin.fetchOffsets(name);
    for (const [partition, offset] of acked.entries()) {
      if (offset === 0) continue;
      compared += 1;
      if (stored.find((s) => s.partition === partition)?.offset !== offset) wrong += 1;
    }
  }
  stage.findings.figure('committed offsets compared at the end', compared);
  stage.findings.must(wrong === 0, `${wrong} committed offsets are not those acknowledged last`);
  stage.findings.needs(compared > 0, 'nothing was committed');
}
