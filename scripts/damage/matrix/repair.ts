import { mkdirSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

import type { Crc32c } from '../../../src/base/crc32c.js';
import { systemWorld } from '../../../src/client/system-world.js';
import { createMultiRaft } from '../../../src/host/multi-raft.js';
import type { MultiRaft, RaftGroup } from '../../../src/host/raft-group.js';
import { brokerId } from '../../../src/model/ids.js';
import { DEFAULT_RAFT_CONFIG } from '../../../src/raft/config.js';
import { createRaftNode } from '../../../src/raft/raft-core.js';
import type { LevelBrokerStore } from '../../../src/storage/level-broker-store.js';
import { MemoryNetwork } from '../../../test/unit/host/support/memory-network.js';
import { compareReplicas } from '../compare.js';
import { BROKERS } from '../stage.js';
import { textOf } from './judge.js';
import { blindOwner, NO_TELEMETRY, WatchedStore } from './life.js';
import { directoryOf, type Source } from './source.js';
import { Stand, type Harm } from './stand.js';
import { openStore, type Truth } from './truth.js';

const TICK_MS = 20;
const POLL_MS = 10;
const WHOLE_WITHIN_MS = 30_000;

interface Member {
  readonly id: number;
  readonly store: LevelBrokerStore;
  readonly watched: WatchedStore;
  readonly host: MultiRaft;
  readonly group: RaftGroup;
}

/**
 * Lets three brokers' hosts run on copies of what they held, one of them harmed, until the harm was
 * found and the replica is whole; then holds the three logs against each other, byte by byte. Returns
 * what went wrong.
 */
export async function repair(
  directory: string,
  harm: Harm,
  options: { readonly source: Source; readonly truth: Truth; readonly crc32c: Crc32c },
): Promise<string | undefined> {
  const { source, truth } = options;
  mkdirSync(directory);
  for (const id of BROKERS) {
    const isVictim = id === source.victim;
    new Stand(source, id).layOut(directoryOf(directory, id), isVictim ? harm : undefined);
  }
  const network = new MemoryNetwork(systemWorld());
  const members: Member[] = [];
  try {
    for (const id of BROKERS) members.push(await join(directory, id, network, options));
    if (!(await isRepaired(members, source.victim))) {
      const status = members.map(({ group }) => JSON.stringify(group.status()));
      return `not repaired within ${WHOLE_WITHIN_MS} ms: ${status.join(' ')}`;
    }
  } catch (error) {
    return textOf(error);
  } finally {
    await leave(members);
  }
  return await differenceAfter(directory, source, truth);
}

async function differenceAfter(
  directory: string,
  source: Source,
  truth: Truth,
): Promise<string | undefined> {
  const { faults, lasts } = await compareReplicas(directory, BROKERS, source.group);
  if (faults.length > 0) return faults.slice(0, 3).join('; ');
  const last = Math.max(...lasts);
  if (lasts.some((each) => each !== last)) return `the logs end at ${lasts.join(', ')}`;
  return last < truth.watermark.index ? `the logs end at ${last}` : undefined;
}

async function join(
  directory: string,
  id: number,
  network: MemoryNetwork,
  { truth, crc32c }: { readonly truth: Truth; readonly crc32c: Crc32c },
): Promise<Member> {
  const store = await openStore(directoryOf(directory, id), crc32c);
  const watched = new WatchedStore(store);
  const host = createMultiRaft({
    self: brokerId(id),
    world: systemWorld(),
    transport: network.transport(brokerId(id)),
    store: watched,
    createNode: createRaftNode,
    config: DEFAULT_RAFT_CONFIG,
    tickMs: TICK_MS,
    telemetry: NO_TELEMETRY,
  });
  host.start();
  const group = await host.open(truth.spec, blindOwner());
  return { id, store, watched, host, group };
}

/** Found, emptied, filled again up to where the leader stands, and counting as whole. */
async function isRepaired(members: readonly Member[], victim: number): Promise<boolean> {
  const giveUpAt = performance.now() + WHOLE_WITHIN_MS;
  const harmed = members.find(({ id }) => id === victim);
  while (performance.now() < giveUpAt) {
    const leader = members.find(({ group }) => group.isLeaderReady())?.group.status();
    const status = harmed?.group.status();
    const isWhole =
      leader !== undefined &&
      status?.needsRepair === false &&
      members.every(({ group }) => group.status()?.durable === leader.last.index);
    if (isWhole && harmed?.watched.wasDamaged === true) return true;
    await pause(POLL_MS);
  }
  return false;
}

async function leave(members: readonly Member[]): Promise<void> {
  await Promise.all(members.map(({ host }) => host.stop()));
  await Promise.all(members.map(({ store }) => store.close()));
}
