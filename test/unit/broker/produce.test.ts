import { expect } from 'chai';
import { readBatchHeader } from '../../../src/model/record-batch.js';
import { decodeProduceRequest } from '../../../src/broker/forward-codec.js';
import { BrokerError, type ErrorCode } from '../../../src/model/errors.js';
import { brokerId, term, topicId } from '../../../src/model/ids.js';
import { LIMITS } from '../../../src/model/limits.js';
import type { ProduceResult } from '../../../src/broker/types.js';
import { producedBatch } from '../partition/log-fixture.js';
import { FloorFixture, OTHER, SELF, settled, type FakeGroup } from './partition-fixture.js';

const idempotent = (baseSequence: number, records = 1, producerEpoch = 0): Uint8Array =>
  producedBatch({ records, producer: { producerId: 7, producerEpoch, baseSequence } });

function errorOf(answer: { result?: ProduceResult }): BrokerError {
  const error = answer.result?.error;
  if (error === undefined) throw new Error(`no error: ${JSON.stringify(answer.result ?? 'none')}`);
  return error;
}

function baseOf(answer: { result?: ProduceResult }): number {
  const result = answer.result;
  if (result === undefined || result.error !== undefined) {
    throw new Error(`not a success: ${result?.error.message ?? 'no answer'}`);
  }
  return result.baseOffset;
}

function expectError(answer: { result?: ProduceResult }, code: ErrorCode): BrokerError {
  const error = errorOf(answer);
  expect(error.code).to.equal(code);
  return error;
}

