import { expect } from 'chai';

import { Prng } from '../../../src/base/prng.js';
import { BrokerError } from '../../../src/model/errors.js';
import { TestBrokers } from './support/test-brokers.js';

const LONG = { deadlineMs: 20_000 };
const IDS = [1, 2, 3];

/** Topics come and go while brokers die, are cut off and come back; then everything must agree. */
describe('metadata under faults', () => {
  for (const seed of [11, 12, 13, 14]) {
    it(`loses nothing that was answered, seed ${seed}`, async () => {
      const random = new Prng(seed);
      const brokers = new TestBrokers({ metadataLogEntriesMax: 40 });
      brokers.startAll(IDS);
      await brokers.untilReady();
      /** By name: whether it must exist; undefined: the outcome is not known. */
      const expected = new Map<string, boolean | undefined>();
      const failures: unknown[] = [];
      const attempt = (name: string, becomes: boolean, work: Promise<unknown>): void => {
        expected.set(name, undefined);
        work.then(
          () => {
            expected.set(name, becomes);
          },
          (error: unknown) => {
            if (!(error instanceof BrokerError)) failures.push(error);
          },
        );
      };
      for (let round = 0; round < 40; round += 1) {
        const alive = [...brokers.lives.keys()].filter(
          (id) => brokers.lives.get(id)?.broker.services() !== undefined,
        );
        const via = random.pick(alive);
        const name = `t${round}`;
        const config = new Map<string, string>();
        const request = {
          topic: name,
          partitions: random.int(3) + 1,
          replicationFactor: random.int(3) + 1,
          config,
          noWait: true,
          timeoutMs: undefined,
        };
        attempt(name, true, brokers.admin(via).createTopic(request, LONG));
        const settled = [...expected].filter(([, exists]) => exists === true);
        if (settled.length > 0 && random.chance(0.3)) {
          const [victim] = random.pick(settled);
          const deletion = { topic: victim, timeoutMs: undefined };
          attempt(victim, false, brokers.admin(via).deleteTopic(deletion, LONG));
        }
        const target = random.pick(IDS);
        if (random.chance(0.3)) {
          if (brokers.lives.size === IDS.length) brokers.kill(target);
        } else if (random.chance(0.2)) brokers.isolate(target);
        await brokers.world.run(random.int(1_500));
        brokers.heal(target);
        for (const id of IDS) {
          if (!brokers.lives.has(id)) brokers.start(id, { founders: IDS });
        }
      }
      await brokers.untilReady(IDS);
      // Those that died with their broker never get an answer.
      await brokers.world.run(LONG.deadlineMs);
      expect(failures).to.deep.equal([]);
      const versions = (): number[] => IDS.map((id) => brokers.services(id).view.image().version);
      await brokers.settled(
        Promise.all(
          IDS.map((id) => brokers.admin(id).getMetadata({ topics: [], linearizable: true }, LONG)),
        ),
      );
      await brokers.world.until(() => new Set(versions()).size === 1);
      for (const id of IDS) {
        const image = brokers.services(id).view.image();
        for (const [name, exists] of expected) {
          if (exists !== undefined) {
            expect(image.topicsByName.has(name), `${name} on ${id}`).to.equal(exists);
          }
        }
      }
      expect(
        [...expected.values()].filter((exists) => exists !== undefined).length,
      ).to.be.greaterThan(20);
      const wanted = (id: number): number[] => {
        const { groups, topicsById } = brokers.services(id).view.image();
        return [...groups]
          .filter(([, at]) =>
            topicsById.get(at.topicId)?.partitions[at.partition]?.replicas.some((r) => r === id),
          )
          .map(([groupId]) => groupId as number)
          .sort((a, b) => a - b);
      };
      const held = (id: number): number[] =>
        [...(brokers.disks.get(id)?.replicas.keys() ?? [])]
          .map(Number)
          .filter((groupId) => groupId > 0)
          .sort((a, b) => a - b);
      await brokers.world.until(() => IDS.every((id) => held(id).join() === wanted(id).join()));
      await brokers.world.until(() => brokers.services(1).view.image().tombstones.size === 0);
      await brokers.stopAll();
    });
  }
});
