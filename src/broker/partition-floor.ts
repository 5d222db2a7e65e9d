import { Slots } from '../base/slots.js';
import { LIMITS } from '../model/limits.js';
import type { World } from '../ports/world.js';
import { ByteBudget } from './budget.js';
import { DiskGuard } from './disk-guard.js';
import { Deadlines } from './deadlines.js';
import { BrokerFetchService } from './fetch-service.js';
import { within } from './deadline.js';
import type { Lane } from './log-truncator.js';
import { PartitionLocator } from './partition-locator.js';
import { PartitionManager } from './partition-manager.js';
import { BrokerProduceService } from './produce-service.js';
import { Purgatory } from './purgatory.js';
import type { CreatePartitionFloor, PartitionFloor, PartitionFloorDeps } from './types.js';

/** Log truncations side by side, and how long one may hold its place. */
const LANE_PLACES = 3;
const LANE_MS_MAX = 60_000;

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
    { self, world, leaders, crc32c, produce: produceContext, lane: createLane(world), log },
    settings,
  );
  const disk = new DiskGuard({ ...deps, telemetry: { ...deps.telemetry, log } });
  const locator = new PartitionLocator(deps, manager.replicas);
  const produce = new BrokerProduceService({
    locator,
    peers,
    context: produceContext,
    world,
    disk,
  });
  const purgatory = new Purgatory(deadlines, LIMITS.fetchWaitersMax);
  const fetch = new BrokerFetchService({ locator, peers, purgatory, world });
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

/** Work that hangs gives its place up after a while: it must not keep all other replicas waiting. */
function createLane(world: World): Lane {
  const slots = new Slots(LANE_PLACES);
  return (work) =>
    new Promise((resolve, reject) => {
      const place = async (): Promise<void> => {
        const run = work();
        run.then(resolve, reject);
        const ended = run.catch(() => undefined);
        await within(world, LANE_MS_MAX, 'background work', ended).catch(() => undefined);
      };
      void slots.run(place);
    });
}
