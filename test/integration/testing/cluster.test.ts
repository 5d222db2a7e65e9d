import { expect } from 'chai';
import process from 'node:process';
import { BrokerError, type MillraceClient } from '../../../src/client/index.js';
import { startCluster, type TestCluster } from '../../../src/testing/index.js';
import { eventually } from '../../support/eventually.js';
import { slowness } from '../../support/yardstick.js';

const TOPIC = 'logs';
const HOUR_MS = 3_600_000;

/** All there is to read, as text. */
async function readAll(client: MillraceClient, topic = TOPIC): Promise<string[]> {
  const values: string[] = [];
  const consumer = client.consumer({ topic, from: 'beginning', stopAtEnd: true });
  for await (const { value } of consumer) values.push(Buffer.from(value ?? []).toString());
  return values;
}

async function errorOf(work: () => Promise<unknown>): Promise<BrokerError> {
  try {
    await work();
  } catch (error) {
    return BrokerError.from(error);
  }
  throw new Error('it succeeded');
}

describe('a cluster in the process of a test', function () {
  this.timeout(60_000);
  let cluster: TestCluster;
  let client: MillraceClient;

  /** Three brokers, one topic with one partition that all have. */
  async function start(options: Parameters<typeof startCluster>[0] = {}): Promise<void> {
    cluster = await startCluster(options);
    await cluster.createTopic(TOPIC);
    client = cluster.client();
  }

  afterEach(async () => {
    await cluster.close();
  });

  it('is there in no time, with its topics', async () => {
    const tookMs: number[] = [];
    const computedMs: number[] = [];
    for (let i = 0; i < 3; i += 1) {
      const startedMs = performance.now();
      const before = process.cpuUsage();
      cluster = await startCluster();
      const { user, system } = process.cpuUsage(before);
      tookMs.push(performance.now() - startedMs);
      computedMs.push((user + system) / 1_000);
      const { partitions, replicationFactor } = await cluster.createTopic(TOPIC, { partitions: 3 });
      expect({ partitions, replicationFactor }).to.deep.equal({
        partitions: 3,
        replicationFactor: 3,
      });
      await cluster.close();
    }
    // Under 300 on an idle machine; the bounds are for one that is not.
    expect(Math.min(...tookMs)).to.be.below(8_000);
    expect(Math.min(...computedMs)).to.be.below(1_000 * slowness());
  });

  it('loses no record when the leader is killed under a producer, and none when it is back', async () => {
    await start();
    const producer = client.producer();
    const sent = Array.from({ length: 60 }, (_, i) => `record ${i}`);
    const leader = await cluster.leaderOf(TOPIC);
    const acks: Promise<unknown>[] = [];
    for (const [i, value] of sent.entries()) {
      acks.push(producer.send({ topic: TOPIC, value }));
      if (i === 20) await Promise.all(acks);
      if (i === 30) await cluster.kill(leader);
    }
    await Promise.all(acks);
    const heir = await cluster.leaderOf(TOPIC);
    expect(heir).to.not.equal(leader);
    expect(await readAll(client)).to.deep.equal(sent);

    await cluster.restart(leader);
    await cluster.ready();
    await cluster.kill(heir);
    expect(await readAll(client)).to.deep.equal(sent);
    expect(cluster.runningBrokerIds).to.deep.equal([1, 2, 3].filter((id) => id !== heir));
  });

  it('has its records, and its addresses, after all brokers were killed at once', async () => {
    await start();
    const producer = client.producer();
    await producer.send({ topic: TOPIC, value: 'before' });
    const { bootstrap } = cluster;
    await Promise.all(cluster.brokerIds.map((id) => cluster.kill(id)));
    await Promise.all(cluster.brokerIds.map((id) => cluster.restart(id)));
    await cluster.ready();
    expect(cluster.bootstrap).to.equal(bootstrap);
    await producer.send({ topic: TOPIC, value: 'after' });
    expect(await readAll(client)).to.deep.equal(['before', 'after']);
  });

  it('goes on without brokers that were stopped, and with those that were restarted', async () => {
    await start();
    const producer = client.producer();
    const leader = await cluster.leaderOf(TOPIC);
    await cluster.stop(leader);
    expect(await cluster.leaderOf(TOPIC)).to.not.equal(leader);
    await producer.send({ topic: TOPIC, value: 'without' });
    await cluster.restart(leader);
    for (const id of cluster.brokerIds) await cluster.restart(id);
    await cluster.ready();
    expect(await readAll(client)).to.deep.equal(['without']);
  });

  it('has every record once that was sent to the leader whom a split cut off', async () => {
    await start();
    const before = await cluster.leaderOf(TOPIC);
    const producer = client.producer();
    await producer.send({ topic: TOPIC, value: 'together' });
    cluster.split([before]);
    // The old leader takes it and cannot commit it; the producer finds who can.
    const { offset } = await producer.send({ topic: TOPIC, value: 'split' });
    const description = await client.admin.describeTopic(TOPIC);
    expect(description.partitions[0]?.leader).to.not.equal(before);
    cluster.heal();
    await producer.send({ topic: TOPIC, value: 'healed' });
    expect(await readAll(client)).to.deep.equal(['together', 'split', 'healed']);
    expect(offset).to.equal(1);
  });

  it('has no leader when every broker is on a side of its own', async () => {
    await start();
    cluster.split([1], [2], [3]);
    const producer = client.producer({ deliveryTimeoutMs: 1_500, requestTimeoutMs: 1_000 });
    const error = await errorOf(() => producer.send({ topic: TOPIC, value: 'nowhere' }));
    expect(error.retriable).to.equal(true);
    cluster.heal();
    const patient = client.producer();
    await patient.send({ topic: TOPIC, value: 'healed' });
    expect((await readAll(client)).at(-1)).to.equal('healed');
  });

  it('waits for slow disks, as far as a quorum needs them', async () => {
    await start();
    const producer = client.producer({ lingerMs: 0 });
    const timed = async (value: string): Promise<number> => {
      const startedMs = performance.now();
      await producer.send({ topic: TOPIC, value });
      return performance.now() - startedMs;
    };
    await timed('found the leader');
    for (const id of cluster.brokerIds) cluster.slowDisk(id, 400);
    expect(await timed('slow')).to.be.at.least(400);
    for (const id of cluster.brokerIds) cluster.slowDisk(id, 0);
    await timed('quick');
    expect(await readAll(client)).to.deep.equal(['found the leader', 'slow', 'quick']);
  });

  it('loses messages, and no record with them', async () => {
    await start();
    const producer = client.producer({ lingerMs: 0 });
    await producer.send({ topic: TOPIC, value: 'before' });
    cluster.drop(0.3, 7);
    const sent = Array.from({ length: 20 }, (_, i) => `record ${i}`);
    for (const value of sent) await producer.send({ topic: TOPIC, value });
    cluster.drop(1);
    const stuck = producer.send({ topic: TOPIC, value: 'after' });
    const isAcked = stuck.then(() => true);
    const isLater = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 100));
    expect(await Promise.race([isAcked, isLater]), 'without a quorum').to.equal(false);
    cluster.heal();
    await stuck;
    expect(await readAll(client)).to.deep.equal(['before', ...sent, 'after']);
  });

  it('sets the wall clock of one broker wrong, and nothing else', async () => {
    await start();
    // Known to each of its replicas from the beginning: a change reaches brokers one after the other.
    const topic = 'stamped';
    await cluster.createTopic(topic, { config: { 'timestamp.type': 'append' } });
    const producer = client.producer({ lingerMs: 0 });
    await producer.send({ topic, value: 'on time' });
    const leader = await cluster.leaderOf(topic);
    cluster.skewClock(leader, HOUR_MS);
    await producer.send({ topic, value: 'fast' });
    cluster.skewClock(leader, -HOUR_MS);
    await producer.send({ topic, value: 'slow' });
    const times: number[] = [];
    const consumer = client.consumer({ topic, from: 'beginning', stopAtEnd: true });
    for await (const { timestampMs } of consumer) times.push(timestampMs);
    const [onTime = 0, fast = 0, slow = 0] = times;
    expect(Math.abs(cluster.clock.nowMs() - onTime)).to.be.lessThan(60_000);
    expect(fast - onTime).to.be.within(HOUR_MS, HOUR_MS + 60_000);
    expect(slow, 'the time of a log never falls').to.be.at.least(fast);
    expect(await cluster.leaderOf(topic)).to.equal(leader);
  });

  it('lets an hour pass in an instant: what is too old goes, and nobody else', async () => {
    await start();
    await client.admin.alterTopic({ topic: TOPIC, set: { 'retention.ms': String(HOUR_MS) } });
    const producer = client.producer();
    await producer.send({ topic: TOPIC, value: 'old' });
    expect(await readAll(client)).to.deep.equal(['old']);
    const leader = await cluster.leaderOf(TOPIC);
    await cluster.clock.advance(HOUR_MS + 1_000);
    const at = { topic: TOPIC, partition: 0, at: 'earliest' } as const;
    await eventually(
      'the old record is gone',
      async () => (await client.admin.listOffsets([at]))[0]?.offset === 1,
      30_000,
    );
    await producer.send({ topic: TOPIC, value: 'new' });
    expect(await readAll(client)).to.deep.equal(['new']);
    expect(await cluster.leaderOf(TOPIC)).to.equal(leader);
    const { brokers } = await client.admin.describeCluster();
    expect(brokers.map(({ isFenced }) => isFenced)).to.deep.equal([false, false, false]);
  });

  it('gives calls the time they ask for, however far its clock is ahead', async () => {
    await start();
    await cluster.clock.advance(HOUR_MS);
    for (const id of cluster.brokerIds) cluster.slowDisk(id, 100);
    const hasty = cluster.client({ timeoutMs: 10_000 });
    const [answer] = await hasty.admin.commitOffsets('readers', [
      { topic: TOPIC, partition: 0, offset: 0 },
    ]);
    expect(answer?.error).to.equal(undefined);
  });

  it('elects nobody while the clock is held', async () => {
    await start();
    const leader = await cluster.leaderOf(TOPIC);
    const epochOf = async (): Promise<number | undefined> => {
      const { partitions } = await client.admin.describeTopic(TOPIC);
      return partitions[0]?.leaderEpoch;
    };
    const epoch = await epochOf();
    cluster.clock.hold();
    cluster.split([leader]);
    // Several times what an election takes.
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    cluster.heal();
    cluster.clock.release();
    expect(await cluster.leaderOf(TOPIC)).to.equal(leader);
    expect(await epochOf()).to.equal(epoch);
  });

  it('closes soon although a client has records that nobody can take', async () => {
    await start();
    const producer = client.producer();
    await producer.send({ topic: TOPIC, value: 'taken' });
    await cluster.kill(1);
    await cluster.kill(2);
    const fate = errorOf(() => producer.send({ topic: TOPIC, value: 'in vain' }));
    const startedMs = performance.now();
    await cluster.close();
    // By itself the producer would go on for two minutes.
    expect(performance.now() - startedMs).to.be.below(20_000);
    expect((await fate).message).to.not.equal('');
  });

  it('may be one of many in its process, none of which knows another', async () => {
    const others = await Promise.all([startCluster({ brokers: 1 }), startCluster({ brokers: 2 })]);
    await start();
    try {
      for (const other of others) await other.createTopic(TOPIC);
      await others[0].client().producer().send({ topic: TOPIC, value: 'elsewhere' });
      expect(await readAll(client)).to.deep.equal([]);
      const ids = await Promise.all(
        [cluster, ...others].map(async (each) => {
          const { clusterId, brokers } = await each.client().admin.describeCluster();
          return `${clusterId} of ${brokers.length}`;
        }),
      );
      expect(new Set(ids).size).to.equal(3);
      expect(ids.map((id) => id.split(' of ')[1])).to.deep.equal(['3', '1', '2']);
    } finally {
      for (const other of others) await other.close();
    }
  });

  it('answers on every port of a broker, with metrics of that broker alone', async () => {
    await start();
    const { clientPort, peerPort, httpPort } = cluster.ports(2);
    expect(new Set([clientPort, peerPort, httpPort]).size).to.equal(3);
    expect(cluster.bootstrap.split(',')[1]).to.equal(`127.0.0.1:${clientPort}`);
    const page = await fetch(`http://127.0.0.1:${httpPort}/metrics`);
    const metrics = await page.text();
    expect(metrics)
      .to.match(/^millrace_\w*leaders \d/m)
      .and.to.not.match(/process_cpu|nodejs_/);
    const ready = await fetch(`http://127.0.0.1:${httpPort}/health/ready`);
    expect(ready.status).to.equal(200);
  });

  it('gives its log to whoever asks, and nothing of a broker that was killed', async () => {
    const lines: string[] = [];
    await start({ log: (line) => lines.push(line), settings: { logLevel: 'info' } });
    expect(lines.join('')).to.match(/"brokerId":1.*broker listens/);
    lines.length = 0;
    await cluster.kill(3);
    const ofThree = lines.filter((line) => line.includes('"brokerId":3'));
    expect(ofThree).to.deep.equal([]);
  });

  it('is closed at the end of its scope', async () => {
    let kept: TestCluster;
    {
      await using scoped = await startCluster({ brokers: 1 });
      kept = scoped;
      expect(kept.runningBrokerIds).to.deep.equal([1]);
    }
    expect(kept.runningBrokerIds).to.deep.equal([]);
    await start({ brokers: 1 });
  });

  it('says what is wrong with what it is asked', async () => {
    await start({ brokers: 2 });
    const cases: readonly (readonly [() => Promise<unknown>, string, RegExp])[] = [
      [() => cluster.kill(3), 'INVALID_ARGUMENT', /kill: there is no broker 3, only 1, 2/],
      [() => cluster.restart(0), 'INVALID_ARGUMENT', /restart: there is no broker 0/],
      [async () => cluster.ports(9), 'INVALID_ARGUMENT', /ports: there is no broker 9/],
      [async () => cluster.split(), 'INVALID_ARGUMENT', /split: puts all brokers on one side/],
      [async () => cluster.split([1, 2]), 'INVALID_ARGUMENT', /split: puts all brokers on one/],
      [
        async () => cluster.split([1], [1, 2]),
        'INVALID_ARGUMENT',
        /split: broker 1 is named twice/,
      ],
      [async () => cluster.split([4]), 'INVALID_ARGUMENT', /split: there is no broker 4/],
      [
        async () => cluster.slowDisk(1, -5),
        'INVALID_ARGUMENT',
        /slowDisk: want 0 to 60000 ms, not -5/,
      ],
      [async () => cluster.drop(2), 'INVALID_ARGUMENT', /drop: want a share of 0 to 1, not 2/],
      [async () => cluster.drop(0.5, 0.5), 'INVALID_ARGUMENT', /drop: want a whole number as seed/],
      [
        async () => cluster.skewClock(1, Infinity),
        'INVALID_ARGUMENT',
        /skewClock: want whole ms of at most ten years, not Infinity/,
      ],
      [async () => cluster.slowDisk(5, 1), 'INVALID_ARGUMENT', /slowDisk: there is no broker 5/],
      [() => cluster.leaderOf(TOPIC, 7), 'UNKNOWN_PARTITION', /leaderOf: logs has 1 partitions/],
      [() => cluster.leaderOf('nosuch'), 'UNKNOWN_TOPIC', /nosuch/],
      [() => cluster.createTopic('a b'), 'INVALID_TOPIC_NAME', /a b/],
    ];
    for (const [ask, code, text] of cases) {
      const error = await errorOf(ask);
      expect(error.message).to.match(text);
      expect(error.code).to.equal(code);
    }
    await cluster.kill(2);
    expect((await errorOf(() => cluster.kill(2))).message).to.equal(
      'kill: broker 2 is not running',
    );
    expect((await errorOf(() => cluster.stop(2))).message).to.equal(
      'stop: broker 2 is not running',
    );
    await cluster.close();
    await cluster.close();
    for (const ask of [
      () => cluster.restart(1),
      () => cluster.createTopic('late'),
      async () => cluster.client(),
    ]) {
      expect((await errorOf(ask)).message).to.match(/: the cluster is closed$/);
    }
  });

  it('says what it waited for in vain', async () => {
    await start();
    await cluster.kill(1);
    await cluster.kill(2);
    await cluster.stop(3);
    await cluster.restart(3);
    const error = await errorOf(() => cluster.ready(400));
    expect(error.code).to.equal('DEADLINE_EXCEEDED');
    expect(error.message).to.match(/waited 400 ms for every running broker to be ready; /);
    expect(error.message).to.match(/broker 1: not running, .*broker 3: waits for/);
  });
});
