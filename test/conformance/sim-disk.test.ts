import { Prng } from '../../src/base/prng.js';
import { GOOD_DISK } from '../simulation/disk-replica.js';
import { SimDisk } from '../simulation/disk.js';
import { Scheduler, SimProcess } from '../simulation/world.js';
import { describeBrokerStore, type StoreHarness } from './broker-store.suite.js';

/** Lets simulated time pass whenever something waits for it, until told to stop. */
function keepRunning(scheduler: Scheduler): () => void {
  let isRunning = true;
  const turn = (): void => {
    if (!isRunning) return;
    void scheduler.run(scheduler.now + 10_000).then(() => setImmediate(turn));
  };
  turn();
  return () => {
    isRunning = false;
  };
}

describeBrokerStore('simulated disk', async (): Promise<StoreHarness> => {
  const scheduler = new Scheduler();
  const prng = new Prng(7);
  const disk = new SimDisk(1, scheduler, prng.fork(), GOOD_DISK);
  const stop = keepRunning(scheduler);
  let life = 0;
  return {
    open: async () => {
      disk.crash('process');
      life += 1;
      const timing = { rate: 1, wallBaseMs: 0 };
      return disk.open(new SimProcess(1, life, scheduler, timing, prng.fork()));
    },
    damage: async (groupId) => {
      disk.crash('process');
      disk.damage(groupId);
    },
    dispose: async () => stop(),
  };
});