describe('produce', () => {
  let fixture: FloorFixture;
  let group: FakeGroup;

  beforeEach(async () => {
    fixture = new FloorFixture();
    group = await fixture.open();
    group.lead();
  });

  it('stamps offset and epoch at the append, and answers when the batch is applied', () => {
    const first = fixture.produce(producedBatch({ records: 3 }));
    const second = fixture.produce(producedBatch({ records: 2 }));
    expect(first.result).to.equal(undefined);
    group.persist();
    expect(first.result).to.equal(undefined);
    const headers = group.entries.slice(1).map((e) => readBatchHeader(e.payload));
    expect(headers.map((h) => [h.baseOffset, h.leaderEpoch])).to.deep.equal([
      [0, 1],
      [3, 1],
    ]);
    group.commit();
    expect(first.result).to.deep.equal({
      baseOffset: 0,
      appendTimeMs: fixture.world.now,
      leaderEpoch: 1,
      isDuplicate: false,
      logStartOffset: 0,
      brokerId: SELF,
    });
    expect(baseOf(second)).to.equal(3);
  });

  it('goes on with the partition when an answer cannot be told', () => {
    const request = {
      ...{ topic: 'logs', partition: 0, topicId: undefined, acks: 'quorum' as const },
      ...{ batch: producedBatch(), timeoutMs: 5_000, allowForward: false },
    };
    fixture.floor.produce.produce(request, () => {
      throw new Error('the stream is gone');
    });
    const next = fixture.produce(producedBatch());
    group.commit();
    expect(baseOf(next)).to.equal(1);
  });

  it('appends the very bytes it was given', () => {
    const batch = producedBatch();
    fixture.produce(batch);
    expect(group.entries[1]?.payload).to.equal(batch);
  });

  it('answers acks none at once and acks leader when it is on the disk here', () => {
    const none = fixture.produce(producedBatch(), { acks: 'none' });
    const leader = fixture.produce(producedBatch(), { acks: 'leader' });
    expect(baseOf(none)).to.equal(-1);
    expect(leader.result).to.equal(undefined);
    group.persist();
    expect(baseOf(leader)).to.equal(1);
    group.commit();
    expect(baseOf(leader)).to.equal(1);
  });

  it('stamps the time of the append where the topic wants it', async () => {
    await fixture.open(0, { timestampType: 'append' });
    fixture.produce(producedBatch({ timestampMs: 5 }));
    const header = readBatchHeader(group.entries[1]?.payload ?? new Uint8Array());
    expect(header.maxTimestamp).to.equal(fixture.world.now);
    expect(header.attributes & 8).to.equal(8);
  });

  describe('refuses, definitely not appended', () => {
    const corrupt = (): Uint8Array => {
      const batch = producedBatch();
      batch[batch.length - 1] = 0x7f;
      return batch;
    };
    const cases: [string, ErrorCode, () => { result?: ProduceResult }][] = [
      [
        'an unknown topic',
        'UNKNOWN_TOPIC',
        () => fixture.produce(producedBatch(), { topic: '__proto__' }),
      ],
      [
        'an unknown partition',
        'UNKNOWN_PARTITION',
        () => fixture.produce(producedBatch(), { partition: 2 }),
      ],
      [
        'a topic that was created anew',
        'UNKNOWN_TOPIC',
        () => fixture.produce(producedBatch(), { topicId: topicId('f'.repeat(32)) }),
      ],
      [
        'a partition that lives elsewhere',
        'LEADER_UNKNOWN',
        () => fixture.produce(producedBatch(), { partition: 1 }),
      ],
      ['a wrong CRC', 'CORRUPT_BATCH', () => fixture.produce(corrupt())],
      ['garbage', 'INVALID_BATCH', () => fixture.produce(new Uint8Array(5))],
      [
        'a batch over the limit',
        'BATCH_TOO_LARGE',
        () => fixture.produce(producedBatch({ valueBytes: LIMITS.batchBytesDefault })),
      ],
      [
        'idempotence without a quorum',
        'INVALID_ARGUMENT',
        () => fixture.produce(idempotent(0), { acks: 'leader' }),
      ],
      [
        'an unknown producer in mid-sequence',
        'UNKNOWN_PRODUCER',
        () => fixture.produce(idempotent(4)),
      ],
    ];
    for (const [what, code, run] of cases) {
      it(what, () => {
        const error = expectError(run(), code);
        expect(error.outcome).to.equal('none');
        expect(group.entries).to.have.length(1);
      });
    }

    it('a full tail, and gives the batch back as it came', async () => {
      await fixture.open(0, { timestampType: 'append' });
      group.refusal = 'tailFull';
      const batch = producedBatch();
      const before = batch.slice();
      const error = expectError(fixture.produce(batch), 'THROTTLED');
      expect(error.facts.retryAfterMs).to.be.above(0);
      expect(batch).to.deep.equal(before);
    });

    it('more bytes than the broker may have in flight', () => {
      const batch = (): Uint8Array => producedBatch({ valueBytes: LIMITS.batchBytesDefault - 200 });
      const room = Math.floor(LIMITS.produceInflightBytesMax / batch().length);
      const answers = Array.from({ length: room + 1 }, () =>
        fixture.produce(batch(), { acks: 'none' }),
      );
      expectError(answers.at(-1) ?? {}, 'THROTTLED');
      expect(answers.slice(0, -1).every((a) => a.result?.error === undefined)).to.equal(true);
      const elsewhere = fixture.produce(batch(), { partition: 1, acks: 'none' });
      expect(errorOf(elsewhere).code, 'not the budget of this broker').to.equal('LEADER_UNKNOWN');
      group.commit();
      expect(baseOf(fixture.produce(batch(), { acks: 'none' }))).to.equal(-1);
    });
  });

  describe('with an idempotent producer', () => {
    it('answers a repetition of a committed batch with the original offset', () => {
      fixture.produce(producedBatch({ records: 5 }));
      fixture.produce(idempotent(0, 2));
      group.commit();
      const again = fixture.produce(idempotent(0, 2));
      expect(baseOf(again)).to.equal(5);
      expect(again.result).to.include({ isDuplicate: true, leaderEpoch: 1 });
      expect(group.entries).to.have.length(3);
    });

    it('lets a repetition of a batch in flight wait for the same outcome', () => {
      const first = fixture.produce(idempotent(0, 2));
      const again = fixture.produce(idempotent(0, 2));
      expect(group.entries).to.have.length(2);
      expect(again.result).to.equal(undefined);
      group.commit();
      expect(baseOf(first)).to.equal(0);
      expect(again.result).to.include({ baseOffset: 0, isDuplicate: true });
    });

    it('lets them share an unknown outcome too', () => {
      const first = fixture.produce(idempotent(0, 2));
      const again = fixture.produce(idempotent(0, 2));
      group.stepDown();
      for (const answer of [first, again]) {
        expect(expectError(answer, 'UNKNOWN_OUTCOME').outcome).to.equal('unknown');
      }
    });

    it('answers in the order of the requests, refusals too', () => {
      const order: string[] = [];
      const produce = (name: string, batch: Uint8Array): void => {
        fixture.floor.produce.produce(
          {
            topic: 'logs',
            partition: 0,
            topicId: undefined,
            acks: 'quorum',
            batch,
            timeoutMs: 5_000,
            allowForward: false,
          },
          (r) => order.push(`${name}:${r.error === undefined ? r.baseOffset : r.error.code}`),
        );
      };
      produce('a', idempotent(0));
      produce('b', idempotent(1));
      produce('gap', idempotent(5));
      produce('c', idempotent(2));
      produce('garbage', new Uint8Array(3));
      expect(order).to.deep.equal([]);
      group.commit(2);
      expect(order).to.deep.equal(['a:0']);
      group.commit();
      expect(order).to.deep.equal([
        'a:0',
        'b:1',
        'gap:OUT_OF_ORDER_SEQUENCE',
        'c:2',
        'garbage:INVALID_BATCH',
      ]);
    });

    it('names the expected sequence', () => {
      fixture.produce(idempotent(0, 3));
      group.commit();
      expect(
        expectError(fixture.produce(idempotent(9)), 'OUT_OF_ORDER_SEQUENCE').facts.expectedSequence,
      ).to.equal(3);
    });

    it('fences an older epoch', () => {
      fixture.produce(idempotent(0, 1, 2));
      group.commit();
      expectError(fixture.produce(idempotent(1, 1, 1)), 'PRODUCER_FENCED');
    });

    it('appends exactly one copy when the answer was lost with the leadership', () => {
      fixture.produce(idempotent(0, 2));
      group.commit();
      const lost = fixture.produce(idempotent(2, 2));
      group.stepDown();
      expectError(lost, 'UNKNOWN_OUTCOME');
      group.lead();
      const again = fixture.produce(idempotent(2, 2));
      const old = fixture.produce(idempotent(0, 2));
      group.commit();
      expect(again.result).to.include({ baseOffset: 2, isDuplicate: false, leaderEpoch: 3 });
      expect(old.result).to.include({ baseOffset: 0, isDuplicate: true, leaderEpoch: 3 });
    });
  });

  describe('while leadership moves', () => {
    it('waits from election to readiness, and keeps the order', () => {
      group.stepDown('nobody');
      group.elect();
      const first = fixture.produce(producedBatch({ records: 2 }));
      const second = fixture.produce(producedBatch());
      expect(group.entries).to.have.length(2);
      group.commit();
      group.commit();
      expect([baseOf(first), baseOf(second)]).to.deep.equal([0, 2]);
    });

    it('sends those who waited to the leader once it is known', () => {
      group.stepDown('nobody');
      const answer = fixture.produce(producedBatch());
      expect(answer.result).to.equal(undefined);
      group.stepDown(OTHER);
      const error = expectError(answer, 'NOT_LEADER');
      expect(error.facts.leader).to.deep.equal({ brokerId: 2, host: 'host', port: 7402, term: 3 });
    });

    it('does not wait for ever for a leader', () => {
      group.stepDown('nobody');
      const answer = fixture.produce(producedBatch());
      fixture.world.advance(2_001);
      expect(expectError(answer, 'LEADER_UNKNOWN').outcome).to.equal('none');
    });

    it('says at the deadline that nothing was appended while it waited', () => {
      group.stepDown('nobody');
      const answer = fixture.produce(producedBatch(), { timeoutMs: 100 });
      fixture.world.advance(120);
      expect(expectError(answer, 'DEADLINE_EXCEEDED').outcome).to.equal('none');
      group.lead();
      expect(group.entries).to.have.length(2);
    });

    it('says at the deadline that an append may have happened', () => {
      const answer = fixture.produce(producedBatch(), { timeoutMs: 100 });
      fixture.world.advance(99);
      expect(answer.result).to.equal(undefined);
      fixture.world.advance(21);
      expect(expectError(answer, 'DEADLINE_EXCEEDED').outcome).to.equal('unknown');
      group.commit();
    });

    it('waits out a transfer that fails', () => {
      group.refusal = 'transferring';
      const first = fixture.produce(producedBatch());
      const second = fixture.produce(producedBatch());
      fixture.world.advance(50);
      expect(first.result).to.equal(undefined);
      group.refusal = undefined;
      fixture.world.advance(10);
      group.commit();
      expect([baseOf(first), baseOf(second)]).to.deep.equal([0, 1]);
    });

    it('answers what waits when the broker stops', async () => {
      group.stepDown('nobody');
      const waiting = fixture.produce(producedBatch());
      await fixture.floor.stop();
      expectError(waiting, 'SHUTTING_DOWN');
      expectError(fixture.produce(producedBatch()), 'SHUTTING_DOWN');
    });

    it('counts on from the applied end after an election, not from what was lost', () => {
      fixture.produce(producedBatch({ records: 7 }));
      group.stepDown();
      group.lead();
      const answer = fixture.produce(producedBatch());
      group.commit();
      expect(baseOf(answer)).to.equal(0);
      expect(
        readBatchHeader(group.entries.at(-1)?.payload ?? new Uint8Array()).leaderEpoch,
      ).to.equal(3);
    });
  });

  describe('passed on', () => {
    it('reaches the leader, in order, with its answer', async () => {
      group.stepDown(OTHER);
      const leader = new FloorFixture();
      const leading = await leader.open();
      leading.lead();
      fixture.peers.remote = leader.peers;
      const first = fixture.produce(producedBatch({ records: 2 }), { allowForward: true });
      const second = fixture.produce(producedBatch(), { allowForward: true });
      await settled();
      leading.commit();
      await settled();
      leading.commit();
      await settled();
      expect([baseOf(first), baseOf(second)]).to.deep.equal([0, 2]);
    });

    it('waits for its turn no longer than its client does, and goes to who leads then', async () => {
      group.stepDown(OTHER);
      const asked: { to: unknown; timeoutMs: number; release: () => void }[] = [];
      const down = new BrokerError('NOT_LEADER', 'not any more');
      fixture.peers.call = (to, _method, body) =>
        new Promise((_, reject) => {
          const { timeoutMs } = decodeProduceRequest(body);
          asked.push({ to, timeoutMs, release: () => reject(down) });
        });
      const produce = (timeoutMs: number): ReturnType<typeof fixture.produce> =>
        fixture.produce(producedBatch(), { allowForward: true, timeoutMs });
      produce(5_000);
      const hasty = produce(1_000);
      const patient = produce(4_000);
      fixture.world.advance(1_020);
      expect(expectError(hasty, 'DEADLINE_EXCEEDED').outcome).to.equal('none');
      fixture.world.advance(980);
      fixture.leaders.learn(group.id, brokerId(3), term(9));
      asked[0]?.release();
      await settled();
      expect(asked.map(({ to, timeoutMs }) => [to, timeoutMs])).to.deep.equal([
        [OTHER, 5_000],
        [3, 2_000],
      ]);
      asked[1]?.release();
      await settled();
      expectError(patient, 'NOT_LEADER');
    });

    it('goes on after an answer that could not be told', async () => {
      group.stepDown(OTHER);
      const request = {
        ...{ topic: 'logs', partition: 0, topicId: undefined, acks: 'quorum' as const },
        ...{ batch: producedBatch(), timeoutMs: 5_000, allowForward: true },
      };
      fixture.floor.produce.produce(request, () => {
        throw new Error('the stream is gone');
      });
      const next = fixture.produce(producedBatch(), { allowForward: true });
      await settled();
      expectError(next, 'UNKNOWN_OUTCOME');
    });

    it('goes on after one that went wrong before it was sent', async () => {
      group.stepDown(OTHER);
      const asked: (() => void)[] = [];
      fixture.peers.call = () =>
        new Promise((_, reject) => asked.push(() => reject(new BrokerError('NOT_LEADER', 'no'))));
      fixture.produce(producedBatch(), { allowForward: true });
      const unlucky = fixture.produce(producedBatch(), { allowForward: true });
      fixture.leaders.leaderOf = () => {
        throw new Error('a bug');
      };
      asked[0]?.();
      await settled();
      expect(expectError(unlucky, 'INTERNAL').outcome).to.equal('none');
      Reflect.deleteProperty(fixture.leaders, 'leaderOf');
      fixture.produce(producedBatch(), { allowForward: true });
      await settled();
      expect(asked).to.have.length(2);
    });

    it('is unknown if the leader does not answer', async () => {
      group.stepDown(OTHER);
      const answer = fixture.produce(producedBatch(), { allowForward: true });
      await settled();
      expect(expectError(answer, 'UNKNOWN_OUTCOME').outcome).to.equal('unknown');
    });

    it('is not passed on unless it may be', () => {
      group.stepDown(OTHER);
      expectError(fixture.produce(producedBatch()), 'NOT_LEADER');
      expect(fixture.peers.calls).to.deep.equal([]);
    });
  });
});
