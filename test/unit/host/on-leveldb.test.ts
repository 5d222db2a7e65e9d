import { expect } from 'chai';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { createMultiRaft } from '../../../src/host/multi-raft.js';
import type { MultiRaft, RaftGroup } from '../../../src/host/raft-group.js';
import { brokerId, raftGroupId, type BrokerId } from '../../../src/model/ids.js';
import { membershipOf } from '../../../src/model/membership.js';
import type { ReplicaSpec } from '../../../src/ports/log-store.js';
import type { World } from '../../../src/ports/world.js';
import { DEFAULT_RAFT_CONFIG } from '../../../src/raft/config.js';
import { createRaftNode } from '../../../src/raft/raft-core.js';
import { LevelBrokerStore } from '../../../src/storage/level-broker-store.js';
import { MemoryNetwork } from './support/memory-network.js';
import { Outcome, testTelemetry, TestOwner, type LogLine } from './support/test-cluster.js';

const IDS = [1, 2, 3];

/** Real time and chance. */
function realWorld(): World {
  const u32 = (): number => Math.floor(Math.random() * 2 ** 32);
  return {
    clock: { nowMs: () => Date.now(), monotonicMs: () => performance.now() },
    random: { u32, bytes: (length) => Uint8Array.from({ length }, u32) },
    timers: {
      after: (ms, run) => {
        const timer = setTimeout(run, ms);
        return () => clearTimeout(timer);
      },
      every: (ms, run) => {
        const timer = setInterval(run, ms);
        return () => clearInterval(timer);
      },
      defer: (run) => void setImmediate(run),
    },
  };
}

const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await delay(5);
};

interface Broker {
  readonly id: BrokerId;
  readonly store: LevelBrokerStore;
  readonly host: MultiRaft;
  readonly groups: ReadonlyMap<number, RaftGroup>;
  readonly owners: ReadonlyMap<number, TestOwner>;
  readonly log: LogLine[];
}

describe('the host on LevelDB', function () {
  this.timeout(60_000);
  const world = realWorld();
  let directory: string;
  let network: MemoryNetwork;
  let brokers: Broker[];

  const spec = (id: number): ReplicaSpec => ({
    groupId: raftGroupId(id),
    topicId: undefined,
    topic: 'test',
    partition: id,
    bootstrap: membershipOf([1, 2, 3]),
  });

  const start = async (number: number): Promise<Broker> => {
    const id = brokerId(number);
    const store = await LevelBrokerStore.open(path.join(directory, `${number}`));
    if (store.identity() === undefined) {
      const identity = { clusterId: 'c', brokerId: id, directoryId: `${number}`, founders: [] };
      await store.saveIdentity({ ...identity, isFormed: true });
    }
    const log: LogLine[] = [];
    const host = createMultiRaft({
      self: id,
      world,
      transport: network.transport(id),
      store,
      createNode: createRaftNode,
      config: DEFAULT_RAFT_CONFIG,
      tickMs: 20,
      telemetry: testTelemetry(log, new Map()),
    });
    host.start();
    const owners = new Map(IDS.map((g) => [g, new TestOwner()]));
    const groups = new Map<number, RaftGroup>();
    for (const g of IDS) groups.set(g, await host.open(spec(g), owners.get(g)!));
    return { id, store, host, groups, owners, log };
  };

  const stop = async (broker: Broker): Promise<void> => {
    network.remove(broker.id, true);
    await broker.host.stop();
    await broker.store.close();
  };

  const leaderOf = async (group: number): Promise<Broker> => {
    const find = (): Broker | undefined =>
      brokers.find((b) => b.groups.get(group)!.isLeaderReady());
    await until(() => find() !== undefined);
    return find()!;
  };

  const commit = async (group: number, count: number, name: string): Promise<void> => {
    const leader = await leaderOf(group);
    const outcomes = Array.from({ length: count }, (_, at) => {
      const outcome = new Outcome();
      const payload = new TextEncoder().encode(`${name} ${at}`);
      leader.groups.get(group)!.propose({ kind: 'command', payload }, outcome);
      return outcome;
    });
    await until(() => outcomes.every((o) => o.end !== undefined));
    expect(new Set(outcomes.map((o) => o.end))).to.deep.equal(new Set(['committed']));
  };

  const agree = async (count: number): Promise<void> => {
    for (const g of IDS) {
      const lists = brokers.map((b) => b.owners.get(g)!.machine);
      await until(() => lists.every((m) => m.commands.length >= count));
      expect(lists[0]!.commands).to.have.length(count);
      for (const m of lists) expect(m.commands).to.deep.equal(lists[0]!.commands);
    }
  };

  beforeEach(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'millrace-host-'));
    network = new MemoryNetwork(world);
    brokers = await Promise.all([1, 2, 3].map(start));
  });
  afterEach(async () => {
    await Promise.all(brokers.map(stop));
    await rm(directory, { recursive: true, force: true });
  });

  it('keeps everything over a restart of all brokers, each from its checkpoint', async () => {
    for (const g of IDS) await commit(g, 300, 'before');
    await agree(300);
    await Promise.all(brokers.map(stop));
    brokers = await Promise.all([1, 2, 3].map(start));
    for (const b of brokers) expect(b.owners.get(1)!.machine.restores[0]).to.be.greaterThan(300);
    for (const g of IDS) await commit(g, 10, 'after');
    await agree(310);
  });

  it('brings a broker that was away back by a snapshot and by entries', async () => {
    for (const g of IDS) await commit(g, 50, 'before');
    await agree(50);
    await stop(brokers.pop()!);
    for (const g of IDS) {
      await commit(g, 50, 'meanwhile');
      const leader = await leaderOf(g);
      const group = leader.groups.get(g)!;
      const { machine } = leader.owners.get(g)!;
      await until(() => group.status()!.durable >= machine.applied);
      const state = machine.encode();
      const last = group.status()!.applied;
      expect(machine.applied).to.equal(last);
      await group.truncatePrefix(last, state);
      await commit(g, 50, 'after');
    }
    const back = await start(3);
    brokers.push(back);
    await agree(150);
    expect(back.log.filter((l) => l.text === 'installed a snapshot')).to.have.length(IDS.length);
  });
});
