import { expect } from 'chai';
import { crc32c } from '../../../src/base/crc32c.js';
import type { BrokerServices, ProduceResult } from '../../../src/broker/types.js';
import { BrokerError } from '../../../src/model/errors.js';
import { METADATA_GROUP, raftGroupId } from '../../../src/model/ids.js';
import { RecordBatchBuilder } from '../../../src/model/record-batch-builder.js';
import { ms } from '../world.js';
import { BrokerStage } from './stage.js';

function batch(
  text: string,
  producer: { id: number; epoch: number; sequence: number },
): Uint8Array {
  const builder = new RecordBatchBuilder();
  builder.append({ value: new TextEncoder().encode(text) }, 1_700_000_000_000);
  const { id, epoch, sequence } = producer;
  return builder.finish({ producerId: id, producerEpoch: epoch, baseSequence: sequence }, crc32c);
}

async function produce(stage: BrokerStage, id: number, bytes: Uint8Array): Promise<ProduceResult> {
  return stage.ask(id, (services) => {
    const request = {
      topic: 'logs',
      partition: 0,
      topicId: undefined,
      acks: 'quorum' as const,
      batch: Uint8Array.from(bytes),
      timeoutMs: 5_000,
      allowForward: false,
    };
    return new Promise((resolve) => services.produce.produce(request, resolve));
  });
}

async function producerId(
  stage: BrokerStage,
): Promise<{ producerId: number; producerEpoch: number }> {
  const fresh = { producerId: undefined, producerEpoch: 0 };
  return stage.ask(1, (s) => s.admin.initProducer(fresh, { deadlineMs: 5_000 }));
}

/** A commit that reaches the metadata leader, whose answer does not come back to the broker asked. */
async function commitThatHearsNothing(
  stage: BrokerStage,
  deadlineMs: number,
): Promise<{
  readonly asked: number;
  /** Neither the broker asked nor the metadata leader. */
  readonly other: number;
  readonly answer: ReturnType<BrokerServices['admin']['commitOffsets']>;
}> {
  const leader = await stage.leaderOfGroup(METADATA_GROUP, 'the metadata');
  const [asked = 0, other = 0] = [1, 2, 3].filter((id) => id !== leader);
  const offsets = [{ topic: 'logs', partition: 0, offset: 0, metadata: 'seven' }];
  const answer = stage.net.call(asked, deadlineMs + 5_000, (s) =>
    s.admin.commitOffsets({ group: 'g', offsets }, { deadlineMs }),
  );
  stage.cluster.network.cut(leader, asked);
  await stage.pass(500);
  return { asked, other, answer };
}

describe('scenarios of whole brokers', () => {
  // Seed 127 of an early sweep.
  it('a deleted replica stays deleted although the metadata is opened anew from before', async () => {
    const stage = new BrokerStage({ checkpointEntries: 1 });
    await stage.form();
    await stage.createTopic('doomed');
    await stage.pass(1_000);
    const groupId = raftGroupId(stage.groupOf('doomed'));
    const { disk } = stage.cluster.broker(2);
    const metadata = disk.replicas.get(METADATA_GROUP);
    const before = metadata?.checkpoint;
    if (metadata === undefined || before === undefined) throw new Error('no checkpoint');
    await stage.ask(1, (s) =>
      s.admin.deleteTopic({ topic: 'doomed', timeoutMs: undefined }, { deadlineMs: 8_000 }),
    );
    await stage.until('the deletion everywhere', () =>
      stage.cluster.brokers.every((broker) => !broker.disk.replicas.has(groupId)),
    );
    await stage.pass(1_000);
    // The next write of broker 2's metadata replica fails; it comes back with its older checkpoint.
    metadata.failsNextSync = true;
    metadata.checkpoint = before;
    await stage.createTopic('next');
    await stage.until('the failed write', () => !metadata.failsNextSync);
    await stage.pass(5_000);
    expect(disk.replicas.has(groupId)).to.equal(false);
    expect(disk.replicas.has(raftGroupId(stage.groupOf('next')))).to.equal(true);
  });

  // Seed 3 of an early sweep.
  it('a repeated batch is answered once, in the epoch of the leader that answers', async () => {
    const stage = await BrokerStage.withTopic('logs');
    const identity = await producerId(stage);
    const bytes = batch('once', {
      id: identity.producerId,
      epoch: identity.producerEpoch,
      sequence: 0,
    });
    const first = await stage.leaderOf('logs');
    const original = await produce(stage, first, bytes);
    stage.cluster.kill(first, 'process');
    const second = await stage.leaderOf('logs');
    const repeated = await produce(stage, second, bytes);
    if (original.error !== undefined) throw original.error;
    if (repeated.error !== undefined) throw repeated.error;
    expect(repeated).to.include({ baseOffset: 0, isDuplicate: true, brokerId: second });
    expect(repeated.leaderEpoch).to.be.greaterThan(original.leaderEpoch);
  });

  // Seed 266 of an early sweep.
  it('a broker that stops does not say "not done" of what may have been done', async () => {
    const stage = await BrokerStage.withTopic('logs');
    const { asked, other, answer } = await commitThatHearsNothing(stage, 15_000);
    // The asked one takes its time to stop: the disk is slow.
    const { disk } = stage.cluster.broker(asked);
    disk.options = { ...disk.options, writeMax: ms(9_000), syncMax: ms(9_000) };
    stage.cluster.stop(asked);
    const error = await stage.result(
      answer.then(
        () => undefined,
        (thrown: unknown) => BrokerError.from(thrown),
      ),
    );
    const [found] = await stage.ask(other, (s) =>
      s.admin.fetchOffsets(
        { group: 'g', partitions: [{ topic: 'logs', partition: 0 }] },
        { deadlineMs: 8_000 },
      ),
    );
    expect(found?.metadata).to.equal('seven');
    expect(error?.code).to.equal('UNKNOWN_OUTCOME');
  });

  // Seed 2397.
  it('a commit that may have been done is not called "not done" when a later attempt is refused', async () => {
    const stage = await BrokerStage.withTopic('logs');
    const { other, answer } = await commitThatHearsNothing(stage, 30_000);
    await stage.ask(other, (s) =>
      s.admin.deleteTopic({ topic: 'logs', timeoutMs: 8_000 }, { deadlineMs: 8_000 }),
    );
    stage.cluster.network.mend();
    const [committed] = await stage.result(answer);
    expect(committed?.error?.code).to.equal('UNKNOWN_TOPIC');
    expect(committed?.error?.outcome).to.equal('unknown');
  });

  it('a cluster forms, survives the loss of all power, and serves again', async () => {
    const stage = await BrokerStage.withTopic('logs');
    const leader = await stage.leaderOf('logs');
    const none = { id: -1, epoch: -1, sequence: -1 };
    const first = await produce(stage, leader, batch('before', none));
    expect(first.error).to.equal(undefined);
    for (const { id } of stage.cluster.brokers) stage.cluster.kill(id, 'power');
    await stage.form();
    const again = await stage.leaderOf('logs');
    const second = await produce(stage, again, batch('after', none));
    if (second.error !== undefined) throw second.error;
    expect(second.baseOffset).to.equal(1);
  });
});
