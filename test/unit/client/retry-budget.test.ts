import { expect } from 'chai';
import { MillraceClient, type RetryBudgetOptions } from '../../../src/client/index.js';
import { RetryBudget } from '../../../src/client/retry-budget.js';
import { BrokerError } from '../../../src/model/errors.js';
import { FakeCluster } from './fake-cluster.js';
import { VirtualWorld } from './virtual-world.js';

const BACKOFF = { firstMs: 20, maxMs: 1_000 };

function delays(budget: RetryBudget, count: number, attempt = 1): number[] {
  return Array.from({ length: count }, () => budget.delayMs(BACKOFF, attempt));
}

describe('retry budget', () => {
  it('leaves the back-off alone until the burst is spent, jitters it, and then delays', () => {
    const budget = new RetryBudget(new VirtualWorld(), { perSecond: 10, burst: 50 });
    const free = delays(budget, 50);
    for (const ms of free) expect(ms).to.be.within(10, 20);
    expect(new Set(free).size).to.be.greaterThan(40);
    // One by one a tenth of a second later, with jitter.
    const late = delays(budget, 20);
    for (const [i, ms] of late.entries()) expect(ms).to.be.within((i + 1) * 50, (i + 1) * 100);
  });

  it('never delays beyond a bound, nor less than the back-off', () => {
    const budget = new RetryBudget(new VirtualWorld(), { perSecond: 10, burst: 0 });
    const all = delays(budget, 1_000, 10);
    expect(Math.max(...all)).to.be.within(4_500, 5_000);
    for (const ms of all) expect(ms).to.be.at.least(500);
  });

  it('fills up with time and with successes, up to the burst', async () => {
    const world = new VirtualWorld();
    const budget = new RetryBudget(world, { perSecond: 10, burst: 20 });
    const free = (): number => {
      let count = 0;
      while (budget.delayMs({ firstMs: 1, maxMs: 1 }, 1) <= 1) count += 1;
      return count;
    };
    expect(free()).to.equal(20);
    // The one that was late has taken one more.
    await world.advance(600);
    expect(free()).to.equal(5);
    for (let i = 0; i < 55; i += 1) budget.succeeded();
    expect(free()).to.equal(10);
    await world.advance(60_000);
    for (let i = 0; i < 100; i += 1) budget.succeeded();
    expect(free()).to.equal(20);
  });

  it('refuses budgets that are none', () => {
    for (const bad of [{ perSecond: 0 }, { perSecond: -1 }, { burst: -1 }, { burst: NaN }]) {
      expect(() => new RetryBudget(new VirtualWorld(), bad)).to.throw(BrokerError, /retryBudget/);
    }
  });

  /** Requests in the last ten of thirty seconds of trouble, for a producer of 40 partitions. */
  async function storm(retryBudget: RetryBudgetOptions): Promise<number> {
    const world = new VirtualWorld();
    const cluster = new FakeCluster(world, { partitions: 40 });
    const bootstrap = 'b:1,b:2,b:3';
    const client = new MillraceClient({ bootstrap, world, transport: cluster, retryBudget });
    cluster.fate = () => ({ kind: 'refuse', error: new BrokerError('NO_QUORUM', 'no quorum') });
    const producer = client.producer({ lingerMs: 0 });
    const sent = [...Array(40).keys()].map(async (partition) => {
      await producer.send({ topic: 'events', partition, value: 'v' });
    });
    await world.advance(20_000);
    const before = cluster.produced.length;
    await world.advance(10_000);
    const count = cluster.produced.length - before;
    // And when the trouble is over, everything arrives soon.
    cluster.fate = () => ({ kind: 'serve' });
    await world.until(Promise.all(sent), 5_500);
    return count;
  }

  it('keeps a producer from storming a cluster in trouble, and loses nothing', async () => {
    const free = await storm({ perSecond: 1_000, burst: 1_000 });
    const bounded = await storm({ perSecond: 10, burst: 10 });
    expect(free).to.be.greaterThan(350);
    expect(bounded).to.be.within(50, 180);
  });

  it('holds nothing up once a new leader is known', async () => {
    const world = new VirtualWorld();
    const cluster = new FakeCluster(world);
    const client = new MillraceClient({
      ...{ bootstrap: 'b:1,b:2,b:3', world, transport: cluster },
      retryBudget: { perSecond: 0.1, burst: 0 },
    });
    const producer = client.producer();
    await world.until(producer.send({ topic: 'events', value: 'first' }));
    const error = new BrokerError('LEADER_UNKNOWN', 'an election is under way');
    cluster.fate = (_, broker) => (broker === 1 ? { kind: 'refuse', error } : { kind: 'serve' });
    const sent = producer.send({ topic: 'events', value: 'v' });
    await world.advance(300);
    cluster.moveLeader(0, 2);
    const movedMs = world.nowMs;
    await world.until(sent);
    expect(world.nowMs - movedMs).to.be.at.most(50);
  });
});
