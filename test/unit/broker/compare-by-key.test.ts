import { expect } from 'chai';

import { crc32c } from '../../../src/base/crc32c.js';
import { deferred } from '../../../src/base/deferred.js';
import type { ProduceRequest, ProduceResult } from '../../../src/broker/types.js';
import { topicSettings } from '../../../src/metadata/topic-config.js';
import type { BrokerError, ErrorCode } from '../../../src/model/errors.js';
import {
  NO_PRODUCER,
  RecordBatchBuilder,
  type ProducerStamp,
} from '../../../src/model/record-batch-builder.js';
import { FloorFixture, settled, type FakeGroup } from './partition-fixture.js';

interface Answer {
  result?: ProduceResult;
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

function keyed(
  keys: readonly (string | undefined)[],
  options: { producer?: ProducerStamp; isTombstone?: boolean } = {},
): Uint8Array {
  const builder = new RecordBatchBuilder();
  for (const key of keys) {
    const value = options.isTombstone === true ? undefined : encode('v');
    builder.append({ ...(key === undefined ? undefined : { key: encode(key) }), value }, 1_000);
  }
  return builder.finish(options.producer ?? NO_PRODUCER, crc32c);
}

function errorOf({ result }: Answer, code: ErrorCode): BrokerError {
  const error = result?.error;
  if (error === undefined) throw new Error(`no error: ${JSON.stringify(result ?? 'no answer')}`);
  expect(error.code, error.message).to.equal(code);
  expect(error.outcome).to.equal('none');
  return error;
}

describe('compare and append by key', () => {
  let fixture: FloorFixture;
  let group: FakeGroup;

  const put = (...keys: string[]): Answer => fixture.produce(keyed(keys));
  const append = (
    key: string,
    expectedKeyOffset: number,
    options: Partial<ProduceRequest> = {},
  ): Answer => fixture.produce(keyed([key]), { expectedKeyOffset, timeoutMs: 60_000, ...options });
  const batches = (): number => group.entries.filter((e) => e.kind === 'batch').length;

  /** Lets a table be read and waiting answers come. */
  async function pass(): Promise<void> {
    for (let i = 0; i < 20; i += 1) {
      fixture.world.advance(1);
      await settled();
    }
  }

  async function outcome(answer: Answer): Promise<number> {
    await pass();
    group.commit();
    await pass();
    const { result } = answer;
    if (result === undefined) throw new Error('no answer');
    if (result.error === undefined) return result.baseOffset;
    return errorOf(answer, 'EXPECTATION_FAILED').facts.keyOffset ?? NaN;
  }

  beforeEach(async () => {
    fixture = new FloorFixture();
    group = await fixture.open(0, { comparesByKey: true });
    group.lead();
  });

  it('appends where the key stands, and only there', async () => {
    put('a', 'b', 'a');
    group.commit();
    expect(await outcome(append('b', 0)), 'b stands at 1').to.equal(1);
    expect(await outcome(append('b', 1))).to.equal(3);
    expect(await outcome(append('a', 2))).to.equal(4);
    expect(await outcome(append('a', 2))).to.equal(4);
    expect(await outcome(append('c', 0)), 'c has no record').to.equal(-1);
    expect(await outcome(append('c', -1))).to.equal(5);
    expect(await outcome(append('c', -1))).to.equal(5);
    expect(batches()).to.equal(4);
  });

  it('reads the log once, and knows from then on what is appended', async () => {
    for (let i = 0; i < 50; i += 1) put(`k${i}`);
    group.commit();
    group.recentFrom = group.last;
    expect(await outcome(append('k7', 7))).to.equal(50);
    const { reads } = group;
    expect(reads).to.be.greaterThan(0);
    put('k7', 'k8');
    group.commit();
    expect(await outcome(append('k8', 52))).to.equal(53);
    expect(group.reads).to.equal(reads);
  });

  it('waits for what is in flight when the first comparison comes', async () => {
    put('a');
    const answer = append('a', 0);
    await pass();
    expect(batches(), 'not yet').to.equal(1);
    group.commit();
    expect(await outcome(answer)).to.equal(1);
  });

  it('stands behind an append of its key that is in flight, or is lost with it', async () => {
    expect(await outcome(append('a', -1))).to.equal(0);
    const answers = [append('a', 0), append('a', 1), append('a', 2)];
    await pass();
    expect(answers.map(({ result }) => result)).to.eql([undefined, undefined, undefined]);
    group.commit();
    expect(answers.map(({ result }) => result?.error === undefined && result?.baseOffset)).to.eql([
      1, 2, 3,
    ]);
  });

  it('is not refused for an append of its key that is not committed', async () => {
    expect(await outcome(append('a', -1))).to.equal(0);
    const first = append('a', 0);
    const second = append('a', 0);
    await pass();
    expect(second.result, 'held by the latch').to.equal(undefined);
    group.stepDown();
    expect(first.result?.error?.code).to.equal('UNKNOWN_OUTCOME');
    errorOf(second, 'LEADER_UNKNOWN');
    group.lead();
    expect(await outcome(append('a', 1)), 'what was lost was never there').to.equal(0);
    expect(await outcome(append('a', 0))).to.equal(1);
  });

  it('is not refused before the leader knows that it still leads', async () => {
    expect(await outcome(append('a', -1))).to.equal(0);
    const confirmed = deferred<undefined>();
    group.barrier = () => confirmed.promise;
    const answer = append('a', 7);
    await pass();
    expect(answer.result).to.equal(undefined);
    confirmed.resolve(undefined);
    await pass();
    expect(errorOf(answer, 'EXPECTATION_FAILED').facts.keyOffset).to.equal(0);
  });

  it('answers a repetition as that, whatever the key has become', async () => {
    const producer = { producerId: 7, producerEpoch: 0, baseSequence: 0 };
    const send = (): Answer =>
      fixture.produce(keyed(['a'], { producer }), { expectedKeyOffset: -1, timeoutMs: 60_000 });
    const first = send();
    expect(await outcome(first)).to.equal(0);
    expect(await outcome(append('a', 0))).to.equal(1);
    const again = send();
    await pass();
    expect(again.result).to.include({ baseOffset: 0, isDuplicate: true });
    group.stepDown();
    group.lead();
    const later = send();
    await pass();
    expect(later.result, 'also by a later leader').to.include({ baseOffset: 0, isDuplicate: true });
  });

  it('counts nothing below the log start, whether the table saw it or not', async () => {
    put('a', 'b', 'c');
    group.commit();
    expect(await outcome(append('a', 0))).to.equal(3);
    const trimmed = fixture.floor.host.trim(group.id, 3, { deadlineMs: 1_000 });
    group.commit();
    await trimmed;
    expect(await outcome(append('b', 1)), 'b is gone').to.equal(-1);
    expect(await outcome(append('a', 3)), 'a is not').to.equal(4);
    group.stepDown();
    group.lead();
    expect(await outcome(append('c', 2)), 'for the next leader as well').to.equal(-1);
    expect(await outcome(append('c', -1))).to.equal(5);
  });

  it('is refused at once where it can never be, naming why', async () => {
    const cases: readonly [Uint8Array, Partial<ProduceRequest>, RegExp][] = [
      [keyed(['a']), { expectedOffset: 0 }, /of the log or of a key/],
      [keyed(['a', 'b']), {}, /must have that key/],
      [keyed([undefined]), {}, /must have that key/],
      [keyed(['a']), { acks: 'leader' }, /acks quorum/],
    ];
    for (const [batch, options, text] of cases) {
      const answer = fixture.produce(batch, { expectedKeyOffset: -1, ...options });
      expect(errorOf(answer, 'INVALID_ARGUMENT').message).to.match(text);
    }
    fixture.floor.host.configure(group.id, topicSettings(new Map()));
    const off = append('a', -1);
    expect(errorOf(off, 'INVALID_ARGUMENT').message).to.match(/compare\.by\.key = true/);
    expect(batches()).to.equal(0);
  });

  it('takes no compressed batches, as their keys cannot be seen', async () => {
    const builder = new RecordBatchBuilder();
    builder.append({ key: encode('a'), value: encode('v') }, 1_000);
    const records = builder.records().slice();
    const packed = builder.finish(NO_PRODUCER, crc32c, { codec: 'gzip', records });
    const answer = fixture.produce(packed);
    expect(errorOf(answer, 'INVALID_BATCH').message).to.match(/no compressed batches/);
  });

  it('knows nothing of batches from before it was told to compare, and says so', async () => {
    fixture.floor.host.configure(group.id, topicSettings(new Map()));
    const builder = new RecordBatchBuilder();
    builder.append({ key: encode('a'), value: encode('v') }, 1_000);
    const records = builder.records().slice();
    fixture.produce(builder.finish(NO_PRODUCER, crc32c, { codec: 'gzip', records }));
    put('b');
    group.commit();
    const settings = topicSettings(new Map([['compare.by.key', 'true']]));
    fixture.floor.host.configure(group.id, settings);
    const blind = append('b', 1);
    await pass();
    expect(errorOf(blind, 'UNSUPPORTED').message).to.match(/offset 0 .* once it is below/);
    const trimmed = fixture.floor.host.trim(group.id, 1, { deadlineMs: 1_000 });
    group.commit();
    await trimmed;
    expect(await outcome(append('b', 1))).to.equal(2);
  });

  it('forgets what it knew while it was not to compare', async () => {
    expect(await outcome(append('a', -1))).to.equal(0);
    fixture.floor.host.configure(group.id, topicSettings(new Map()));
    put('a');
    group.commit();
    const settings = topicSettings(new Map([['compare.by.key', 'true']]));
    fixture.floor.host.configure(group.id, settings);
    expect(await outcome(append('a', 0))).to.equal(1);
    expect(await outcome(append('a', 1))).to.equal(2);
  });

  it('ends at its deadline, certainly not appended, while keys are still being read', async () => {
    put('a');
    const answer = append('a', 0, { timeoutMs: 1_000 });
    await settled();
    fixture.world.advance(1_500);
    await settled();
    expect(errorOf(answer, 'DEADLINE_EXCEEDED').message).to.match(/had read the keys/);
    group.commit();
    await pass();
    expect(batches()).to.equal(1);
    expect(await outcome(append('a', 0))).to.equal(1);
  });

  it('is sent on when leadership ends while keys are still being read, or waits for the next', async () => {
    put('a');
    const sentOn = append('a', 0);
    await settled();
    group.stepDown();
    await pass();
    errorOf(sentOn, 'NOT_LEADER');
    group.lead();
    put('a');
    const waits = append('a', 0);
    await settled();
    group.stepDown('nobody');
    await pass();
    expect(waits.result).to.equal(undefined);
    group.lead();
    expect(await outcome(waits), 'what it stood behind is lost').to.equal(-1);
  });
});
