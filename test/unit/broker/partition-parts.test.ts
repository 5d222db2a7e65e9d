import { expect } from 'chai';
import { Deadlines, Timeout } from '../../../src/broker/deadlines.js';
import {
  decodeFetchRequest,
  decodeFetchResult,
  decodeProduceRequest,
  decodeProduceResult,
  encodeFetchRequest,
  encodeFetchResult,
  encodeProduceRequest,
  encodeProduceResult,
} from '../../../src/broker/forward-codec.js';
import { BrokerError } from '../../../src/model/errors.js';
import { ManualWorld, OTHER, TOPIC, TOPIC_ID } from './partition-fixture.js';

class Probe extends Timeout {
  readonly due: number;
  private readonly fired: number[];

  constructor(fired: number[], due: number) {
    super();
    this.fired = fired;
    this.due = due;
  }

  override timedOut(): void {
    this.fired.push(this.due);
  }
}

describe('Deadlines', () => {
  it('come in order, once, never early and at most a grain late, unless cancelled', () => {
    const world = new ManualWorld();
    const deadlines = new Deadlines(world);
    const fired: number[] = [];
    const probes = [500, 20, 20, 9_000, 130, 1, 64, 48].map((due) => new Probe(fired, due));
    for (const probe of probes) deadlines.add(probe, probe.due);
    const [first, , second] = probes;
    if (first !== undefined) deadlines.cancel(first);
    if (second !== undefined) deadlines.cancel(second);
    const start = world.now;
    while (world.now - start < 10_000) {
      const before = fired.length;
      world.advance(1);
      for (const due of fired.slice(before))
        expect(world.now - start).to.be.within(due - 8, due + 17);
    }
    expect(fired).to.deep.equal([1, 20, 48, 64, 130, 9_000]);
    if (first !== undefined) deadlines.cancel(first);
  });

  it('takes deadlines while one is being met', () => {
    const world = new ManualWorld();
    const deadlines = new Deadlines(world);
    const fired: number[] = [];
    class Again extends Probe {
      override timedOut(): void {
        super.timedOut();
        deadlines.add(new Probe(fired, 2), 30);
      }
    }
    deadlines.add(new Again(fired, 1), 10);
    world.advance(30);
    expect(fired).to.deep.equal([1]);
    world.advance(50);
    expect(fired).to.deep.equal([1, 2]);
  });

  it('refuse what waits already, and take it again once it was cancelled', () => {
    const world = new ManualWorld();
    const deadlines = new Deadlines(world);
    const fired: number[] = [];
    const probe = new Probe(fired, 10);
    deadlines.add(probe, 10);
    expect(() => deadlines.add(probe, 10)).to.throw(/added once/);
    deadlines.cancel(probe);
    deadlines.add(probe, 30);
    world.advance(100);
    expect(fired).to.deep.equal([10]);
  });

  it('is quiet after it stopped', () => {
    const world = new ManualWorld();
    const deadlines = new Deadlines(world);
    const fired: number[] = [];
    deadlines.add(new Probe(fired, 10), 10);
    deadlines.stop();
    deadlines.add(new Probe(fired, 20), 20);
    world.advance(1_000);
    expect(fired).to.deep.equal([]);
  });
});

describe('requests passed on', () => {
  const batch = Uint8Array.of(1, 2, 3, 4, 5);
  const error = new BrokerError('OUT_OF_ORDER_SEQUENCE', 'wrong', {
    leader: { brokerId: 2, host: 'h', port: 7401, term: 9 },
    expectedSequence: 0,
    logEndOffset: 0,
    retryAfterMs: 20,
  });

  it('carries a produce, never to be passed on again', () => {
    const cases = [
      { acks: 'quorum', expectedOffset: undefined },
      { acks: 'quorum', expectedOffset: undefined, expectedKeyOffset: -1 },
      { acks: 'quorum', expectedOffset: undefined, expectedKeyOffset: 5 },
      { acks: 'quorum', expectedOffset: 0 },
      { acks: 'quorum', expectedOffset: Number.MAX_SAFE_INTEGER },
      { acks: 'leader', expectedOffset: undefined },
      { acks: 'none', expectedOffset: undefined },
    ] as const;
    for (const one of cases) {
      const { acks, expectedOffset } = one;
      const expectedKeyOffset = 'expectedKeyOffset' in one ? one.expectedKeyOffset : undefined;
      const request = {
        topic: TOPIC,
        partition: 3,
        topicId: TOPIC_ID,
        acks,
        batch,
        expectedOffset,
        expectedKeyOffset,
        timeoutMs: 30_000,
        allowForward: true,
      };
      const decoded = decodeProduceRequest(encodeProduceRequest(request));
      expect(decoded).to.deep.equal({ ...request, allowForward: false });
    }
  });

  it('carries its answer', () => {
    const result = {
      baseOffset: -1,
      appendTimeMs: 1_700_000_000_000,
      leaderEpoch: 5,
      isDuplicate: true,
      logStartOffset: 7,
      brokerId: OTHER,
    };
    expect(decodeProduceResult(encodeProduceResult(result))).to.deep.equal(result);
    const failed = decodeProduceResult(encodeProduceResult({ error })).error;
    expect(failed?.code).to.equal(error.code);
    expect(failed?.outcome).to.equal('none');
    expect(failed?.facts).to.include({ expectedSequence: 0, retryAfterMs: 20 });
    expect(failed?.facts.leader).to.deep.equal(error.facts.leader);
  });

  it('keeps a deadline that certainly appended nothing apart from one that may have', () => {
    for (const outcome of ['none', 'unknown'] as const) {
      const late = new BrokerError('DEADLINE_EXCEEDED', 'late', { outcome });
      expect(decodeProduceResult(encodeProduceResult({ error: late })).error?.outcome).to.equal(
        outcome,
      );
    }
  });

  it('carries a fetch and its answer', () => {
    const request = {
      partitions: [
        { topic: TOPIC, partition: 0, topicId: TOPIC_ID, offset: 5, maxBytes: 100, leaderEpoch: 2 },
        { topic: 'x', partition: 1, topicId: undefined, offset: -1, maxBytes: 1, leaderEpoch: 0 },
      ],
      minBytes: 1,
      maxBytes: 1_000,
      maxWaitMs: 500,
      linearizable: true,
      allowForward: true,
    };
    expect(decodeFetchRequest(encodeFetchRequest(request))).to.deep.equal({
      ...request,
      allowForward: false,
    });
    const partition = {
      topic: TOPIC,
      partition: 0,
      error: undefined,
      batches: [batch, Uint8Array.of(9)],
      highWatermark: 10,
      logStartOffset: 2,
      leaderEpoch: 2,
      nextOffset: 7,
    };
    const result = {
      partitions: [partition, { ...partition, error, batches: [] }],
      brokerId: OTHER,
    };
    const decoded = decodeFetchResult(encodeFetchResult(result));
    expect(decoded.partitions[0]).to.deep.equal(partition);
    expect(decoded.partitions[1]?.error?.code).to.equal(error.code);
    expect(decoded.brokerId).to.equal(OTHER);
  });

  it('refuses what is cut short or of another version', () => {
    const bytes = encodeProduceRequest({
      topic: TOPIC,
      partition: 3,
      topicId: undefined,
      acks: 'none',
      batch,
      timeoutMs: 1,
      allowForward: false,
    });
    expect(() => decodeProduceRequest(bytes.subarray(0, bytes.length - 1))).to.throw();
    expect(() => decodeProduceRequest(Uint8Array.of(9, ...bytes.subarray(1)))).to.throw(
      /version 9/,
    );
  });
});
