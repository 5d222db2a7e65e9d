import type { ClientDuplexStream, ServiceError } from '@grpc/grpc-js';
import { expect } from 'chai';
import { crc32c } from '../../../src/base/crc32c.js';
import type { ProduceRequest, ProduceResult } from '../../../src/broker/types.js';
import { BrokerError } from '../../../src/model/errors.js';
import { brokerId } from '../../../src/model/ids.js';
import { LIMITS } from '../../../src/model/limits.js';
import { checkProducedBatch } from '../../../src/model/record-batch.js';
import type { ProduceRequest as WireRequest } from '../../../src/rpc/gen/millrace/broker/v1/ProduceRequest.js';
import type { ProduceResponse__Output } from '../../../src/rpc/gen/millrace/broker/v1/ProduceResponse.js';
import { errorFromStatus } from '../../../src/rpc/status.js';
import { answerOf, startApi, type TestApi } from '../../support/api.js';
import { eventually } from '../../support/eventually.js';

interface Asked {
  readonly request: ProduceRequest;
  readonly done: (result: ProduceResult) => void;
}

const appended = (baseOffset: number): ProduceResult => ({
  baseOffset,
  appendTimeMs: 5,
  leaderEpoch: 3,
  isDuplicate: false,
  logStartOffset: 0,
  brokerId: brokerId(1),
});

