import { Slots } from '../base/slots.js';
import { LIMITS } from '../model/limits.js';
import { BrokerError } from '../model/errors.js';
import { NO_CODECS } from './batch-records.js';
import { ByteBudget } from './budget.js';
import { CompactionMetrics } from './compaction-metrics.js';
import { DiskGuard } from './disk-guard.js';
import { Deadlines } from './deadlines.js';
import { BrokerFetchService } from './fetch-service.js';
import { FollowerReads } from './follower-reads.js';
import { PartitionLocator } from './partition-locator.js';
import { PartitionManager } from './partition-manager.js';
import { PARTITION_OPS } from './partition-ops.js';
import { callPeer, handlePeer } from './peer-op.js';
import { BrokerProduceService } from './produce-service.js';
import { Purgatory } from './purgatory.js';
import type { CreatePartitionFloor, PartitionFloor, PartitionFloorDeps } from './types.js';

/** Log truncations side by side: more than one, as a disk may hang for a single replica. */
const TRUNCATIONS_AT_ONCE = 3;

/** Each holds a table of keys; more than one, as a disk may hang for a single replica. */
const COMPACTIONS_AT_ONCE = 2;
const ASK_TIMEOUT_MS = 5_000;

/** Wires the partition half of a broker: its replicas, and the services that clients reach them by. */
export const createPartitionFloor: CreatePartitionFloor = (
  deps: PartitionFloorDeps,
): PartitionFloor => {
  const { self, world, leaders, crc32c, peers, multiRaft, settings } = deps;
  const deadlines = new Deadlines(world);
  const budget = new ByteBudget(LIMITS.produceInflightBytesMax);
  const log = deps.telemetry.log.child({ floor: 'partition' });
  const keyBudget = new ByteBudget(LIMITS.comparedKeyBytesPerBrokerMax);
  const produceContext = { self, deadlines, budget, keyBudget, log };
  const disk = new DiskGuard({ ...deps, telemetry: { ...deps.telemetry, log } });
  const truncations = new Slots(TRUNCATIONS_AT_ONCE);
  const compactions = new Slots(COMPACTIONS_AT_ONCE);
  const manager = new PartitionManager(
    multiRaft,
    {
      self,
      world,
      leaders,
      crc32c,
      produce: produceContext,
      lane: (work) => truncations.run(work),
      compactionLane: (work) => compactions.run(work),
      codecs: deps.codecs ?? NO_CODECS,
      compactionMetrics: new CompactionMetrics(deps.telemetry.metrics),
      askCompacted: async (broker, groupId) => {
        const [answer] = await callPeer(
          peers,
          broker,
          PARTITION_OPS.compacted,
          [groupId],
          ASK_TIMEOUT_MS,
        );
        if (typeof answer !== 'number') throw answer ?? new BrokerError('INTERNAL', 'no answer');
        return answer;
      },
      disk,
      log,
    },
    settings,
  );
  handlePeer(peers, PARTITION_OPS.compacted, (groupIds) =>
    Promise.all(
      groupIds.map((id) =>
        manager.compactedTo(id).catch((error: unknown) => BrokerError.from(error)),
      ),
    ),
  );
  const locator = new PartitionLocator(deps, manager.replicas);
  const produce = new BrokerProduceService({
    locator,
    peers,
    context: produceContext,
    world,
  });
  const purgatory = new Purgatory(deadlines, LIMITS.fetchWaitersMax);
  const { replicas } = manager;
  const followers = new FollowerReads({ self, world, leaders, peers, replicas });
  const fetch = new BrokerFetchService({ locator, followers, peers, purgatory, world });
  return {
    host: manager,
    produce,
    fetch,
    start: () => {
      manager.start();
      disk.start();
    },
    stop: () => {
      disk.stop();
      produce.stop();
      fetch.stop();
      manager.stop();
      deadlines.stop();
      return Promise.resolve();
    },
  };
};
