import { expect } from 'chai';
import { HistoryWriter } from '../../checker/index.js';
import { simConsumer } from '../consumer-load.js';
import { simProducer, type LoadContext } from '../load.js';
import { BrokerStage } from './stage.js';

const AT = { topic: 'logs', partition: 0 };

function contextOf({ net, scheduler, cluster }: BrokerStage): LoadContext {
  const history = new HistoryWriter(
    () => undefined,
    () => scheduler.now,
  );
  return { net, scheduler, history, brokers: cluster.brokers.length, pace: 1, keys: ['logs/0'] };
}

describe('scenarios of clients', () => {
  // Seed 2 of the first sweep with readers of what is given up.
  it('a place sought is not judged by the leader that was read from before', async () => {
    const stage = await BrokerStage.withTopic('logs');
    const context = contextOf(stage);
    const producer = simProducer(context, stage.prng.fork());
    const { consumer } = simConsumer(context, stage.prng.fork(), { partitions: [AT] });
    const records = consumer.records();
    await stage.result(producer.send({ ...AT, value: 'of the first leader' }));
    const first = await stage.result(records.next());
    expect(first.value?.offset).to.equal(0);
    consumer.pause();
    stage.cluster.kill(await stage.leaderOf('logs'), 'process');
    for (let i = 1; i <= 4; i += 1) {
      await stage.result(producer.send({ ...AT, value: 'of the second' }));
    }
    const leader = await stage.leaderOf('logs');
    const trim = { ...AT, beforeOffset: 3 };
    await stage.ask(leader, (s) => s.admin.trimPartition(trim, { deadlineMs: 5_000 }));
    consumer.resume();
    await stage.result(consumer.seek(AT, 'beginning'));
    const next = await stage.result(records.next());
    expect(next.value?.offset).to.equal(3);
    await stage.result(consumer.close());
  });
});
