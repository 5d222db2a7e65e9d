import { expect } from 'chai';
import { systemWorld } from '../../src/client/system-world.js';
import type { LogStore } from '../../src/ports/log-store.js';
import { MemoryBrokerStore, MemoryDisk } from '../../src/storage/memory-broker-store.js';
import { FaultyBrokerStore, type DiskSpeed } from '../../src/testing/faulty-store.js';
import { TestClock } from '../../src/testing/test-clock.js';
import {
  append,
  describeBrokerStore,
  entries,
  hardState,
  id,
  IDENTITY,
  readAll,
  rejection,
  SPEC,
  texts,
  write,
} from './broker-store.suite.js';

for (const writeMs of [0, 1]) {
  describeBrokerStore(`in memory, on a disk that takes ${writeMs} ms`, async () => {
    const disk = new MemoryDisk();
    const { timers } = systemWorld();
    const open = async () =>
      new FaultyBrokerStore(new MemoryBrokerStore(disk), { timers, speed: { writeMs } });
    return {
      open,
      damage: async (groupId) => disk.damage(groupId),
      dispose: async () => undefined,
    };
  });
}

describe('a disk that is slow, under a broker that is killed', () => {
  const clock = new TestClock();
  clock.hold();
  const { timers } = clock.world();
  let disk: MemoryDisk;
  let speed: DiskSpeed;
  let broker: FaultyBrokerStore;
  let log: LogStore;

  const reopen = async (): Promise<boolean | undefined> => {
    broker = new FaultyBrokerStore(new MemoryBrokerStore(disk), { timers, speed });
    const { store, loaded } = await broker.openReplica(SPEC.groupId);
    log = store;
    return loaded.wasCleanlyClosed;
  };
  /** What of these was durable, in the order in which it became so. */
  const noted = (writes: readonly Promise<unknown>[]): number[] => {
    const order: number[] = [];
    for (const [at, each] of writes.entries()) void each.then(() => order.push(at));
    return order;
  };

  beforeEach(async () => {
    disk = new MemoryDisk();
    speed = { writeMs: 0 };
    broker = new FaultyBrokerStore(new MemoryBrokerStore(disk), { timers, speed });
    await broker.saveIdentity(IDENTITY);
    await broker.createReplica(SPEC);
    await reopen();
  });

  it('makes a write durable when its time is over, and what came meanwhile together after it', async () => {
    speed.writeMs = 100;
    const order = noted([
      log.persist(append(id(0, 0), entries(1, 1, 1))),
      log.persist(append(id(1, 1), entries(1, 2, 2))),
      log.persist(append(id(1, 2), entries(1, 3, 3))),
    ]);
    await clock.advance(99);
    expect(order).to.deep.equal([]);
    await clock.advance(1);
    expect(order).to.deep.equal([0]);
    await clock.advance(99);
    expect(order).to.deep.equal([0]);
    await clock.advance(1);
    expect(order).to.deep.equal([0, 1, 2]);
    expect(await readAll(log, 1, 4)).to.deep.equal(texts(entries(1, 1, 3)));
  });

  it('keeps the order when the disk becomes quick', async () => {
    speed.writeMs = 100;
    const slow = log.persist(append(id(0, 0), entries(1, 1, 1)));
    speed.writeMs = 0;
    const order = noted([slow, log.persist(append(id(1, 1), entries(1, 2, 2)))]);
    await clock.advance(100);
    await clock.advance(0);
    expect(order).to.deep.equal([0, 1]);
  });

  it('loses what was not durable when the broker is killed, and nothing else', async () => {
    await log.persist(append(id(0, 0), entries(1, 1, 2), hardState(1, 1)));
    speed.writeMs = 100;
    const lost = [
      log.persist(append(id(1, 2), entries(1, 3, 3))),
      log.persist(write({ hardState: hardState(7, 3) })),
      broker.saveIdentity({ ...IDENTITY, clusterId: 'another' }),
    ].map(rejection);
    broker.die();
    for (const each of lost) expect((await each).message).to.equal('the broker was killed');
    await clock.advance(1_000);
    expect(await reopen()).to.equal(false);
    expect(broker.identity()).to.deep.equal(IDENTITY);
    expect(broker.replicas()[0]?.hardState).to.deep.equal(hardState(1, 1));
    expect(await readAll(log, 1, 3)).to.deep.equal(texts(entries(1, 1, 2)));
    expect((await rejection(readAll(log, 3, 4))).message).to.match(/entry 3 is not in the log/);
  });

  it('takes nothing from a broker that was killed, which closes all the same', async () => {
    await log.persist(append(id(0, 0), entries(1, 1, 1)));
    broker.die();
    const refused = await Promise.all([
      rejection(log.persist(append(id(1, 1), entries(1, 2, 2)))),
      rejection(readAll(log, 1, 2)),
      rejection(broker.deleteReplica(SPEC.groupId)),
      rejection(broker.openReplica(SPEC.groupId)),
    ]);
    for (const { name } of refused) expect(name).to.equal('StoreFencedError');
    await broker.close();
    expect(await reopen()).to.equal(false);
    expect(await readAll(log, 1, 2)).to.deep.equal(texts(entries(1, 1, 1)));
  });

  it('is cleanly closed after waiting for its writes', async () => {
    speed.writeMs = 100;
    const order = noted([log.persist(append(id(0, 0), entries(1, 1, 1)))]);
    const closing = broker.close();
    await clock.advance(100);
    await closing;
    expect(order).to.deep.equal([0]);
    expect(await reopen()).to.equal(true);
  });
});
