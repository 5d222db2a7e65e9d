import { expect } from 'chai';
import { MillraceClient, parseBootstrap } from '../../../src/client/index.js';
import { BrokerError, type ErrorCode } from '../../../src/model/errors.js';
import { setup as clientSetup, type Setup } from './client-setup.js';
import { FakeCluster } from './fake-cluster.js';
import { VirtualWorld } from './virtual-world.js';

const CREATED = { topicId: 'x', partitions: 2, replicationFactor: 3 };

const setup = (): Setup => clientSetup(2, { timeoutMs: 5_000 });

/** Answers a method with these, one call after the other; the last one again and again. */
function script(cluster: FakeCluster, method: string, answers: readonly unknown[]): void {
  const left = [...answers];
  cluster.onCall = (called) => {
    if (called !== method) return undefined;
    return left.length > 1 ? left.shift() : left[0];
  };
}

const error = (code: ErrorCode): BrokerError => new BrokerError(code, code);

describe('admin', () => {
  it('may take longer than a broker gives one attempt', async () => {
    const world = new VirtualWorld();
    const cluster = new FakeCluster(world);
    const client = new MillraceClient({
      bootstrap: 'b:1',
      world,
      transport: cluster,
      timeoutMs: 600_000,
    });
    const asked: unknown[] = [];
    cluster.onCall = (method, request) => {
      if (method === 'getMetadata') return undefined;
      asked.push((request as { timeoutMs?: number }).timeoutMs);
      return method === 'createTopic' ? CREATED : {};
    };
    await world.until(client.admin.createTopic({ topic: 'events' }));
    await world.until(client.admin.deleteTopic('events'));
    expect(asked).to.deep.equal([300_000, 300_000]);
  });

  it('goes to the next broker when one cannot be reached', async () => {
    const { world, cluster, client } = setup();
    cluster.kill(1);
    cluster.kill(3);
    for (let i = 0; i < 4; i += 1) {
      expect((await world.until(client.admin.metadata())).clusterId).to.equal('c');
    }
    expect(world.nowMs).to.be.below(100);
  });

  it('waits out a missing metadata leader', async () => {
    const { world, cluster, client } = setup();
    script(cluster, 'describeCluster', [error('NO_QUORUM'), error('NO_QUORUM'), { topics: 7 }]);
    expect((await world.until(client.admin.describeCluster())).topics).to.equal(7);
  });

  it('ends with the last reason when its time is over', async () => {
    const { world, cluster, client } = setup();
    script(cluster, 'describeCluster', [error('NO_QUORUM')]);
    const failure = await world.until(client.admin.describeCluster().catch((e: unknown) => e));
    expect(failure).to.have.property('code', 'NO_QUORUM');
    expect(world.nowMs).to.be.within(4_000, 5_100);
  });

  it('does not ask again what will not change', async () => {
    const { world, cluster, client } = setup();
    script(cluster, 'createTopic', [error('INVALID_PARTITIONS'), CREATED]);
    const creating = client.admin.createTopic({ topic: 'events' }).catch((e: unknown) => e);
    expect(await world.until(creating)).to.have.property('code', 'INVALID_PARTITIONS');
  });

  it('believes that there is no such topic once every broker says so', async () => {
    const { world, cluster, client } = setup();
    const lagging = [error('UNKNOWN_TOPIC'), error('UNKNOWN_TOPIC'), { topic: 'events' }];
    script(cluster, 'describeTopic', lagging);
    expect((await world.until(client.admin.describeTopic('events'))).topic).to.equal('events');
    script(cluster, 'describeTopic', [error('UNKNOWN_TOPIC')]);
    const startMs = world.nowMs;
    const failure = await world.until(client.admin.describeTopic('x').catch((e: unknown) => e));
    expect(failure).to.have.property('code', 'UNKNOWN_TOPIC');
    expect(world.nowMs - startMs).to.be.below(200);
  });

  it('names the topic the same in every attempt at creating it, and never again', async () => {
    const { world, cluster, client } = setup();
    const ids: unknown[] = [];
    const answers = [error('UNKNOWN_OUTCOME'), error('BROKER_UNAVAILABLE'), CREATED];
    cluster.onCall = (method, request) => {
      if (method !== 'createTopic') return undefined;
      ids.push((request as { topicId: string }).topicId);
      return answers.shift() ?? CREATED;
    };
    await world.until(client.admin.createTopic({ topic: 'x' }));
    await world.until(client.admin.createTopic({ topic: 'x' }));
    expect(ids).to.have.length(4);
    expect(ids[0]).to.match(/^[0-9a-f]{32}$/);
    expect([ids[1], ids[2]]).to.eql([ids[0], ids[0]]);
    expect(ids[3]).to.not.equal(ids[0]);
  });

  it('leaves open who created a topic that has its name after a lost answer', async () => {
    const { world, cluster, client } = setup();
    script(cluster, 'createTopic', [error('UNKNOWN_OUTCOME'), error('TOPIC_EXISTS')]);
    const creating = client.admin.createTopic({ topic: 'events', partitions: 2 });
    const failure = await world.until(creating.catch((e: unknown) => e));
    expect(failure).to.include({ code: 'TOPIC_EXISTS', outcome: 'unknown' });
  });

  it('changes the topic that had the name when it was asked, in every attempt', async () => {
    const { world, cluster, client } = setup();
    const { admin } = client;
    const changes: Record<string, () => Promise<unknown>> = {
      deleteTopic: async () => await admin.deleteTopic('events'),
      addPartitions: async () => await admin.addPartitions({ topic: 'events', partitions: 4 }),
      alterTopic: async () => await admin.alterTopic({ topic: 'events', set: { a: 'b' } }),
      trimPartition: async () => await admin.trimPartition({ topic: 'events', partition: 0 }, 1),
    };
    for (const [method, change] of Object.entries(changes)) {
      const first = '1'.repeat(32);
      cluster.topicId = first;
      const asked: unknown[] = [];
      cluster.onCall = (called, request) => {
        if (called !== method) return undefined;
        asked.push((request as { topicId: string }).topicId);
        cluster.topicId = '2'.repeat(32);
        return asked.length === 1 ? error('UNKNOWN_OUTCOME') : {};
      };
      await world.until(change());
      expect(asked, method).to.eql([first, first]);
    }
  });

  it('alters a topic as it finds it, and again when others did so meanwhile', async () => {
    const { world, cluster, client } = setup();
    const versions: unknown[] = [];
    const stale = error('STALE_CONFIG_VERSION');
    const alter = async (...answers: unknown[]): Promise<unknown> => {
      cluster.onCall = (method, request) => {
        if (method !== 'alterTopic') return undefined;
        versions.push((request as { expectedVersion: number }).expectedVersion);
        cluster.configVersion += 1;
        return answers.shift();
      };
      const altering = client.admin.alterTopic({ topic: 'events', set: { a: 'b' } });
      return await world.until(altering.catch((e: unknown) => e));
    };
    expect(await alter(stale, stale, { configVersion: 9 })).to.eql({ configVersion: 9 });
    expect(versions).to.eql([1, 2, 3]);
    // The attempt without an answer may have been the change that came between: it is not made twice.
    const failure = await alter(error('UNKNOWN_OUTCOME'), stale, { configVersion: 9 });
    expect(failure).to.include({ code: 'UNKNOWN_OUTCOME', outcome: 'unknown' });
    expect(versions).to.eql([1, 2, 3, 4, 4]);
  });

  it('does not take a topic for its own without a doubt', async () => {
    const { world, cluster, client } = setup();
    script(cluster, 'createTopic', [error('LEADER_UNKNOWN'), error('TOPIC_EXISTS')]);
    const creating = client.admin.createTopic({ topic: 'events', partitions: 2 });
    const failure = await world.until(creating.catch((e: unknown) => e));
    expect(failure).to.have.property('code', 'TOPIC_EXISTS');
  });

  it('takes a topic that is gone after a lost answer for deleted', async () => {
    const { world, cluster, client } = setup();
    script(cluster, 'deleteTopic', [error('UNKNOWN_OUTCOME'), error('UNKNOWN_TOPIC')]);
    await world.until(client.admin.deleteTopic('events'));
    script(cluster, 'deleteTopic', [error('UNKNOWN_TOPIC')]);
    const failure = await world.until(client.admin.deleteTopic('events').catch((e: unknown) => e));
    expect(failure).to.have.property('code', 'UNKNOWN_TOPIC');
  });

  it('says that nothing was done only if no attempt may have done it', async () => {
    const { world, cluster, client } = setup();
    const change = (): Promise<unknown> =>
      world.until(
        client.admin.addPartitions({ topic: 'events', partitions: 4 }).catch((e: unknown) => e),
      );
    script(cluster, 'addPartitions', [error('LEADER_UNKNOWN'), error('INVALID_ARGUMENT')]);
    expect(await change()).to.include({ code: 'INVALID_ARGUMENT', outcome: 'none' });
    script(cluster, 'addPartitions', [
      error('UNKNOWN_OUTCOME'),
      error('LEADER_UNKNOWN'),
      error('INVALID_ARGUMENT'),
    ]);
    expect(await change()).to.include({ code: 'INVALID_ARGUMENT', outcome: 'unknown' });
  });

  it('ends its calls when the client is closed', async () => {
    const { world, cluster, client } = setup();
    script(cluster, 'describeCluster', [error('NO_QUORUM')]);
    const calling = client.admin.describeCluster().catch((e: unknown) => e);
    await world.advance(300);
    await client.close();
    expect(await world.until(calling, 50)).to.have.property('code', 'NO_QUORUM');
  });
});

