import { LIMITS } from '../model/limits.js';
import { ByteBudget } from './budget.js';
import { Deadlines } from './deadlines.js';
import { BrokerFetchService } from './fetch-service.js';
import type { Lane } from './log-truncator.js';
import { PartitionLocator } from './partition-locator.js';
import { PartitionManager } from './partition-manager.js';
import { BrokerProduceService } from './produce-service.js';
import { Purgatory } from './purgatory.js';
import type { CreatePartitionFloor, PartitionFloor, PartitionFloorDeps } from './types.js';

/** Wires the partition half of a broker: its replicas, and the services that clients reach them by. */
export const createPartitionFloor: CreatePartitionFloor = (
  deps: PartitionFloorDeps,
): PartitionFloor => {
  const { self, world, leaders, crc32c, peers, multiRaft, settings } = deps;
  const deadlines = new Deadlines(world);
  const budget = new ByteBudget(LIMITS.produceInflightBytesMax);
  const log = deps.telemetry.log.child({ floor: 'partition' });
  const produceContext = { self, deadlines, budget, log };
  const manager = new PartitionManager(
    multiRaft,
    { self, world, leaders, crc32c, produce: produceContext, lane: createLane(), log },
    settings,
  );
  const locator = new PartitionLocator(deps, manager.replicas);
  const produce = new BrokerProduceService({ locator, peers, context: produceContext, world });
  const purgatory = new Purgatory(deadlines, LIMITS.fetchWaitersMax);
  const fetch = new BrokerFetchService({ locator, peers, purgatory, world });
  return {
    host: manager,
    produce,
    fetch,
    start: () => manager.start(),
    stop: () => {
      produce.stop();
      fetch.stop();
      manager.stop();
      deadlines.stop();
      return Promise.resolve();
    },
  };
};

function createLane(): Lane {
  let last: Promise<void> = Promise.resolve();
  return (work) => {
    const run = last.then(work);
    last = run.catch(() => undefined);
    return run;
  };
}
