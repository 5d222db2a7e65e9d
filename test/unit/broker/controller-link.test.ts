import { expect } from 'chai';
import { AddressBook } from '../../../src/broker/address-book.js';
import { ControllerLink, type ControllerHandlers } from '../../../src/broker/controller-link.js';
import { CONTROLLER_OPS } from '../../../src/broker/controller-ops.js';
import { BrokerError, type ErrorCode } from '../../../src/model/errors.js';
import { logIndex, METADATA_GROUP, term } from '../../../src/model/ids.js';
import { FakeLeaders, FakePeers, ManualWorld, SELF, TOPIC, TOPIC_ID } from './partition-fixture.js';

const DEADLINE_MS = 5_000;
const COMMIT = {
  group: 'g',
  offsets: [
    { topic: TOPIC, partition: 0, offset: 1, metadata: '' },
    { topic: TOPIC, partition: 1, offset: 1, metadata: '' },
  ],
  memberId: '',
  memberEpoch: 0,
  sequence: 0,
};

const DONE = { index: logIndex(7) };
const LOST = new BrokerError('UNKNOWN_OUTCOME', 'leadership was lost');
const refusal = (code: ErrorCode): BrokerError => new BrokerError(code, 'no');

/** This broker leads the metadata group, and answers attempt by attempt as the test says. */
class Fixture {
  readonly world = new ManualWorld();
  readonly link: ControllerLink;
  attempts = 0;

  constructor(...steps: readonly object[]) {
    const answer = (): Promise<unknown> => {
      const step = steps[this.attempts];
      this.attempts += 1;
      return step instanceof BrokerError ? Promise.reject(step) : Promise.resolve(step);
    };
    const handlers = Object.fromEntries(Object.keys(CONTROLLER_OPS).map((name) => [name, answer]));
    const leaders = new FakeLeaders();
    leaders.learn(METADATA_GROUP, SELF, term(1));
    this.link = new ControllerLink({
      self: SELF,
      world: this.world,
      peers: new FakePeers(),
      leaders,
      book: new AddressBook(SELF, { setPeers: () => undefined }),
      handlers: handlers as unknown as ControllerHandlers,
      isGuest: false,
    });
  }

  /** What the call comes to. */
  async run<T>(call: (link: ControllerLink) => Promise<T>): Promise<T | BrokerError> {
    let result: T | BrokerError | undefined;
    call(this.link).then(
      (answer) => (result = answer),
      (error: unknown) => (result = BrokerError.from(error)),
    );
    for (let ms = 0; result === undefined && ms < 2 * DEADLINE_MS; ms += 10) {
      this.world.advance(10);
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (result === undefined) throw new Error('the call has no end');
    return result;
  }
}

type Call = (link: ControllerLink) => Promise<unknown>;

const createTopic: Call = (link) =>
  link.call(
    'createTopic',
    {
      ...{ topicId: TOPIC_ID, topic: TOPIC, partitions: 1, replicationFactor: 1 },
      ...{ config: new Map(), waitMs: 0 },
    },
    DEADLINE_MS,
  );
const alterTopic: Call = (link) =>
  link.call('alterTopic', { topic: TOPIC, set: new Map(), unset: [] }, DEADLINE_MS);
const addPartitions: Call = (link) =>
  link.call('addPartitions', { topicId: TOPIC_ID, partitions: 2, waitMs: 0 }, DEADLINE_MS);
const deleteTopic: Call = (link) =>
  link.call('deleteTopic', TOPIC_ID, DEADLINE_MS, {
    settle: ({ code }) => (code === 'UNKNOWN_TOPIC' ? DONE : undefined),
  });
const topicIdOf: Call = (link) => link.call('topicId', TOPIC, DEADLINE_MS);

describe('requests to the metadata leader', () => {
  const cases: readonly (readonly [
    title: string,
    call: Call,
    steps: readonly ErrorCode[],
    outcome: 'none' | 'unknown',
  ])[] = [
    ['refused at once', createTopic, ['TOPIC_EXISTS'], 'none'],
    ['refused after "not here"', createTopic, ['NOT_LEADER', 'TOPIC_EXISTS'], 'none'],
    ['refused after "not now"', addPartitions, ['THROTTLED', 'INVALID_PARTITIONS'], 'none'],
    ['refused after a lost answer', createTopic, ['UNKNOWN_OUTCOME', 'TOPIC_EXISTS'], 'unknown'],
    [
      'refused two attempts after a lost answer',
      addPartitions,
      ['BROKER_UNAVAILABLE', 'THROTTLED', 'UNKNOWN_TOPIC'],
      'unknown',
    ],
    [
      'changed by somebody after a lost answer',
      alterTopic,
      ['NO_QUORUM', 'STALE_CONFIG_VERSION'],
      'unknown',
    ],
    [
      'refused for what settles nothing',
      deleteTopic,
      ['UNKNOWN_OUTCOME', 'INVALID_ARGUMENT'],
      'unknown',
    ],
    ['only read, after a lost answer', topicIdOf, ['UNKNOWN_OUTCOME', 'UNKNOWN_TOPIC'], 'none'],
  ];
  for (const [title, call, codes, outcome] of cases) {
    it(`are of outcome ${outcome} when ${title}`, async () => {
      const fixture = new Fixture(...codes.map(refusal));
      const error = await fixture.run(call);
      expect(error).to.include({ code: codes.at(-1), message: 'no', outcome });
      expect(fixture.attempts).to.equal(codes.length);
    });
  }

  it('succeed with what shows that an earlier attempt was carried out', async () => {
    expect(await new Fixture(LOST, refusal('UNKNOWN_TOPIC')).run(deleteTopic)).to.equal(DONE);
    const error = await new Fixture(refusal('UNKNOWN_TOPIC')).run(deleteTopic);
    expect(error).to.include({ code: 'UNKNOWN_TOPIC', outcome: 'none' });
  });

  it('leave open which refused offsets an earlier attempt committed', async () => {
    const errors = [undefined, refusal('UNKNOWN_MEMBER')];
    const answer = { ...DONE, errors, commitTimeMs: 1 };
    for (const [steps, outcome] of [
      [[answer], 'none'],
      [[refusal('NOT_LEADER'), answer], 'none'],
      [[LOST, answer], 'unknown'],
    ] as const) {
      const found = await new Fixture(...steps).run((link) =>
        link.commitOffsets(COMMIT, DEADLINE_MS),
      );
      if (found instanceof BrokerError) throw found;
      expect(found.errors.map((error) => error?.code)).to.eql([undefined, 'UNKNOWN_MEMBER']);
      expect(found.errors[1]?.outcome).to.equal(outcome);
    }
  });
});