describe('admin of groups', () => {
  it('lists all pages', async () => {
    const { world, cluster, client } = setup();
    const page = (groups: string[], hasMore: boolean): unknown => ({
      groups: groups.map((group) => ({ group, state: 'empty', members: 0 })),
      hasMore,
    });
    const asked: unknown[] = [];
    cluster.onCall = (method, request) => {
      if (method !== 'listGroups') return undefined;
      asked.push(request);
      return asked.length === 1 ? page(['a', 'b'], true) : page(['c'], false);
    };
    const groups = await world.until(client.admin.listGroups({ prefix: 'p' }));
    expect(groups.map((g) => g.group)).to.deep.equal(['a', 'b', 'c']);
    expect(asked).to.deep.equal([
      { prefix: 'p', after: '' },
      { prefix: 'p', after: 'b' },
    ]);
  });

  it('does not shift offsets again when an answer was lost, but sets them again', async () => {
    const { world, cluster, client } = setup();
    script(cluster, 'resetGroupOffsets', [error('UNKNOWN_OUTCOME'), []]);
    const shifting = client.admin.resetOffsets('g', { shiftBy: -1 }).catch((e: unknown) => e);
    expect(await world.until(shifting)).to.have.property('code', 'UNKNOWN_OUTCOME');
    for (const [to, options] of [
      ['beginning', {}],
      [{ shiftBy: -1 }, { dryRun: true }],
    ] as const) {
      script(cluster, 'resetGroupOffsets', [error('UNKNOWN_OUTCOME'), []]);
      expect(await world.until(client.admin.resetOffsets('g', to, options))).to.deep.equal([]);
    }
  });

  it('leaves open which refused offsets a lost attempt committed', async () => {
    const { world, cluster, client } = setup();
    const at = { topic: 'events', partition: 0, offset: 1 };
    const refused = [{ ...at, metadata: '', error: error('UNKNOWN_MEMBER') }];
    for (const [answers, outcome] of [
      [[refused], 'none'],
      [[error('UNKNOWN_OUTCOME'), refused], 'unknown'],
    ] as const) {
      script(cluster, 'commitOffsets', answers);
      const [answer] = await world.until(client.admin.commitOffsets('g', [at]));
      expect(answer?.error).to.include({ code: 'UNKNOWN_MEMBER', outcome });
      script(cluster, 'commitOffsets', answers);
      const consumer = client.consumer({ topic: 'events', group: 'g' });
      const failure = await world.until(consumer.commit([at]).catch((e: unknown) => e));
      expect(failure).to.include({ code: 'UNKNOWN_MEMBER', outcome });
      await consumer.close();
    }
  });

  it('takes a group that is gone after a lost answer for deleted', async () => {
    const { world, cluster, client } = setup();
    script(cluster, 'deleteGroup', [error('UNKNOWN_OUTCOME'), error('UNKNOWN_GROUP')]);
    await world.until(client.admin.deleteGroup('g'));
    script(cluster, 'deleteGroup', [error('UNKNOWN_GROUP')]);
    const failure = await world.until(client.admin.deleteGroup('g').catch((e: unknown) => e));
    expect(failure).to.have.property('code', 'UNKNOWN_GROUP');
  });
});

describe('bootstrap addresses', () => {
  it('are host:port, alone or in lists', () => {
    const three = [
      { host: 'a', port: 1 },
      { host: '10.0.0.1', port: 7401 },
      { host: '::1', port: 65_535 },
    ];
    expect(parseBootstrap(' a:1, 10.0.0.1:7401,[::1]:65535,')).to.deep.equal(three);
    expect(parseBootstrap(['a:1', '10.0.0.1:7401', '[::1]:65535'])).to.deep.equal(three);
  });

  for (const bad of ['a', 'a:', ':1', 'a:0', 'a:65536', 'a:x', '::1:5', 'http://a:1', 'a b:1']) {
    it(`are not ${bad}`, () => {
      expect(() => parseBootstrap(bad))
        .to.throw(BrokerError)
        .with.property('code', 'INVALID_ARGUMENT');
    });
  }

  it('are needed', () => {
    expect(() => new MillraceClient({ bootstrap: '' })).to.throw(BrokerError);
  });
});
