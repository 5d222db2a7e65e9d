import { expect } from 'chai';
import type { ErrorCode } from '../../../src/model/errors.js';
import { producedBatch } from '../partition/log-fixture.js';
import { FloorFixture, OTHER, settled, type FakeGroup } from './partition-fixture.js';

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

  it('hands leaderships over at once, and again after a while', async () => {
    await room(MIN - 1);
    expect(fixture.handedOver).to.equal(1);
    for (let i = 0; i < 10; i += 1) await room(MIN - 1);
    expect(fixture.handedOver).to.equal(1);
    for (let i = 0; i < 21; i += 1) await room(MIN - 1);
    expect(fixture.handedOver).to.equal(2);
  });

  it('still says where the leader is, and serves readers', async () => {
    expect(produced()).to.equal(undefined);
    await room(0);
    expect((await fixture.fetch({}))[0]?.batches).to.have.length(1);
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
