import type { ClientReadableStream, ServiceError } from '@grpc/grpc-js';
import { expect } from 'chai';
import type { FetchedPartition, FetchRequest, FetchResult } from '../../../src/broker/types.js';
import { BrokerError } from '../../../src/model/errors.js';
import { brokerId } from '../../../src/model/ids.js';
import type { FetchRequest as WireRequest } from '../../../src/rpc/gen/millrace/broker/v1/FetchRequest.js';
import type { FetchResponse__Output } from '../../../src/rpc/gen/millrace/broker/v1/FetchResponse.js';
import { errorFromStatus } from '../../../src/rpc/status.js';
import { answerOf, startApi, type TestApi } from '../../support/api.js';
import { eventually } from '../../support/eventually.js';

const MIB = 1024 * 1024;

function fetched(partition: number, fields: Partial<FetchedPartition>): FetchedPartition {
  return {
    topic: 't',
    partition,
    error: undefined,
    batches: [],
    highWatermark: 100,
    logStartOffset: 0,
    leaderEpoch: 2,
    nextOffset: 0,
    ...fields,
  };
}

const result = (...partitions: readonly FetchedPartition[]): FetchResult => ({
  partitions,
  brokerId: brokerId(1),
});

describe('client API: fetch', () => {
  let api: TestApi;
  beforeEach(async () => {
    api = await startApi({});
  });
  afterEach(() => api.stop());

  function openStream(request: WireRequest): {
    readonly call: ClientReadableStream<FetchResponse__Output>;
    readonly answers: FetchResponse__Output[];
    readonly ended: Promise<number>;
  } {
    const call = api.connection.records.fetchStream(request);
    const answers: FetchResponse__Output[] = [];
    call.on('error', () => undefined);
    const ended = new Promise<number>((resolve) =>
      call.once('status', ({ code }) => resolve(code)),
    );
    return { call, answers, ended };
  }

  it('lets followers answer only where it was asked to, and says how far behind they may be', async () => {
    const asked: (number | undefined)[] = [];
    api.fake.fetch = (request) => {
      asked.push(request.maxStalenessMs);
      const error = new BrokerError('STALE_REPLICA', 'behind', {
        leader: { brokerId: 2, host: 'b', port: 7, term: 3 },
      });
      return Promise.resolve(result(fetched(0, { error })));
    };
    const partitions = [{ topic: 't' }];
    for (const request of [
      { partitions, maxStalenessMs: 900 },
      { partitions, allowFollower: true },
      { partitions, allowFollower: true, maxStalenessMs: 900 },
    ]) {
      const { call, answers, ended } = openStream(request);
      call.on('data', (answer: FetchResponse__Output) => answers.push(answer));
      await ended;
      const error = answers[0]?.partitions[0]?.error;
      expect(error).to.include({ code: 'STALE_REPLICA', retriable: true });
      expect(error?.leader).to.include({ brokerId: 2, host: 'b', port: 7 });
    }
    expect(asked).to.deep.equal([undefined, 5_000, 900]);
  });

  it('goes on from where the last answer ended, per partition', async () => {
    const requests: FetchRequest[] = [];
    api.fake.fetch = async (request, signal) => {
      requests.push(request);
      if (requests.length === 3) {
        return new Promise((_, reject) => signal?.addEventListener('abort', reject));
      }
      const [a, b] = request.partitions;
      return result(
        fetched(0, { nextOffset: a!.offset + 5, batches: [Buffer.from('ab'), Buffer.from('c')] }),
        fetched(1, { nextOffset: b!.offset }),
      );
    };
    const { call, answers } = openStream({
      partitions: [
        { topic: 't', partition: 0, offset: 10, leaderEpoch: 1 },
        { topic: 't', partition: 1, offset: 20 },
      ],
    });
    call.on('data', (answer: FetchResponse__Output) => answers.push(answer));
    await eventually('asked three times', () => requests.length === 3);
    const offsets = requests.map(({ partitions }) => partitions.map(({ offset }) => offset));
    expect(offsets).to.deep.equal([
      [10, 20],
      [15, 20],
      [20, 20],
    ]);
    expect(requests[1]!.partitions.map(({ leaderEpoch }) => leaderEpoch)).to.deep.equal([2, 0]);
    await eventually('heard', () => answers.length === 2);
    expect(answers[0]!.partitions[0]!.batches.toString()).to.equal('abc');
    expect(answers[0]!.partitions[0]!.nextOffset).to.equal(15);
    call.cancel();
  });

  it('ends partitions that fail, and the stream when all have', async () => {
    const asked: number[][] = [];
    api.fake.fetch = async ({ partitions }) => {
      asked.push(partitions.map(({ partition }) => partition));
      const error = new BrokerError('NOT_LEADER', 'moved');
      return result(...partitions.map((p, i) => fetched(p.partition, i === 0 ? { error } : {})));
    };
    const { call, answers, ended } = openStream({
      partitions: [0, 1, 2].map((partition) => ({ topic: 't', partition })),
    });
    call.on('data', (answer: FetchResponse__Output) => answers.push(answer));
    expect(await ended).to.equal(0);
    expect(asked).to.deep.equal([[0, 1, 2], [1, 2], [2]]);
    expect(answers.map(({ partitions }) => partitions[0]!.error?.code)).to.deep.equal([
      'NOT_LEADER',
      'NOT_LEADER',
      'NOT_LEADER',
    ]);
  });

  it('reads no further ahead than a slow consumer takes, and stops when it goes', async () => {
    let asked = 0;
    api.fake.fetch = async () => {
      asked += 1;
      return result(fetched(0, { nextOffset: asked, batches: [Buffer.alloc(MIB, asked)] }));
    };
    // One is taken and no more: what the windows of both sides take is all that may leave.
    const { call, answers, ended } = openStream({ partitions: [{ topic: 't' }] });
    call.once('data', () => call.pause());
    const roundTrips = async (): Promise<void> => {
      const ask = (): Promise<unknown> =>
        answerOf((done) => api.connection.cluster.getMetadata({}, done)).catch(() => undefined);
      for (let i = 0; i < 20; i += 1) await ask();
    };
    let before = 0;
    const hasStopped = async (): Promise<boolean> => {
      before = asked;
      await roundTrips();
      return asked > 1 && asked === before;
    };
    await eventually('reading stops', hasStopped);
    expect(asked).to.be.within(2, 60);
    call.on('data', (answer: FetchResponse__Output) => answers.push(answer));
    call.resume();
    await eventually('it goes on', () => asked > before + 20);
    expect(answers[0]!.partitions[0]!.batches.length).to.equal(MIB);
    call.cancel();
    await ended;
    await eventually('it stops for good', hasStopped);
  });

  it('ends a waiting fetch when the client goes away', async () => {
    let aborted = 0;
    let asked = 0;
    api.fake.fetch = (_request, signal) => {
      asked += 1;
      return new Promise((_, reject) =>
        signal?.addEventListener('abort', () => {
          aborted += 1;
          reject(new BrokerError('DEADLINE_EXCEEDED', 'cancelled'));
        }),
      );
    };
    const { call } = openStream({ partitions: [{ topic: 't' }] });
    await eventually('asked', () => asked === 1);
    call.cancel();
    await eventually('aborted', () => aborted === 1);
    // A call may be late before it has reached the server, and is nothing to abort then.
    for (let patienceMs = 50; asked === 1; patienceMs *= 2) {
      const deadline = Date.now() + patienceMs;
      const unaryFetch = answerOf((done) =>
        api.connection.records.fetch({ partitions: [{ topic: 't' }] }, { deadline }, done),
      );
      expect(await unaryFetch.catch((e: unknown) => e as ServiceError)).to.have.property('code', 4);
    }
    await eventually('aborted, too', () => aborted === 2);
  });

  it('bounds what a request asks for and fills in defaults', async () => {
    const requests: FetchRequest[] = [];
    api.fake.fetch = async (request) => {
      requests.push(request);
      return result();
    };
    await answerOf((done) =>
      api.connection.records.fetch({ partitions: [{ topic: 't', offset: 3 }] }, done),
    );
    expect(requests[0]).to.deep.equal({
      partitions: [
        {
          topic: 't',
          partition: 0,
          topicId: undefined,
          offset: 3,
          maxBytes: MIB,
          leaderEpoch: 0,
        },
      ],
      minBytes: 1,
      maxBytes: 2 * MIB,
      maxWaitMs: 0,
      linearizable: false,
      allowForward: false,
    });
  });

  const bad: readonly (readonly [string, WireRequest, string])[] = [
    ['no partitions', {}, 'partitions: '],
    [
      'a partition twice',
      { partitions: [{ topic: 't' }, { topic: 't' }] },
      'partitions: names one',
    ],
    ['a negative offset', { partitions: [{ topic: 't', offset: -1 }] }, 'partitions[0].offset: '],
    [
      'an unsafe offset',
      { partitions: [{ topic: 't', offset: '9223372036854775807' }] },
      'partitions[0].offset: ',
    ],
    ['no topic', { partitions: [{}] }, 'topic: '],
    ['too many bytes', { partitions: [{ topic: 't' }], maxBytes: 9 * MIB }, 'max_bytes: '],
    [
      'too little staleness',
      { partitions: [{ topic: 't' }], allowFollower: true, maxStalenessMs: 499 },
      'max_staleness_ms: ',
    ],
    ['too long a wait', { partitions: [{ topic: 't' }], maxWaitMs: 60_001 }, 'max_wait_ms: '],
  ];
  for (const [what, request, start] of bad) {
    it(`refuses ${what}, naming the field`, async () => {
      const failure = await answerOf((done) => api.connection.records.fetch(request, done)).catch(
        (error: unknown) => errorFromStatus(error as ServiceError, { isWrite: false }),
      );
      expect(failure).to.be.instanceOf(BrokerError);
      const { code, message } = failure as BrokerError;
      expect(code).to.equal('INVALID_ARGUMENT');
      expect(message.startsWith(start), message).to.equal(true);
      const stream = openStream(request);
      stream.call.resume();
      expect(await stream.ended).to.equal(3);
    });
  }
});
