import { expect } from 'chai';

import { BrokerError } from '../../../src/model/errors.js';
import { Member, put, setup } from './group-members.js';

const never = async (): Promise<void> => await new Promise<void>(() => undefined);

describe('callbacks of a group consumer', () => {
  it('may await its close when partitions come', async () => {
    const s = setup(2);
    const events: string[] = [];
    const a: Member = new Member(s, {
      onAssigned: async () => {
        await a.consumer.close();
        events.push('closed');
      },
      onRevoked: (at) => events.push(`revoked ${at.length}`),
    }).read();
    await s.world.advance(100);
    await s.world.until(a.consumer.close(), 10_000);
    await s.world.advance(100);
    expect(a.isDone).to.equal(true);
    expect(events).to.deep.equal(['revoked 2', 'closed']);
    expect(s.cluster.coordinator.members.size).to.equal(0);
  });

  it('may await its close when partitions go', async () => {
    const s = setup(4);
    const told: number[][] = [];
    const a: Member = new Member(s, {
      onRevoked: async (at) => {
        told.push(at.map((p) => p.partition));
        await a.consumer.close();
      },
    }).read();
    await s.world.advance(200);
    const b = new Member(s).read();
    await s.world.advance(10_000);
    expect(a.isDone).to.equal(true);
    expect(b.owned).to.deep.equal([0, 1, 2, 3]);
    expect(told.map((t) => t.length)).to.deep.equal([2, 2]);
    expect(told.flat().sort(), 'each was told once').to.deep.equal([0, 1, 2, 3]);
    await s.world.until(a.consumer.close());
  });

  it('may await its close when it closes', async () => {
    const s = setup(1);
    const a: Member = new Member(s, {
      onRevoked: async () => await a.consumer.close(),
    }).read();
    await s.world.advance(200);
    await s.world.until(a.consumer.close(), 10_000);
    expect(s.cluster.coordinator.members.size).to.equal(0);
  });

  it('is told at the next read that partitions came and the callback never ended, and reads on', async () => {
    const s = setup(1);
    put(s.cluster, 0, 3);
    const a = new Member(s, { rebalanceTimeoutMs: 2_000, onAssigned: never }).read();
    await s.world.advance(1_900);
    expect([a.error, a.got]).to.deep.equal([undefined, []]);
    await s.world.advance(200);
    expect(a.error).to.have.property('code', 'DEADLINE_EXCEEDED');
    expect((a.error as Error).message).to.equal('onAssigned was not done within 2000 ms');
    a.read();
    await s.world.advance(100);
    expect(a.offsets(0)).to.deep.equal([0, 1, 2]);
  });

  it('gives partitions up in time although its callback never ends, with what was processed', async () => {
    const s = setup(2);
    put(s.cluster, 0, 3);
    put(s.cluster, 1, 3);
    const a = new Member(s, { rebalanceTimeoutMs: 10_000, onRevoked: never }).read();
    await s.world.advance(200);
    const b = new Member(s).read();
    await s.world.advance(10_000);
    expect(b.owned).to.have.length(1);
    expect(b.got, 'it was committed').to.deep.equal([]);
    expect(a.lost).to.deep.equal([]);
    expect(a.error).to.have.property('code', 'DEADLINE_EXCEEDED');
    const closing = a.consumer.close();
    await s.world.until(closing, 6_000);
    expect(b.isDone).to.equal(false);
    await s.world.advance(300);
    expect(b.owned).to.deep.equal([0, 1]);
    expect(b.got).to.deep.equal([]);
  });

  it('is not told of partitions that go before it was told that they came', async () => {
    const s = setup(2);
    s.cluster.onCall = (method) =>
      method === 'fetchOffsets' ? new BrokerError('NO_QUORUM', 'none') : undefined;
    const a = new Member(s).read();
    const b = new Member(s).read();
    await s.world.advance(500);
    expect(a.owned.length + b.owned.length).to.equal(2);
    s.cluster.coordinator.evict(b.consumer.memberId);
    await s.world.advance(100);
    await s.world.until(a.consumer.close(), 60_000);
    await s.world.until(b.consumer.close(), 60_000);
    expect([...a.events, ...b.events]).to.deep.equal([]);
  });

  it('is told once of partitions that it is giving up when it is closed, or evicted', async () => {
    for (const end of ['close', 'evict'] as const) {
      const s = setup(2);
      const events: string[] = [];
      const a: Member = new Member(s, {
        onRevoked: async ([at]) => {
          events.push(`revoked ${at?.partition}`);
          if (events.length > 1) return;
          await new Promise<void>((resolve) => s.world.timers.after(1_000, resolve));
        },
        onLost: ([at]) => events.push(`lost ${at?.partition}`),
      }).read();
      await s.world.advance(200);
      new Member(s).read();
      await s.world.advance(300);
      expect(events).to.have.length(1);
      if (end === 'close') await s.world.until(a.consumer.close(), 10_000);
      else s.cluster.coordinator.evict(a.consumer.memberId);
      await s.world.advance(3_000);
      const [first = ''] = events;
      const other = first === 'revoked 0' ? 1 : 0;
      const how = end === 'close' ? 'revoked' : 'lost';
      expect(events).to.deep.equal([first, `${how} ${other}`]);
    }
  });

  const failing: [string, () => unknown][] = [
    [
      'throws',
      () => {
        throw new RangeError('no');
      },
    ],
    ['rejects', async () => await Promise.reject(new RangeError('no'))],
  ];
  for (const [how, onCommit] of failing) {
    it(`does not fail a commit that was taken when onCommit ${how}, and tells the next read`, async () => {
      const s = setup(1);
      put(s.cluster, 0, 2);
      const a = new Member(s, { onCommit }).read();
      await s.world.advance(100);
      await s.world.until(a.consumer.commit());
      expect(s.cluster.committed.get('g/0')).to.equal(2);
      await s.world.advance(10);
      expect(a.error).to.be.instanceOf(RangeError);
    });
  }
});
