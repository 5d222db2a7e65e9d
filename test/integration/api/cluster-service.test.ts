import { credentials, Client, type ServiceError } from '@grpc/grpc-js';
import { expect } from 'chai';
import { BrokerError } from '../../../src/model/errors.js';
import { brokerId, logIndex, offset, raftGroupId, term, topicId } from '../../../src/model/ids.js';
import type { DescribeTopicResponse__Output } from '../../../src/rpc/gen/millrace/broker/v1/DescribeTopicResponse.js';
import type { GetMetadataResponse__Output } from '../../../src/rpc/gen/millrace/broker/v1/GetMetadataResponse.js';
import { errorFromStatus } from '../../../src/rpc/status.js';
import { answerOf, startApi, type TestApi } from '../../support/api.js';
import { eventually } from '../../support/eventually.js';

const TOPIC_ID = topicId('ab'.repeat(16));
const ADDRESS = { host: 'h', port: 7401, peerHost: 'p', peerPort: 7501, httpPort: 7601 };

type Unary = Parameters<typeof answerOf>[0];

async function failureOf(call: Unary): Promise<BrokerError> {
  try {
    await answerOf(call);
  } catch (error) {
    return errorFromStatus(error as ServiceError, { isWrite: false });
  }
  throw new Error('did not fail');
}

