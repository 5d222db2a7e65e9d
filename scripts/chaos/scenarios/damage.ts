import { readdirSync, rmSync, statSync, truncateSync } from 'node:fs';
import path from 'node:path';

import type { BrokerLog, LogLine } from '../../damage/broker-log.js';
import { type Harm, HARMS } from '../../damage/harms.js';
import type { Scenario, Stage } from '../scenario.js';
import { databaseOf, logOf } from './replicas.js';
import { bystander } from './targets.js';

const CUT_BYTES_MAX = 64 * 1024;
const FOUND_WITHIN_MS = 90_000;
const LOOK_MS = 100;
const AWAY_MS = 1_000;
const SMALL_MEMORY_BYTES = 16 << 20;
/** Damage to a follower is none of those who lead. */
const LIMIT_MS = 1_500;

const HARM_MISSING = 'no replica has a file of that kind yet';

/** From 1 byte to 64 KiB of the write-ahead log's end. */
const cutTail: Harm = (database, prng) => {
  const name = readdirSync(database)
    .filter((each) => each.endsWith('.log'))
    .sort()
    .at(-1);
  if (name === undefined) return undefined;
  const file = path.join(database, name);
  const { size } = statSync(file);
  if (size === 0) return undefined;
  const cut = 1 + prng.int(Math.min(size, prng.chance(0.5) ? 64 : CUT_BYTES_MAX));
  truncateSync(file, size - cut);
  return `the last ${cut} of ${size} bytes of ${name}`;
};

interface Hit {
  readonly group: number;
  readonly partition: number;
  readonly what: string;
}

/** Harms one of the broker's replicas, in an order drawn anew, until one has what can be harmed. */
async function harmOne(stage: Stage, broker: number, harm: Harm): Promise<Hit | undefined> {
  const { partitions } = await stage.admin.describeTopic(stage.topic);
  const first = stage.prng.int(partitions.length);
  for (let i = 0; i < partitions.length; i += 1) {
    const at = partitions[(first + i) % partitions.length];
    if (at === undefined) continue;
    const what = harm(databaseOf(stage, broker, at.raftGroup), stage.prng);
    if (what !== undefined) return { group: at.raftGroup, partition: at.partition, what };
  }
  return undefined;
}

/** The line that tells of the damage; undefined once everything was verified without finding any. */
async function verdictOn(
  stage: Stage,
  log: BrokerLog,
  group: number,
): Promise<LogLine | undefined> {
  const giveUpAt = performance.now() + FOUND_WITHIN_MS;
  for (;;) {
    const found = log.damaged().find(({ raftGroup }) => raftGroup === group);
    if (found !== undefined) return found;
    if (log.verified().some(({ raftGroup }) => raftGroup === group)) return undefined;
    if (performance.now() > giveUpAt) {
      stage.problem(`no verdict on the log of group ${group} within ${FOUND_WITHIN_MS} ms`);
      return undefined;
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

function book(stage: Stage, hit: Hit, found: LogLine | undefined): void {
  stage.count(found === undefined ? 'damage without effect' : 'damage detected');
  const outcome = found === undefined ? 'no effect' : `found: ${found.reason ?? 'no reason'}`;
  stage.say(`${hit.what}, partition ${hit.partition}: ${outcome}`);
}

/** A follower is stopped, harmed, and started. */
function whileStopped(id: string, title: string, harm: Harm, isAlwaysFound: boolean): Scenario {
  return {
    ...{ id, title },
    needs: { config: { logLevel: 'debug', storeMemoryBytes: SMALL_MEMORY_BYTES } },
    strike: async (stage) => {
      const target = await bystander(stage);
      if (stage.isOver()) return;
      const { node } = target;
      await stage.kill({ kind: 'kill-follower', nodes: [node], keys: target.keys, limitMs: null });
      const hit = await harmOne(stage, node, harm);
      if (hit !== undefined) {
        stage.fault({ kind: 'damage', nodes: [node], keys: [], limitMs: LIMIT_MS });
      }
      await stage.rest(AWAY_MS);
      const log = logOf(stage, node);
      await stage.start([node]);
      if (hit === undefined) {
        stage.say(HARM_MISSING);
        return;
      }
      const found = await verdictOn(stage, log, hit.group);
      book(stage, hit, found);
      if (isAlwaysFound && found === undefined) stage.problem(`not noticed: ${hit.what}`);
      await stage.whole();
      for (const line of log.fatal()) stage.problem(`broker ${node}: ${line.msg}`);
    },
    verify: atLeastOne,
  };
}

/** A follower's tables are harmed below its feet; then it has to read them. */
const whileRunning: Scenario = {
  id: 'D28',
  title: 'one bit of a table of a follower flips while it runs',
  needs: { config: { logLevel: 'debug', storeMemoryBytes: SMALL_MEMORY_BYTES } },
  strike: async (stage) => {
    const { node } = await bystander(stage);
    if (stage.isOver()) return;
    const running = logOf(stage, node);
    const hit = await harmOne(stage, node, tableBit);
    if (hit === undefined) {
      stage.say(HARM_MISSING);
      await stage.rest(AWAY_MS);
      return;
    }
    stage.fault({ kind: 'damage', nodes: [node], keys: [], limitMs: LIMIT_MS });
    await stage.rest(AWAY_MS);
    const isFoundRunning = running.damaged().some(({ raftGroup }) => raftGroup === hit.group);
    if (isFoundRunning) stage.count('damage detected while it ran');
    // The whole log is read again within a week; a start hurries that.
    const keys = (await stage.leaders()).get(node) ?? [];
    await stage.kill({ kind: 'kill-follower', nodes: [node], keys, limitMs: null });
    const log = logOf(stage, node);
    await stage.start([node]);
    const found = isFoundRunning ? undefined : await verdictOn(stage, log, hit.group);
    if (!isFoundRunning) book(stage, hit, found);
    await stage.whole();
  },
  verify: atLeastOne,
};

async function atLeastOne(stage: Stage): Promise<void> {
  const { figures } = stage;
  const detected = figures['damage detected'] ?? 0;
  const running = figures['damage detected while it ran'] ?? 0;
  if (detected + running === 0) stage.doubt('no damage had any effect');
  await stage.whole();
}

const walBit = harmNamed('wal-bit');
const tableBit = harmNamed('ldb-bit');

function harmNamed(name: string): Harm {
  const harm = HARMS[name];
  if (harm === undefined) throw new Error(`no harm ${name}`);
  return harm;
}

/** One file that LevelDB cannot do without. */
const deleteOne: Harm = (database, prng) => {
  const kind = prng.pick([/\.ldb$/, /^MANIFEST/, /^CURRENT$/]);
  const names = readdirSync(database).filter((name) => kind.test(name));
  if (names.length === 0) return undefined;
  const name = prng.pick(names);
  rmSync(path.join(database, name));
  return `${name} is gone`;
};

/** Followers' logs that lose or change bytes; every replica is held against the others at the end. */
export const DAMAGE: readonly Scenario[] = [
  whileStopped(
    'D26',
    "1 byte to 64 KiB are cut off a stopped follower's write-ahead log",
    cutTail,
    false,
  ),
  whileStopped('D27', "one bit of a stopped follower's write-ahead log flips", walBit, false),
  whileRunning,
  whileStopped(
    'D29',
    'a table, MANIFEST or CURRENT of a stopped follower is gone',
    deleteOne,
    true,
  ),
];
