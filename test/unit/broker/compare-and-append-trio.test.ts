import { expect } from 'chai';
import type { ProduceResult } from '../../../src/broker/types.js';
import { producedBatch } from '../partition/log-fixture.js';
import { TOPIC } from './partition-fixture.js';
import { Trio, type TrioBroker } from './partition-trio.js';

/** The answer, once there is one. */
function append({ floor }: TrioBroker, expectedOffset: number): { result?: ProduceResult } {
  const answer: { result?: ProduceResult } = {};
  const request = {
    ...{ topic: TOPIC, partition: 0, topicId: undefined, acks: 'quorum' as const },
    ...{ batch: producedBatch(), timeoutMs: 5_000, allowForward: false, expectedOffset },
  };
  floor.produce.produce(request, (result) => (answer.result = result));
  return answer;
}

describe('compare and append on three replicas', () => {
  let trio: Trio;

  beforeEach(async () => {
    trio = new Trio(5);
    for (const id of [1, 2, 3]) await trio.start(id);
    await trio.run(10, () => trio.leader() !== undefined);
  });

  const leading = (): TrioBroker => {
    const broker = trio.brokers.get(trio.leader() ?? 0);
    if (broker === undefined) throw new Error('nobody leads');
    return broker;
  };
  const answered = async (answer: { result?: ProduceResult }): Promise<ProduceResult> => {
    await trio.run(10, () => answer.result !== undefined);
    if (answer.result === undefined) throw new Error('no answer');
    return answer.result;
  };

  it('is refused once a quorum has confirmed it', async () => {
    const broker = leading();
    expect(await answered(append(broker, 0))).to.include({ baseOffset: 0 });
    const { error } = await answered(append(broker, 0));
    expect([error?.code, error?.facts.logEndOffset]).to.deep.equal(['EXPECTATION_FAILED', 1]);
  });

  it('is not refused by a leader that slept while another went on', async () => {
    const before = leading();
    expect(await answered(append(before, 0))).to.include({ baseOffset: 0 });
    before.process.pause();
    const others = [...trio.brokers.values()].filter((broker) => broker !== before);
    const isReplaced = (): boolean =>
      others.some(({ host }) => host.list().some((id) => host.group(id)?.isLeaderReady() === true));
    expect(await trio.run(20, isReplaced), 'another leads').to.equal(true);
    const after = others.find(({ host }) =>
      host.list().some((id) => host.group(id)?.isLeaderReady() === true),
    );
    if (after === undefined) throw new Error('nobody leads');
    expect(await answered(append(after, 1))).to.include({ baseOffset: 1 });
    // It still takes itself for the leader of a log that ends at 1.
    const late = append(before, 2);
    before.process.resume();
    const { error } = await answered(late);
    expect(['NOT_LEADER', 'LEADER_UNKNOWN']).to.include(error?.code);
    expect(error?.outcome).to.equal('none');
    expect(await answered(append(after, 2))).to.include({ baseOffset: 2 });
  });
});
