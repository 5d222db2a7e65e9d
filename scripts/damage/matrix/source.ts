import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';

import { BROKERS, DamageStage, until } from '../stage.js';

/** Data directories of three brokers that were killed at one moment, under load. */
export interface Source {
  /** Holds `data-1`, `data-2`, `data-3`. */
  readonly directory: string;
  readonly group: number;
  /** The broker whose replica is harmed. */
  readonly victim: number;
  /** The LevelDB of its replica, relative to its data directory. */
  readonly database: string;
}

export const WAL_BYTES_MIN = 72 * 1024;
export const TABLE_BYTES_MIN = 72 * 1024;
/** More than every opening verifies of its end: damage deep inside is met by reads alone. */
const TABLES_BYTES_MIN = 2_200_000;
const FILLED_WITHIN_MS = 120_000;
const ATTEMPTS_MAX = 10;
const LOAD = { recordsPerSecond: 4_000, valueBytes: 200 };
const FACTS = 'source.json';

/** Reuses what was made there before, so that a matrix can be gone on with. */
export async function sourceIn(
  directory: string,
  options: { readonly seed: number; say(text: string): void },
): Promise<Source> {
  const facts = path.join(directory, FACTS);
  if (existsSync(facts)) {
    const known = JSON.parse(readFileSync(facts, 'utf8')) as Omit<Source, 'directory'>;
    return { ...known, directory };
  }
  const source = await makeSource(directory, options);
  const { group, victim, database } = source;
  writeFileSync(facts, JSON.stringify({ group, victim, database }));
  return source;
}

/**
 * Real brokers under load, all killed at once when a follower's log has come far enough. They are
 * started again afterwards: every acknowledged record must be there, or the directories prove nothing.
 */
async function makeSource(
  directory: string,
  options: { readonly seed: number; say(text: string): void },
): Promise<Source> {
  mkdirSync(directory, { recursive: true });
  const stage = await DamageStage.start({ ...LOAD, seed: options.seed });
  try {
    const { victim, database } = await stage.underLoad(() => killWhenFilled(stage, directory));
    await stage.whenWhole();
    const verdict = await stage.judge();
    if (verdict.lost + verdict.wrong > 0) {
      throw new Error(`the undamaged cluster lost records: ${verdict.examples.join('; ')}`);
    }
    options.say(`source: broker ${victim} of 3, killed; ${verdict.read} records read back after`);
    return { directory, group: stage.group, victim, database };
  } finally {
    await stage.stop({ keep: false });
  }
}

async function killWhenFilled(
  stage: DamageStage,
  directory: string,
): Promise<Pick<Source, 'victim' | 'database'>> {
  const { brokers, dir } = stage.cluster;
  const leader = await stage.leaderOf(stage.group);
  const victim = BROKERS.find((id) => id !== leader) ?? 1;
  const data = path.join(dir, `data-${victim}`);
  for (let i = 0; i < ATTEMPTS_MAX; i += 1) {
    const database = (): string => databaseIn(data, stage.group);
    await until('logs long enough', FILLED_WITHIN_MS, () => isFilled(path.join(data, database())));
    await Promise.all(brokers.map((broker) => broker.kill()));
    const isEnough = isFilled(path.join(data, database()));
    if (isEnough) {
      for (const id of BROKERS) {
        const name = `data-${id}`;
        cpSync(path.join(dir, name), path.join(directory, name), { recursive: true });
      }
    }
    for (const broker of brokers) broker.start();
    await Promise.all(brokers.map((broker) => broker.ready()));
    if (isEnough)
      return { victim, database: databaseIn(directoryOf(directory, victim), stage.group) };
  }
  throw new Error(`no kill in ${ATTEMPTS_MAX} left a log of the wanted shape`);
}

export function directoryOf(directory: string, broker: number): string {
  return path.join(directory, `data-${broker}`);
}

function databaseIn(data: string, group: number): string {
  const replica = path.join('replicas', String(group));
  const generations = readdirSync(path.join(data, replica)).map(Number).filter(Number.isInteger);
  return path.join(replica, String(Math.max(...generations)), 'db');
}

/** One write-ahead log and two tables or more, all long enough for the samples. */
function isFilled(database: string): boolean {
  const sizes = (ending: string): number[] =>
    readdirSync(database)
      .filter((name) => name.endsWith(ending))
      // What LevelDB has just removed counts nothing.
      .map((name) => statSync(path.join(database, name), { throwIfNoEntry: false })?.size ?? 0);
  const logs = sizes('.log');
  const tables = sizes('.ldb');
  return (
    logs.length === 1 &&
    (logs[0] ?? 0) >= WAL_BYTES_MIN &&
    tables.length >= 2 &&
    tables.every((size) => size >= TABLE_BYTES_MIN) &&
    tables.reduce((sum, size) => sum + size, 0) >= TABLES_BYTES_MIN
  );
}