describe('client API: cluster', () => {
  let api: TestApi;
  beforeEach(async () => {
    api = await startApi({});
  });
  afterEach(() => api.stop());

  it('gives metadata with everything in its place', async () => {
    api.fake.admin = {
      getMetadata: async (request) => {
        expect(request).to.deep.equal({ topics: ['a'], linearizable: true });
        return {
          clusterId: 'c',
          brokers: [{ id: brokerId(1), address: ADDRESS, rack: 'r', isFenced: true }],
          topics: [
            {
              topic: 'a',
              topicId: TOPIC_ID,
              config: new Map([['retention.ms', '5']]),
              configVersion: logIndex(7),
              partitions: [
                {
                  partition: 0,
                  replicas: [brokerId(1)],
                  leader: brokerId(1),
                  leaderEpoch: term(4),
                },
                { partition: 1, replicas: [], leader: undefined, leaderEpoch: undefined },
              ],
            },
            { topic: 'b', error: new BrokerError('UNKNOWN_TOPIC', 'no b') },
          ],
          controller: undefined,
          metadataVersion: logIndex(9),
        };
      },
    };
    const answer = await answerOf<GetMetadataResponse__Output>((done) =>
      api.connection.cluster.getMetadata({ topics: ['a'], linearizable: true }, done),
    );
    expect(answer).to.deep.include({ clusterId: 'c', controller: 0, metadataVersion: 9 });
    const { brokers, topics } = answer;
    expect(brokers).to.deep.equal([{ id: 1, ...ADDRESS, rack: 'r', fenced: true }]);
    expect(topics[0]).to.deep.include({
      topic: 'a',
      topicId: TOPIC_ID,
      config: { 'retention.ms': '5' },
      configVersion: 7,
      partitions: [
        { partition: 0, replicas: [1], leader: 1, leaderEpoch: 4 },
        { partition: 1, replicas: [], leader: 0, leaderEpoch: 0 },
      ],
    });
    expect(topics[1]).to.have.nested.property('error.code', 'UNKNOWN_TOPIC');
  });

  it('describes partitions, also those whose leader is silent', async () => {
    api.fake.admin = {
      describeTopic: async () => ({
        topic: 'a',
        topicId: TOPIC_ID,
        config: new Map(),
        effectiveConfig: new Map([['max.batch.bytes', '1']]),
        durabilityPromise: 'as safe as disks',
        configVersion: logIndex(7),
        configHistory: [
          {
            version: logIndex(7),
            previous: logIndex(2),
            timeMs: 5,
            keys: [{ key: 'max.batch.bytes', before: undefined, after: '1' }],
          },
        ],
        partitions: [
          {
            partition: 0,
            groupId: raftGroupId(3),
            targetReplicas: [brokerId(1)],
            facts: {
              leader: brokerId(1),
              leaderEpoch: term(2),
              replicas: [
                {
                  brokerId: brokerId(1),
                  role: 'voter',
                  inSync: true,
                  matchIndex: logIndex(8),
                  repairing: false,
                },
              ],
              logStartOffset: offset(1),
              highWatermark: offset(7),
              sizeBytes: 99,
              compactedTo: offset(2),
            },
          },
          {
            partition: 1,
            groupId: raftGroupId(4),
            targetReplicas: [brokerId(2)],
            facts: new BrokerError('LEADER_UNKNOWN', 'no leader'),
          },
        ],
      }),
    };
    const answer = await answerOf<DescribeTopicResponse__Output>((done) =>
      api.connection.cluster.describeTopic({ topic: 'a' }, done),
    );
    expect(answer.configVersion).to.equal(7);
    expect(answer.configHistory).to.have.length(1);
    expect(answer.configHistory[0]).to.deep.include({ version: 7, previousVersion: 2, timeMs: 5 });
    const [change] = answer.configHistory[0]?.keys ?? [];
    expect([change?.key, change?.before, change?.after]).to.eql([
      'max.batch.bytes',
      undefined,
      '1',
    ]);
    expect(answer.partitions[0]).to.deep.include({
      leader: 1,
      highWatermark: 7,
      logStartOffset: 1,
      sizeBytes: 99,
      compactedTo: 2,
      raftGroup: 3,
      error: null,
    });
    expect(answer.partitions[1]).to.have.nested.property('error.code', 'LEADER_UNKNOWN');
    expect(answer.partitions[1]).to.have.nested.property('replicas[0].brokerId', 2);
  });

  it('passes the caller’s deadline on, and a default where there is none', async () => {
    const deadlines: number[] = [];
    api.fake.admin = {
      deleteTopic: async (_request, { deadlineMs }) => void deadlines.push(deadlineMs),
    };
    const { cluster } = api.connection;
    await answerOf((done) => cluster.deleteTopic({ topic: 'a' }, done));
    const deadline = Date.now() + 20_000;
    await answerOf((done) => cluster.deleteTopic({ topic: 'a' }, { deadline }, done));
    expect(deadlines[0]).to.equal(30_000);
    // Less what the answer needs to be there before the caller gives up.
    expect(deadlines[1]).to.be.within(1, 19_800);
  });

  it('asks offsets by time, start and end, and tells failures apart', async () => {
    api.fake.admin = {
      listOffsets: async ({ queries }) => {
        expect(queries.map(({ at }) => at)).to.deep.equal([
          { kind: 'timestamp', timestampMs: 0 },
          { kind: 'earliest' },
          { kind: 'latest' },
        ]);
        const found = { offset: 4, timestampMs: 6, leaderEpoch: term(1) };
        return [
          { topic: 'a', partition: 0, answer: found },
          { topic: 'a', partition: 1, answer: new BrokerError('NOT_LEADER', 'x') },
        ];
      },
    };
    const answer = await answerOf<{ answers: unknown[] }>((done) =>
      api.connection.cluster.listOffsets(
        {
          queries: [
            { topic: 'a', timestampMs: 0 },
            { topic: 'a', earliest: true },
            { topic: 'a', latest: true },
          ],
        },
        done,
      ),
    );
    expect(answer.answers[0]).to.deep.include({ offset: 4, timestampMs: 6, error: null });
    expect(answer.answers[1]).to.deep.include({ offset: -1, timestampMs: -1 });
    expect(answer.answers[1]).to.have.nested.property('error.code', 'NOT_LEADER');
  });

  it('refuses what is malformed, naming the field', async () => {
    api.fake.admin = {};
    const { cluster } = api.connection;
    const cases: readonly (readonly [string, Unary])[] = [
      ['topic: ', (done) => cluster.deleteTopic({}, done)],
      ['timeout_ms: ', (done) => cluster.deleteTopic({ topic: 'a', timeoutMs: 300_001 }, done)],
      ['queries[0].at: ', (done) => cluster.listOffsets({ queries: [{ topic: 'a' }] }, done)],
      ['before_offset: ', (done) => cluster.trimPartition({ topic: 'a', beforeOffset: -2 }, done)],
      ['producer_id: ', (done) => cluster.initProducer({ producerId: -2 }, done)],
      ['group: ', (done) => cluster.commitOffsets({ group: 'g'.repeat(250) }, done)],
      [
        'offsets[0].offset: ',
        (done) =>
          cluster.commitOffsets({ group: 'g', offsets: [{ topic: 'a', offset: -1 }] }, done),
      ],
      ['replicas: ', (done) => cluster.moveReplicas({ topic: 'a', replicas: [0] }, done)],
      [
        'to_broker: ',
        (done) => cluster.transferLeadership({ topic: 'a', toBroker: 2 ** 31 }, done),
      ],
    ];
    for (const [start, call] of cases) {
      const { code, message } = await failureOf(call);
      expect([code, message.startsWith(start)], message).to.deep.equal(['INVALID_ARGUMENT', true]);
    }
  });

  it('turns what a service throws into its status, and logs bugs', async () => {
    api.fake.admin = {
      createTopic: async () => {
        throw new BrokerError('TOPIC_EXISTS', 'there is one');
      },
      describeCluster: async () => {
        throw new TypeError('undefined is not a function');
      },
    };
    const { cluster } = api.connection;
    const expected = await failureOf((done) => cluster.createTopic({ topic: 'a' }, done));
    expect([expected.code, expected.message]).to.deep.equal(['TOPIC_EXISTS', 'there is one']);
    expect(api.telemetry.lines).to.be.empty;
    expect((await failureOf((done) => cluster.describeCluster({}, done))).code).to.equal(
      'INTERNAL',
    );
    expect(api.telemetry.lines.map(({ level }) => level)).to.deep.equal(['error']);
    expect(api.telemetry.values.get('api_failed_calls_total')).to.equal(2);
  });

  it('does not know the brokers’ own service, and survives nonsense', async () => {
    const raw = new Client(api.address, credentials.createInsecure());
    const call = (path: string, body: Buffer): Promise<ServiceError | null> =>
      new Promise((resolve) =>
        raw.makeUnaryRequest(
          path,
          (bytes: Buffer) => bytes,
          (bytes: Buffer) => bytes,
          body,
          (error) => resolve(error),
        ),
      );
    expect((await call('/millrace.peer.v1.Peer/Call', Buffer.alloc(0)))?.code).to.equal(12);
    expect((await call('/millrace.peer.v1.Peer/Control', Buffer.alloc(0)))?.code).to.equal(12);
    const garbage = Buffer.alloc(1000, 0xff);
    expect(await call('/millrace.broker.v1.Cluster/CreateTopic', garbage)).to.not.equal(null);
    api.fake.admin = {
      getMetadata: async () => ({
        clusterId: 'c',
        brokers: [],
        topics: [],
        controller: undefined,
        metadataVersion: logIndex(0),
      }),
    };
    expect(await call('/millrace.broker.v1.Cluster/GetMetadata', Buffer.alloc(0))).to.equal(null);
    raw.close();
  });

  it('tells its health, and about itself unless told not to', async () => {
    const raw = new Client(api.address, credentials.createInsecure());
    const check = (): Promise<Buffer> =>
      new Promise((resolve, reject) =>
        raw.makeUnaryRequest(
          '/grpc.health.v1.Health/Check',
          (bytes: Buffer) => bytes,
          (bytes: Buffer) => bytes,
          Buffer.alloc(0),
          (error, answer) => (error === null ? resolve(answer!) : reject(error)),
        ),
      );
    expect([...(await check())]).to.deep.equal([8, 1]);
    api.fake.health = { live: true, ready: false, reason: 'no' };
    await eventually('not serving', async () => [...(await check())][1] === 2);
    raw.close();
    const listed = async (address: string): Promise<number> => {
      const client = new Client(address, credentials.createInsecure());
      const stream = client.makeBidiStreamRequest<Buffer, Buffer>(
        '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
        (bytes) => bytes,
        (bytes) => bytes,
      );
      let text = '';
      stream.on('data', (bytes: Buffer) => {
        text += bytes.toString('latin1');
      });
      stream.on('error', () => undefined);
      const status = new Promise<number>((resolve) =>
        stream.once('status', ({ code }) => resolve(code)),
      );
      // ListServices, "".
      stream.end(Buffer.from([0x3a, 0]));
      const code = await status;
      client.close();
      if (code === 0) {
        expect(text).to.contain('millrace.broker.v1.Records').and.not.contain('millrace.peer');
      }
      return code;
    };
    expect(await listed(api.address)).to.equal(0);
    const silent = await startApi({}, false);
    expect(await listed(silent.address)).to.equal(12);
    await silent.stop();
  });
});
