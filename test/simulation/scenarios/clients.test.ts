import { expect } from 'chai';
import { BrokerError } from '../../../src/model/errors.js';
import { HistoryWriter } from '../../checker/index.js';
import type { ClientNet } from '../client-net.js';
import { simConsumer } from '../consumer-load.js';
import { simProducer, type LoadContext } from '../load.js';
import { TableReader } from '../table-load.js';
import { TableOracle } from '../table-oracle.js';
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

  // Seed 68952.
  it('a reader whom nobody told where to start, for longer than it waits, starts again', async () => {
    const { stage, reader } = await readerOfNobody();
    await stage.pass(35_000);
    stage.startAll();
    await stage.until('the table', () => reader.table.get('k') === 'v');
    reader.stop();
  });

  it('once all is healed, a start without an answer fails the run', async () => {
    const { stage } = await readerOfNobody((net) => net.heal());
    const error = await stage.pass(35_000).catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(BrokerError);
  });
});

/** A reader of a record that was written, when no broker runs any more. */
async function readerOfNobody(
  before: (net: ClientNet) => void = () => undefined,
): Promise<{ stage: BrokerStage; reader: TableReader }> {
  const stage = await BrokerStage.withTopic('logs');
  const context = contextOf(stage);
  const producer = simProducer(context, stage.prng.fork());
  await stage.result(producer.send({ ...AT, key: 'k', value: 'v' }));
  const oracle = new TableOracle(stage.cluster.oracle(stage.groupOf('logs')));
  for (const { id } of stage.cluster.brokers) stage.cluster.kill(id, 'process');
  before(stage.net);
  const reader = new TableReader(context, stage.prng.fork(), 'logs/0', oracle);
  reader.readOnce();
  return { stage, reader };
}