describe('client API: produce', () => {
  let api: TestApi;
  let asked: Asked[];
  beforeEach(async () => {
    asked = [];
    api = await startApi({ produce: (request, done) => asked.push({ request, done }) });
  });
  afterEach(() => api.stop());

  function openStream(): {
    readonly call: ClientDuplexStream<WireRequest, ProduceResponse__Output>;
    readonly answers: ProduceResponse__Output[];
    readonly ended: Promise<number>;
  } {
    const call = api.connection.records.produceStream();
    const answers: ProduceResponse__Output[] = [];
    call.on('data', (answer: ProduceResponse__Output) => answers.push(answer));
    call.on('error', () => undefined);
    const ended = new Promise<number>((resolve) =>
      call.once('status', ({ code }) => resolve(code)),
    );
    return { call, answers, ended };
  }

  const batchOf = (correlationId: number, bytes = 3): WireRequest => ({
    correlationId,
    topic: 't',
    partition: 1,
    batch: Buffer.alloc(bytes, correlationId),
  });

  it('hands every field over and echoes what came of it', async () => {
    const { call, answers } = openStream();
    call.write({
      ...batchOf(7),
      topicId: 'ab'.repeat(16),
      acks: 'ACKS_LEADER',
      timeoutMs: 1234,
      allowForward: true,
      expectedOffset: 0,
      expectedKeyOffset: -1,
    });
    await eventually('asked', () => asked.length === 1);
    expect(asked[0]!.request).to.deep.equal({
      topic: 't',
      partition: 1,
      topicId: 'ab'.repeat(16),
      acks: 'leader',
      batch: Buffer.alloc(3, 7),
      expectedOffset: 0,
      expectedKeyOffset: -1,
      timeoutMs: 1234,
      allowForward: true,
    });
    asked[0]!.done(appended(40));
    await eventually('answered', () => answers.length === 1);
    expect(answers[0]).to.deep.include({
      correlationId: 7,
      error: null,
      baseOffset: 40,
      appendTimeMs: 5,
      leaderEpoch: 3,
      brokerId: 1,
      duplicate: false,
    });
    call.end();
  });

  it('takes defaults for what is left out', async () => {
    const { call } = openStream();
    call.write(batchOf(1));
    await eventually('asked', () => asked.length === 1);
    const { acks, timeoutMs, topicId, allowForward, expectedOffset, expectedKeyOffset } =
      asked[0]!.request;
    expect([
      acks,
      timeoutMs,
      topicId,
      allowForward,
      expectedOffset,
      expectedKeyOffset,
    ]).to.deep.equal(['quorum', 30_000, undefined, false, undefined, undefined]);
    call.cancel();
  });

  it('carries errors of a partition in the body, with their facts, and goes on', async () => {
    const { call, answers } = openStream();
    call.write(batchOf(1));
    call.write(batchOf(2));
    await eventually('asked', () => asked.length === 2);
    const leader = { brokerId: 2, host: 'b', port: 7402, term: 4 };
    asked[0]!.done({ error: new BrokerError('NOT_LEADER', 'not here', { leader }) });
    asked[1]!.done(appended(9));
    await eventually('answered', () => answers.length === 2);
    expect(answers[0]!.error).to.deep.include({
      code: 'NOT_LEADER',
      outcomeUnknown: false,
      leader,
    });
    expect(answers[1]!.baseOffset).to.equal(9);
    call.cancel();
  });

  it('says where the log ends to a batch that expected another offset', async () => {
    const { call, answers } = openStream();
    call.write({ ...batchOf(1), expectedOffset: 2 ** 40 });
    await eventually('asked', () => asked.length === 1);
    expect(asked[0]!.request.expectedOffset).to.equal(2 ** 40);
    const facts = { logEndOffset: 2 ** 41 };
    asked[0]!.done({ error: new BrokerError('EXPECTATION_FAILED', 'elsewhere', facts) });
    call.write({ ...batchOf(2), expectedOffset: -1 });
    call.write({ ...batchOf(3), expectedOffset: '9007199254740993' });
    await eventually('answered', () => answers.length === 3);
    const [elsewhere, ...bad] = answers.map(({ error }) => error);
    expect(elsewhere).to.deep.include({
      code: 'EXPECTATION_FAILED',
      outcomeUnknown: false,
      retriable: false,
      logEndOffset: 2 ** 41,
    });
    for (const error of bad) {
      expect(error).to.have.property('code', 'INVALID_ARGUMENT');
      expect(error)
        .to.have.property('message')
        .that.matches(/^expected_offset: .* whole number/);
    }
    call.cancel();
  });

  it('packs plain records into a batch that passes every check', async () => {
    const { call } = openStream();
    const sentAtMs = Date.now();
    call.write({
      topic: 't',
      plain: {
        records: [
          { value: Buffer.from('v') },
          { key: Buffer.from('k'), timestampMs: 77, headers: [{ key: 'h' }] },
        ],
      },
    });
    await eventually('asked', () => asked.length === 1);
    const header = checkProducedBatch(asked[0]!.request.batch, { batchBytesMax: 1000, crc32c });
    expect([header.recordsCount, header.producerId]).to.deep.equal([2, -1]);
    expect(header.baseTimestamp).to.be.within(sentAtMs, Date.now());
    call.cancel();
  });

  const bad: readonly (readonly [string, WireRequest, string])[] = [
    ['no payload', { topic: 't' }, 'payload: '],
    ['no topic', { batch: Buffer.alloc(1) }, 'topic: '],
    ['a topic too long', { ...batchOf(0), topic: 'x'.repeat(250) }, 'topic: '],
    ['a topic id that is none', { ...batchOf(0), topicId: '../..' }, 'topic_id: '],
    ['acks of another world', { ...batchOf(0), acks: 99 as 1 }, 'acks: '],
    ['a timeout too long', { ...batchOf(0), timeoutMs: 300_001 }, 'timeout_ms: '],
    ['no records', { topic: 't', plain: { records: [] } }, 'plain.records: '],
    [
      'a timestamp before time',
      { topic: 't', plain: { records: [{ timestampMs: -1 }] } },
      'plain.records[0].timestamp_ms: ',
    ],
    [
      'a timestamp that is no safe number',
      { topic: 't', plain: { records: [{ timestampMs: '9223372036854775807' }] } },
      'plain.records[0].timestamp_ms: ',
    ],
    [
      'too many headers',
      {
        topic: 't',
        plain: { records: [{ headers: Array.from({ length: 1_001 }, () => ({ key: 'h' })) }] },
      },
      'plain.records[0].headers: ',
    ],
    [
      'a correlation id that is no safe number',
      { ...batchOf(0), correlationId: '9007199254740993' },
      'correlation_id: ',
    ],
  ];
  for (const [what, request, start] of bad) {
    it(`refuses ${what}, naming the field, and lets the stream live`, async () => {
      const { call, answers } = openStream();
      call.write(request);
      await eventually('refused', () => answers.length === 1);
      const { error } = answers[0]!;
      expect([error?.code, error?.retriable, error?.outcomeUnknown]).to.deep.equal([
        'INVALID_ARGUMENT',
        false,
        false,
      ]);
      expect(error?.message.startsWith(start), error?.message).to.equal(true);
      call.write(batchOf(5));
      await eventually('asked', () => asked.length === 1);
      call.cancel();
    });
  }

  it('answers a refused request after all before it', async () => {
    const { call, answers } = openStream();
    call.write(batchOf(1));
    call.write({ correlationId: 2, topic: 't' });
    call.write(batchOf(3));
    await eventually('asked', () => asked.length === 1);
    expect(answers).to.be.empty;
    asked[0]!.done(appended(0));
    await eventually('asked again', () => asked.length === 2);
    asked[1]!.done(appended(1));
    await eventually('answered', () => answers.length === 3);
    expect(answers.map(({ correlationId }) => correlationId)).to.deep.equal([1, 2, 3]);
    call.cancel();
  });

  it('stops reading while as much is in flight as may be, and goes on after answers', async () => {
    const { call, answers } = openStream();
    const bytes = 4 * 1024 * 1024;
    const fits = LIMITS.produceInflightBytesPerStreamMax / bytes;
    for (let i = 0; i < 2 * fits; i += 1) call.write(batchOf(i, bytes));
    await eventually('as much as may be', () => asked.length === fits);
    // Nothing else arrives while nothing is answered: a round trip of another call goes by meanwhile.
    await answerOf((done) => api.connection.cluster.getMetadata({}, done)).catch(() => undefined);
    expect(asked.length).to.equal(fits);
    let at = 0;
    await eventually('all answered', () => {
      for (; at < asked.length; at += 1) asked[at]!.done(appended(at));
      return answers.length === 2 * fits;
    });
    call.cancel();
  });

  it('ends the stream once everything is answered', async () => {
    const { call, answers, ended } = openStream();
    call.write(batchOf(1));
    call.end();
    await eventually('asked', () => asked.length === 1);
    asked[0]!.done(appended(0));
    expect(await ended).to.equal(0);
    expect(answers).to.have.length(1);
  });

  it('survives a client that goes away with requests in flight', async () => {
    const { call, ended } = openStream();
    call.write(batchOf(1));
    await eventually('asked', () => asked.length === 1);
    call.cancel();
    await ended;
    asked[0]!.done(appended(0));
    const next = openStream();
    next.call.write(batchOf(2));
    await eventually('asked', () => asked.length === 2);
    asked[1]!.done(appended(1));
    await eventually('answered', () => next.answers.length === 1);
    next.call.cancel();
  });

  it('serves scripts with a unary call, within their deadline', async () => {
    const answer = answerOf<ProduceResponse__Output>((done) =>
      api.connection.records.produce(batchOf(3), { deadline: Date.now() + 25_000 }, done),
    );
    await eventually('asked', () => asked.length === 1);
    expect(asked[0]!.request.timeoutMs).to.be.within(1, 25_000);
    asked[0]!.done(appended(12));
    expect((await answer).baseOffset).to.equal(12);
    const refused = await answerOf((done) =>
      api.connection.records.produce({ topic: 't' }, done),
    ).catch((error: unknown) => errorFromStatus(error as ServiceError, { isWrite: true }));
    expect((refused as BrokerError).code).to.equal('INVALID_ARGUMENT');
  });

  it('says that it is starting until it has joined', async () => {
    api.fake.hasJoined = false;
    api.fake.health = { live: true, ready: false, reason: 'waits for broker 2' };
    const { call, answers } = openStream();
    call.write(batchOf(1));
    await eventually('refused', () => answers.length === 1);
    expect(answers[0]!.error).to.deep.include({
      code: 'BROKER_UNAVAILABLE',
      message: 'starting: waits for broker 2',
    });
    call.cancel();
  });
});
