import { expect } from 'chai';
import type {
  BatchReport,
  ClientHooks,
  FetchEvent,
  LeaderChangeEvent,
  RetryEvent,
} from '../../../src/client/index.js';
import { BrokerError } from '../../../src/model/errors.js';
import { setup as clientSetup, type Setup } from './client-setup.js';

const setup = (hooks: ClientHooks): Setup => clientSetup(1, { hooks });

/** A throttled call, a refused produce, a leader that moves, a refused read. */
async function live({ world, cluster, client }: Setup): Promise<readonly string[]> {
  let refusals = 1;
  cluster.onCall = (method) =>
    method === 'initProducer' && refusals-- > 0 ? new BrokerError('THROTTLED', 'busy') : undefined;
  const fates = [new BrokerError('NO_QUORUM', 'no quorum')];
  cluster.fate = () => {
    const error = fates.shift();
    return error === undefined ? { kind: 'serve' } : { kind: 'refuse', error };
  };
  const producer = client.producer();
  const at = { topic: 'events', partition: 0 };
  await world.until(producer.send({ ...at, value: 'a' }));
  cluster.moveLeader(0, 2);
  await world.until(producer.send({ ...at, value: 'b' }));
  cluster.readRefusals.push(new BrokerError('LEADER_UNKNOWN', 'an election'));
  const consumer = client.consumer({ topic: 'events', stopAtEnd: true });
  const got: string[] = [];
  const loop = async (): Promise<void> => {
    for await (const { value } of consumer) got.push(Buffer.from(value ?? []).toString());
  };
  await world.until(loop());
  return got;
}

describe('hooks', () => {
  it('hear of retries, leaders, batches and fetches', async () => {
    const retries: RetryEvent[] = [];
    const leaders: LeaderChangeEvent[] = [];
    const reports: BatchReport[] = [];
    const fetches: FetchEvent[] = [];
    const s = setup({
      onRetry: (event) => retries.push(event),
      onLeaderChange: (event) => leaders.push(event),
      onProduce: (report) => reports.push(report),
      onFetch: (event) => fetches.push(event),
    });
    expect(await live(s)).to.deep.equal(['a', 'b']);
    const at = { topic: 'events', partition: 0 };
    expect(
      retries.map((r) => [r.kind === 'call' ? r.method : r.kind, r.attempt, r.error?.code]),
    ).to.deep.equal([
      ['initProducer', 1, 'THROTTLED'],
      ['produce', 1, 'NO_QUORUM'],
      ['produce', 1, 'NOT_LEADER'],
      ['fetch', 1, 'LEADER_UNKNOWN'],
    ]);
    expect(retries[1]?.delayMs).to.be.within(10, 20);
    expect(retries[1]).to.include(at);
    expect(leaders).to.deep.equal([
      { ...at, brokerId: 1, leaderEpoch: 1, previousBrokerId: undefined },
      { ...at, brokerId: 2, leaderEpoch: 2, previousBrokerId: 1 },
    ]);
    expect(reports.map((r) => [r.baseOffset, r.attempts])).to.deep.equal([
      [0, 2],
      [1, 2],
    ]);
    const last = fetches.at(-1);
    expect(last).to.deep.include({ ...at, nextOffset: 2, highWatermark: 2 });
    expect(last?.broker).to.deep.equal({ host: 'b', port: 2 });
    expect(fetches.reduce((sum, f) => sum + f.bytes, 0)).to.be.greaterThan(100);
  });

  const failing: readonly (readonly [string, () => unknown])[] = [
    [
      'throw',
      () => {
        throw new Error('hook');
      },
    ],
    ['reject', async () => await Promise.reject(new Error('hook'))],
  ];
  for (const [how, hook] of failing) {
    it(`break nothing when they ${how}`, async () => {
      let calls = 0;
      const each = (): unknown => {
        calls += 1;
        return hook();
      };
      const s = setup({ onRetry: each, onLeaderChange: each, onProduce: each, onFetch: each });
      expect(await live(s)).to.deep.equal(['a', 'b']);
      expect(calls).to.be.greaterThan(7);
      const producer = s.client.producer({ onBatch: each });
      await s.world.until(producer.send({ topic: 'events', value: 'c' }));
      await s.world.until(producer.send({ topic: 'events', value: 'd' }));
      expect(s.cluster.partition().values()).to.deep.equal(['a', 'b', 'c', 'd']);
    });
  }
});
