import { expect } from 'chai';
import fc from 'fast-check';

import {
  placeReplicas as maybePlace,
  type Load,
  type PlacementBroker,
} from '../../../src/metadata/placement.js';
import { brokerId, type BrokerId } from '../../../src/model/ids.js';
import { casesOf } from '../../support/cases.js';

/** Where there is room for everything. */
function placeReplicas(options: Parameters<typeof maybePlace>[0]): BrokerId[][] {
  const placed = maybePlace(options);
  if (placed === undefined) throw new Error('not placed');
  return placed;
}

const noLoad = (): Load => ({ replicas: new Map(), leaders: new Map() });
const cluster = (size: number, rackOf: (id: number) => string = () => ''): PlacementBroker[] =>
  Array.from({ length: size }, (_, i) => ({ id: brokerId(i + 1), rack: rackOf(i + 1) }));
const countBy = (list: readonly BrokerId[]): Map<BrokerId, number> => {
  const counts = new Map<BrokerId, number>();
  for (const id of list) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
};
const spread = (counts: Map<BrokerId, number>, size: number): number => {
  const all = Array.from({ length: size }, (_, i) => counts.get(brokerId(i + 1)) ?? 0);
  return Math.max(...all) - Math.min(...all);
};

describe('placing replicas', () => {
  it('spreads replicas and preferred leaders evenly, none twice on a broker', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 40 }),
        fc.nat(),
        (size, factor, partitions, salt) => {
          const replicationFactor = Math.min(factor, size);
          const placed = placeReplicas({
            brokers: cluster(size),
            load: noLoad(),
            partitions,
            replicationFactor,
            salt,
          });
          for (const replicas of placed) expect(new Set(replicas).size).to.equal(replicationFactor);
          expect(spread(countBy(placed.map((r) => r[0]!)), size)).to.be.at.most(1);
          expect(spread(countBy(placed.flat()), size)).to.be.at.most(2);
        },
      ),
    );
  });

  it('uses every rack before it uses one twice', () => {
    const brokers = cluster(6, (id) => `rack${id % 3}`);
    const placed = placeReplicas({
      brokers,
      load: noLoad(),
      partitions: 30,
      replicationFactor: 3,
      salt: 5,
    });
    for (const replicas of placed) {
      expect(new Set(replicas.map((id) => id % 3)).size).to.equal(3);
    }
  });

  it('fills up brokers that hold less', () => {
    const load = noLoad();
    for (const id of [1, 2]) {
      load.replicas.set(brokerId(id), 10);
      load.leaders.set(brokerId(id), 5);
    }
    const placed = placeReplicas({
      brokers: cluster(3),
      load,
      partitions: 5,
      replicationFactor: 1,
      salt: 1,
    });
    expect(placed.flat()).to.eql([3, 3, 3, 3, 3]);
  });

  it('passes over brokers without room, whatever they hold', () => {
    const brokers = cluster(4).map((broker) => ({
      ...broker,
      room: broker.id === 1 ? 0 : broker.id === 2 ? 3 : undefined,
    }));
    const load = noLoad();
    for (const id of [3, 4]) load.replicas.set(brokerId(id), 1_000);
    const options = { brokers, load, partitions: 10, replicationFactor: 2, salt: 3 };
    const counts = countBy(placeReplicas(options).flat());
    expect(counts.get(brokerId(1))).to.equal(undefined);
    expect(counts.get(brokerId(2))).to.equal(3);
    expect(spread(counts, 4)).to.be.at.most(10);
  });

  it('fills brokers to the last replica, and places nothing if not all have room', () => {
    const brokers = cluster(3).map((broker) => ({ ...broker, room: 5 }));
    const options = { brokers, load: noLoad(), replicationFactor: 3, salt: 9 };
    expect(maybePlace({ ...options, partitions: 5 })?.flat()).to.have.length(15);
    expect(maybePlace({ ...options, partitions: 6 })).to.equal(undefined);
  });

  it('places all for which there is room, however unevenly it is left (Gale and Ryser)', () => {
    const broker = fc.record({
      room: fc.nat(4),
      rack: fc.constantFrom('', 'a', 'b'),
      held: fc.nat(9),
    });
    fc.assert(
      fc.property(
        fc.array(broker, { minLength: 3, maxLength: 6 }),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 5 }),
        (list, replicationFactor, partitions) => {
          const brokers = list.map(({ room, rack }, i) => ({ id: brokerId(i + 1), rack, room }));
          const load = noLoad();
          list.forEach(({ held }, i) => load.replicas.set(brokerId(i + 1), held));
          const placed = maybePlace({ brokers, load, partitions, replicationFactor, salt: 1 });
          const room = list.reduce((sum, one) => sum + Math.min(one.room, partitions), 0);
          expect(placed !== undefined).to.equal(room >= partitions * replicationFactor);
          for (const ids of placed ?? []) expect(new Set(ids).size).to.equal(replicationFactor);
          for (const [id, count] of countBy(placed?.flat() ?? [])) {
            expect(count).to.be.at.most(list[id - 1]?.room ?? 0);
          }
        },
      ),
      { numRuns: casesOf(1_000) },
    );
  });

  it('is the same for the same salt, and begins elsewhere for another', () => {
    const first = (salt: number): number | undefined =>
      placeReplicas({
        brokers: cluster(5),
        load: noLoad(),
        partitions: 1,
        replicationFactor: 1,
        salt,
      })[0]?.[0];
    const firsts = Array.from({ length: 50 }, (_, salt) => first(salt));
    expect(firsts).to.eql(Array.from({ length: 50 }, (_, salt) => first(salt)));
    expect(new Set(firsts).size).to.equal(5);
  });
});
