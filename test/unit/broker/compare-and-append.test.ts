import { expect } from 'chai';
import { deferred } from '../../../src/base/deferred.js';
import type { ProduceResult } from '../../../src/broker/types.js';
import { BrokerError, type ErrorCode } from '../../../src/model/errors.js';
import { LIMITS } from '../../../src/model/limits.js';
import { producedBatch } from '../partition/log-fixture.js';
import { FloorFixture, OTHER, SELF, settled, type FakeGroup } from './partition-fixture.js';

interface Answer {
  result?: ProduceResult;
}

function baseOf({ result }: Answer): number {
  if (result === undefined || result.error !== undefined) {
    throw new Error(`not a success: ${result?.error.message ?? 'no answer'}`);
  }
  return result.baseOffset;
}

function errorOf({ result }: Answer, code: ErrorCode): BrokerError {
  const error = result?.error;
  if (error === undefined) throw new Error(`no error: ${JSON.stringify(result ?? 'no answer')}`);
  expect(error.code).to.equal(code);
  return error;
}

describe('compare and append', () => {
  let fixture: FloorFixture;
  let group: FakeGroup;

  const append = (expectedOffset: number, records = 1): Answer =>
    fixture.produce(producedBatch({ records }), { expectedOffset });
  const sequenced = (expectedOffset: number, baseSequence: number): Answer => {
    const producer = { producerId: 7, producerEpoch: 0, baseSequence };
    return fixture.produce(producedBatch({ producer }), { expectedOffset });
  };
  const batches = (): number => group.entries.filter((e) => e.kind === 'batch').length;

  beforeEach(async () => {
    fixture = new FloorFixture();
    group = await fixture.open();
    group.lead();
  });

  it('appends where the log ends, also behind what is not committed yet', () => {
    const answers = [append(0, 3), append(3, 2), append(5)];
    expect(answers.map((a) => a.result)).to.deep.equal([undefined, undefined, undefined]);
    group.commit();
    expect(answers.map(baseOf)).to.deep.equal([0, 3, 5]);
  });

  it('is refused with the offset that would have been right, and leaves nothing', async () => {
    fixture.produce(producedBatch({ records: 3 }));
    group.commit();
    const answers = [append(2), append(4), append(0)];
    await settled();
    for (const answer of answers) {
      const error = errorOf(answer, 'EXPECTATION_FAILED');
      expect(error.facts.logEndOffset).to.equal(3);
      expect([error.outcome, error.retriable]).to.deep.equal(['none', false]);
    }
    expect(batches()).to.equal(1);
    const right = append(3);
    group.commit();
    expect(baseOf(right)).to.equal(3);
  });

  it('is not refused for what is uncommitted before that is committed', async () => {
    const first = append(0);
    const second = append(0);
    await settled();
    expect(second.result).to.equal(undefined);
    group.commit();
    expect(baseOf(first)).to.equal(0);
    expect(errorOf(second, 'EXPECTATION_FAILED').facts.logEndOffset).to.equal(1);
  });

  it('is not refused for what is lost', async () => {
    const first = append(0);
    const second = append(0);
    await settled();
    group.stepDown();
    errorOf(first, 'UNKNOWN_OUTCOME');
    const error = errorOf(second, 'LEADER_UNKNOWN');
    expect([error.outcome, error.retriable]).to.deep.equal(['none', true]);
    group.lead();
    const again = append(0);
    group.commit();
    expect(baseOf(again)).to.equal(0);
  });

  it('is not refused before the leader knows that it still leads', async () => {
    const confirmed = deferred<undefined>();
    group.barrier = () => confirmed.promise;
    const answer = append(4);
    await settled();
    expect(answer.result).to.equal(undefined);
    confirmed.resolve(undefined);
    await settled();
    expect(errorOf(answer, 'EXPECTATION_FAILED').facts.logEndOffset).to.equal(0);
  });

  it('is sent on by a leader that was deposed meanwhile', async () => {
    const confirmed = deferred<undefined>();
    group.barrier = () => confirmed.promise;
    const [early, late] = [append(4), append(5)];
    fixture.leaders.learn(group.id, OTHER, group.term);
    group.stepDown();
    confirmed.resolve(undefined);
    await settled();
    for (const answer of [early, late]) errorOf(answer, 'NOT_LEADER');
    group.lead();
    fixture.leaders.learn(group.id, SELF, group.term);
    group.barrier = () => Promise.reject(new BrokerError('NOT_LEADER', 'no quorum said so'));
    const unheard = append(4);
    await settled();
    expect(errorOf(unheard, 'LEADER_UNKNOWN').outcome).to.equal('none');
  });

  it('ends at its deadline, certainly not appended, if nobody confirms', async () => {
    group.barrier = () => new Promise(() => undefined);
    const answers = [append(4), append(5)];
    fixture.world.advance(6_000);
    for (const answer of answers) {
      expect(errorOf(answer, 'DEADLINE_EXCEEDED').outcome).to.equal('none');
    }
    const late = new BrokerError('DEADLINE_EXCEEDED', 'not confirmed');
    group.barrier = () => Promise.reject(late);
    const answer = append(4);
    await settled();
    expect(errorOf(answer, 'DEADLINE_EXCEEDED').outcome).to.equal('none');
    expect(batches()).to.equal(0);
  });

  it('ends at its deadline if what it was compared with is not committed', async () => {
    fixture.produce(producedBatch(), { timeoutMs: 60_000 });
    const answer = append(0);
    await settled();
    fixture.world.advance(6_000);
    expect(errorOf(answer, 'DEADLINE_EXCEEDED').outcome).to.equal('none');
    group.commit();
    expect(answer.result?.error?.code).to.equal('DEADLINE_EXCEEDED');
  });

  it('gives its bytes back to the budget, however it ends', async () => {
    const big = 6_000_000;
    await fixture.open(0, { maxBatchBytes: 8_000_000 });
    const batch = producedBatch({ valueBytes: big });
    for (let i = 0; i * big < 2 * LIMITS.produceInflightBytesMax; i += 1) {
      const answer = fixture.produce(batch, { expectedOffset: 9 });
      await settled();
      errorOf(answer, 'EXPECTATION_FAILED');
    }
  });

  it('is compared when the leader is ready, not when it came', () => {
    group.stepDown('nobody');
    group.elect();
    const answer = append(0);
    expect(answer.result).to.equal(undefined);
    group.commit();
    group.commit();
    expect(baseOf(answer)).to.equal(0);
  });

  it('is compared anew after a transfer that failed', async () => {
    group.refusal = 'transferring';
    const [first, second] = [append(0), append(0)];
    group.refusal = undefined;
    fixture.world.advance(10);
    group.commit();
    await settled();
    expect(baseOf(first)).to.equal(0);
    errorOf(second, 'EXPECTATION_FAILED');
  });

  it('is known again when it is repeated, in flight, committed, and by the next leader', async () => {
    const first = sequenced(0, 0);
    const inFlight = sequenced(0, 0);
    group.commit();
    const committed = sequenced(0, 0);
    group.stepDown();
    group.lead();
    const later = sequenced(0, 0);
    await settled();
    expect([first, inFlight, committed, later].map(baseOf)).to.deep.equal([0, 0, 0, 0]);
    const isDuplicate = [first, inFlight, committed, later].map(
      ({ result }) => result?.error === undefined && result?.isDuplicate,
    );
    expect(isDuplicate).to.deep.equal([false, true, true, true]);
    expect(batches()).to.equal(1);
  });

  it('leaves its sequence to the next batch when it is refused', async () => {
    const refused = sequenced(5, 0);
    await settled();
    errorOf(refused, 'EXPECTATION_FAILED');
    const next = sequenced(0, 0);
    group.commit();
    expect(baseOf(next)).to.equal(0);
  });

  it('tells a gap in the sequence before a wrong offset', () => {
    errorOf(sequenced(5, 3), 'UNKNOWN_PRODUCER');
  });

  it('needs a quorum', () => {
    for (const acks of ['none', 'leader'] as const) {
      const answer = fixture.produce(producedBatch(), { expectedOffset: 0, acks });
      expect(errorOf(answer, 'INVALID_ARGUMENT').message).to.match(/expected offset .* quorum/);
    }
    expect(batches()).to.equal(0);
  });

  it('travels with a batch that is passed on, and so does the answer', async () => {
    const leader = new FloorFixture();
    const there = await leader.open();
    there.lead();
    group.stepDown();
    fixture.leaders.learn(group.id, OTHER, group.term);
    fixture.peers.remote = leader.peers;
    const right = fixture.produce(producedBatch(), { expectedOffset: 0, allowForward: true });
    await settled();
    there.commit();
    await settled();
    expect(baseOf(right)).to.equal(0);
    const wrong = fixture.produce(producedBatch(), { expectedOffset: 0, allowForward: true });
    await settled();
    await settled();
    expect(errorOf(wrong, 'EXPECTATION_FAILED').facts.logEndOffset).to.equal(1);
  });
});
