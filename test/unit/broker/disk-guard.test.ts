import { expect } from 'chai';
import type { ErrorCode } from '../../../src/model/errors.js';
import { producedBatch } from '../partition/log-fixture.js';
import { FloorFixture, OTHER, SELF, settled, type FakeGroup } from './partition-fixture.js';

const MIN = 1_000_000;

describe('a volume with little room', () => {
  let fixture: FloorFixture;
  let group: FakeGroup;

  beforeEach(async () => {
    fixture = new FloorFixture(1, { diskFreeMinBytes: MIN });
    group = await fixture.open();
    group.lead();
  });

  const room = async (freeBytes: number): Promise<void> => {
    fixture.freeBytes = freeBytes;
    fixture.world.advance(1_000);
    await settled();
  };
  const produced = (): ErrorCode | undefined => {
    const answer = fixture.produce(producedBatch());
    group.commit();
    if (answer.result === undefined) throw new Error('not answered');
    return answer.result.error?.code;
  };

  it('takes no records, names the setting, and goes on when there is room again', async () => {
    await room(MIN);
    expect(produced()).to.equal(undefined);
    await room(MIN - 1);
    const { result } = fixture.produce(producedBatch());
    expect(result?.error?.code).to.equal('THROTTLED');
    expect(result?.error?.outcome).to.equal('none');
    expect(result?.error?.message).to.contain('diskFreeMinBytes (1000000)');
    expect(result?.error?.facts.retryAfterMs).to.equal(1_000);
    await room(MIN + MIN / 10 - 1);
    expect(produced(), 'does not flutter').to.equal('THROTTLED');
    await room(MIN + MIN / 10);
    expect(produced()).to.equal(undefined);
  });

  it('takes none that waited for a leader either, and still answers repetitions', async () => {
    const producer = { producerId: 7, producerEpoch: 0, baseSequence: 0 };
    fixture.produce(producedBatch({ producer }));
    group.commit();
    group.stepDown('nobody');
    const waited = fixture.produce(producedBatch());
    await room(0);
    group.lead();
    expect(waited.result?.error?.message).to.contain('diskFreeMinBytes');
    const again = fixture.produce(producedBatch({ producer }));
    expect(again.result).to.include({ isDuplicate: true, baseOffset: 0 });
    const next = fixture.produce(producedBatch({ producer: { ...producer, baseSequence: 1 } }));
    expect(next.result?.error?.code).to.equal('THROTTLED');
    const after = fixture.produce(producedBatch({ producer: { ...producer, baseSequence: 2 } }));
    expect(after.result?.error?.code).to.equal('THROTTLED');
  });

  it('keeps its leaderships through a short shortage that is not deep', async () => {
    for (let i = 0; i < 3; i += 1) {
      for (let s = 0; s < 5; s += 1) await room(MIN / 2);
      expect(produced()).to.equal('THROTTLED');
      expect(fixture.leaders.mayLead(SELF)).to.equal(true);
      await room(2 * MIN);
      expect(produced()).to.equal(undefined);
    }
    expect(fixture.handedOver).to.equal(0);
  });

  it('hands them over when it lasts', async () => {
    for (let s = 0; s < 5; s += 1) await room(MIN - 1);
    expect(fixture.handedOver).to.equal(0);
    await room(MIN - 1);
    expect(fixture.handedOver).to.equal(1);
    expect(fixture.leaders.mayLead(SELF)).to.equal(false);
  });

  it('hands them over at once below the second threshold, and again after a while', async () => {
    await room(MIN / 2 - 1);
    expect(fixture.leaders.mayLead(SELF)).to.equal(false);
    expect(fixture.handedOver).to.equal(1);
    for (let i = 0; i < 10; i += 1) await room(MIN / 2 - 1);
    expect(fixture.handedOver).to.equal(1);
    for (let i = 0; i < 21; i += 1) await room(MIN / 2 - 1);
    expect(fixture.handedOver).to.equal(2);
  });

  it('is given none again before it takes records again', async () => {
    await room(MIN / 2 - 1);
    await room(MIN / 2 + MIN / 4);
    await room(MIN + MIN / 10 - 1);
    expect(fixture.leaders.mayLead(SELF)).to.equal(false);
    expect(produced()).to.equal('THROTTLED');
    await room(MIN + MIN / 10);
    expect(fixture.leaders.mayLead(SELF)).to.equal(true);
    expect(produced()).to.equal(undefined);
    await room(MIN / 2);
    expect(fixture.leaders.mayLead(SELF), 'the next shortage begins anew').to.equal(true);
    expect(fixture.handedOver).to.equal(1);
  });

  it('has the second threshold where it is set', async () => {
    fixture = new FloorFixture(1, { diskFreeMinBytes: MIN, diskFreeHandOverBytes: 1_000 });
    group = await fixture.open();
    group.lead();
    await room(1_000);
    expect(produced()).to.equal('THROTTLED');
    expect(fixture.handedOver).to.equal(0);
    await room(999);
    expect(fixture.handedOver).to.equal(1);
  });

  it('still says where the leader is, and serves readers', async () => {
    expect(produced()).to.equal(undefined);
    for (const freeBytes of [MIN - 1, 0]) {
      await room(freeBytes);
      expect((await fixture.fetch({}))[0]?.batches).to.have.length(1);
    }
    group.stepDown(OTHER);
    expect(fixture.produce(producedBatch()).result?.error?.code).to.equal('NOT_LEADER');
  });

  it('is not asked about where the threshold is 0', async () => {
    fixture = new FloorFixture(1);
    group = await fixture.open();
    group.lead();
    await room(0);
    expect(produced()).to.equal(undefined);
  });
});
