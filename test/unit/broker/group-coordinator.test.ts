import { expect } from 'chai';

import { Prng } from '../../../src/base/prng.js';
import type { GroupDescription } from '../../../src/broker/group-types.js';
import { FakeMember, heldTwice } from './support/fake-member.js';
import { TestBrokers } from './support/test-brokers.js';

const LONG = { deadlineMs: 20_000 };
const PARTITIONS = 12;

describe('the group coordinator', function () {
  this.timeout(60_000);
  let brokers: TestBrokers;

  beforeEach(async () => {
    brokers = new TestBrokers();
    brokers.startAll([1, 2, 3]);
    await brokers.untilReady();
    const topic = { topic: 'jobs', partitions: PARTITIONS, replicationFactor: 3 };
    const rest = { config: new Map<string, string>(), noWait: false, timeoutMs: undefined };
    await brokers.settled(brokers.admin(1).createTopic({ ...topic, ...rest }, LONG));
  });
  afterEach(async () => {
    await brokers.stopAll();
  });

  const member = (id: string): FakeMember => new FakeMember(brokers, 'g', id);
  const controller = (): number => {
    for (const id of brokers.lives.keys()) {
      const seen = brokers.controllerSeenBy(id);
      if (seen !== undefined && brokers.lives.has(seen)) return seen;
    }
    return 0;
  };
  const describeGroup = (): Promise<GroupDescription> => {
    const [via] = brokers.lives.keys();
    const request = { group: 'g', withLag: false };
    return brokers.settled(brokers.services(via!).groups.describeGroup(request, LONG));
  };

  it('evicts the silent after their session, and nobody else', async () => {
    const [m1, m2] = [member('m1'), member('m2')];
    await brokers.world.until(() => m1.held.length === 6 && m2.held.length === 6);
    const gifts = [m1.gifts, m2.gifts];
    await brokers.world.run(60_000);
    expect([m1.gifts, m2.gifts], 'nothing moved').to.eql(gifts);
    const { groupEpoch } = await describeGroup();
    m2.kill();
    await brokers.world.run(5_400);
    expect(m1.held).to.have.length(6);
    await brokers.world.until(() => m1.held.length === PARTITIONS, 2_000);
    expect((await describeGroup()).groupEpoch).to.equal(groupEpoch + 1);
  });

  it('moves nothing when it dies, and gives everyone a full session afterwards', async () => {
    const [m1, m2, m3] = [member('m1'), member('m2'), member('m3')];
    const all = [m1, m2, m3];
    await brokers.world.until(() => all.every((m) => m.held.length === 4));
    const held = all.map((m) => m.held);
    const gifts = all.map((m) => m.gifts);
    const { groupEpoch } = await describeGroup();
    const first = controller();
    // Silent for most of its session already: the next coordinator must not count that.
    m3.isSilent = true;
    await brokers.world.run(5_000);
    brokers.kill(first);
    await brokers.world.until(() => controller() !== first && m1.isConnected && m2.isConnected);
    const { coordinator } = await describeGroup();
    expect(coordinator).to.not.equal(first);
    await brokers.world.run(3_000);
    expect((await describeGroup()).members).to.have.length(3);
    expect((await describeGroup()).groupEpoch).to.equal(groupEpoch);
    expect([m1.held, m2.held]).to.eql(held.slice(0, 2));
    expect([m1.gifts, m2.gifts]).to.eql(gifts.slice(0, 2));
    await brokers.world.until(() => m1.held.length + m2.held.length === PARTITIONS, 10_000);
    m3.kill();
  });

  it('evicts nobody because it was itself stopped for a while', async () => {
    const [m1, m2] = [member('m1'), member('m2')];
    await brokers.world.until(() => m1.held.length === 6 && m2.held.length === 6);
    const { groupEpoch } = await describeGroup();
    brokers.world.freeze(20_000);
    await brokers.world.run(8_000);
    expect((await describeGroup()).groupEpoch).to.equal(groupEpoch);
  });

  it('tells members of another coordinator when it was cut off', async () => {
    const [m1, m2] = [member('m1'), member('m2')];
    await brokers.world.until(() => m1.held.length === 6 && m2.held.length === 6);
    const first = controller();
    const held = [m1.held, m2.held];
    brokers.isolate(first);
    const others = [...brokers.lives.keys()].filter((id) => id !== first);
    await brokers.world.until(() =>
      others.every((id) => ![undefined, first].includes(brokers.controllerSeenBy(id))),
    );
    await brokers.world.until(() => m1.errors.length > 0 && m2.errors.length > 0);
    expect(m1.errors[0]?.retriable).to.equal(true);
    await brokers.world.until(() => m1.isConnected && m2.isConnected);
    await brokers.world.run(7_000);
    expect([m1.held, m2.held]).to.eql(held);
    brokers.heal(first);
  });

  for (const seed of [1, 2, 3, 4]) {
    it(`keeps one holder a partition while members and coordinators come and go (seed ${seed})`, async () => {
      const random = new Prng(seed);
      const members = new Map<string, FakeMember>();
      let next = 0;
      for (let second = 0; second < 40; second += 1) {
        if (members.size < 6 && random.u32() % 3 !== 0) {
          next += 1;
          members.set(`m${next}`, member(`m${next}`));
        }
        const ids = [...members.keys()];
        const victim = ids[random.u32() % Math.max(1, ids.length)];
        if (victim !== undefined && random.u32() % 3 === 0) {
          const isKilled = random.u32() % 2 === 0;
          if (isKilled) members.get(victim)?.kill();
          else members.get(victim)?.leave();
          members.delete(victim);
        }
        if (second % 13 === 7) {
          const dead = controller();
          if (dead !== 0 && brokers.lives.size === 3) {
            brokers.kill(dead);
            brokers.world.timers.after(4_000, () => {
              brokers.start(dead, { founders: [1, 2, 3] });
            });
          }
        }
        for (let slice = 0; slice < 50; slice += 1) {
          await brokers.world.run(20);
          expect(heldTwice(brokers, members.values())).to.eql([]);
        }
      }
      if (members.size === 0) members.set('last', member('last'));
      const all = [...members.values()];
      await brokers.world.until(
        () =>
          all.reduce((sum, m) => sum + m.held.length, 0) === PARTITIONS &&
          all.every((m) => m.held.length >= Math.floor(PARTITIONS / all.length)),
        30_000,
      );
      const described = await describeGroup();
      expect(described.members.map((m) => m.memberId)).to.eql([...members.keys()].sort());
    });
  }
});
