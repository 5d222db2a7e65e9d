import { expect } from 'chai';

import { crc32c } from '../../../src/base/crc32c.js';
import { ByteBudget } from '../../../src/broker/budget.js';
import { KeyComparison } from '../../../src/broker/key-comparison.js';
import type { LogReader } from '../../../src/broker/log-reader.js';
import type { PendingProduce } from '../../../src/broker/pending-produce.js';
import { BrokerError } from '../../../src/model/errors.js';
import { offset, term } from '../../../src/model/ids.js';
import { NO_PRODUCER, RecordBatchBuilder } from '../../../src/model/record-batch-builder.js';
import { stampBatch } from '../../../src/model/record-batch.js';
import { LIMITS } from '../../../src/model/limits.js';
import type { PartitionState } from '../../../src/partition/partition-state.js';
import { ManualWorld, settled, silent } from './partition-fixture.js';

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Record i has key `k<i>`; ten of them a slice. */
class Bench {
  readonly world = new ManualWorld();
  readonly budget: ByteBudget;
  readonly state = {
    logStartOffset: offset(0),
    highWatermark: offset(0),
    compaction: { to: offset(0), tombstonesBelow: offset(0) },
  };
  readonly resumed: PendingProduce[] = [];
  readonly refused: BrokerError[] = [];
  readonly keys: KeyComparison;
  failure: BrokerError | undefined;
  onRead: () => void = () => undefined;

  constructor(options: { keysMax?: number; budget?: number } = {}) {
    this.budget = new ByteBudget(options.budget ?? LIMITS.comparedKeyBytesPerBrokerMax);
    this.keys = new KeyComparison({
      world: this.world,
      state: this.state as unknown as PartitionState,
      reader: { read: async (from: number) => await this.read(from) } as unknown as LogReader,
      budget: this.budget,
      log: silent.log,
      name: 'logs-0',
      limits: { keysMax: options.keysMax ?? 1_000, bytesMax: 1_000_000 },
      resume: (waiting) => void this.resumed.push(...waiting),
    });
  }

  pending(): PendingProduce {
    const refuse = (error: BrokerError): void => void this.refused.push(error);
    return { waitForKeys: () => undefined, refuse } as unknown as PendingProduce;
  }

  async pass(): Promise<void> {
    for (let i = 0; i < 50; i += 1) {
      this.world.advance(5);
      await settled();
    }
  }

  private async read(from: number): Promise<{ batches: Uint8Array[]; nextOffset: number }> {
    this.onRead();
    if (this.failure !== undefined) throw this.failure;
    await settled();
    if (from < this.state.logStartOffset) throw new BrokerError('OFFSET_OUT_OF_RANGE', 'gone');
    const next = Math.min(from + 10, this.state.highWatermark);
    const builder = new RecordBatchBuilder();
    for (let i = from; i < next; i += 1)
      builder.append({ key: encode(`k${i}`), value: encode('v') }, 1);
    const batch = builder.finish(NO_PRODUCER, crc32c);
    stampBatch(batch, { baseOffset: offset(from), leaderEpoch: term(1) });
    return { batches: [batch], nextOffset: next };
  }
}

describe('what a leadership knows of keys', () => {
  it('covers the log from its start to where the first asked, and all since', async () => {
    const b = new Bench();
    b.state.highWatermark = offset(35);
    const first = b.pending();
    expect(b.keys.wait(first, offset(37))).to.equal(undefined);
    b.keys.note([{ delta: 1, key: encode('k3'), isTombstone: false }], offset(37));
    await b.pass();
    expect([b.keys.isReady, b.resumed.length], 'two are in flight').to.eql([false, 0]);
    b.state.highWatermark = offset(39);
    await b.pass();
    expect(b.resumed).to.eql([first]);
    expect(['k0', 'k36', 'k3', 'k99'].map((key) => b.keys.lastOf(encode(key)))).to.eql([
      0, 36, 38, -1,
    ]);
    expect(b.budget.used).to.be.greaterThan(0);
    b.keys.forget();
    expect(b.budget.used).to.equal(0);
  });

  it('goes on where the log now begins when retention is faster', async () => {
    const b = new Bench();
    b.state.highWatermark = offset(100);
    b.onRead = () => {
      b.state.logStartOffset = offset(60);
    };
    b.keys.wait(b.pending(), offset(100));
    await b.pass();
    expect(b.keys.isReady).to.equal(true);
    expect(['k5', 'k60', 'k99'].map((key) => b.keys.lastOf(encode(key)))).to.eql([-1, 60, 99]);
  });

  it('has no effect any more once it was forgotten, and gives back who waits', async () => {
    const b = new Bench();
    b.state.highWatermark = offset(100);
    const waits = b.pending();
    b.keys.wait(waits, offset(100));
    await settled();
    expect(b.keys.forget()).to.eql([waits]);
    await b.pass();
    expect([b.keys.isReady, b.resumed.length, b.budget.used]).to.eql([false, 0, 0]);
  });

  it('is refused when the log cannot be read, and tried again when the next asks', async () => {
    const b = new Bench();
    b.state.highWatermark = offset(10);
    b.failure = new BrokerError('REPLICA_FENCED', 'its disk');
    b.keys.wait(b.pending(), offset(10));
    await b.pass();
    expect(b.refused.map(({ code, outcome }) => [code, outcome])).to.eql([
      ['REPLICA_FENCED', 'none'],
    ]);
    b.failure = undefined;
    b.keys.wait(b.pending(), offset(10));
    await b.pass();
    expect([b.keys.isReady, b.resumed.length]).to.eql([true, 1]);
  });

  for (const [what, options] of [
    ['more keys than a partition may', { keysMax: 20 }],
    ['more bytes than the broker has', { budget: 1_000 }],
  ] as const) {
    it(`refuses while there are ${what}, until the log start moves`, async () => {
      const b = new Bench(options);
      b.state.highWatermark = offset(100);
      b.keys.wait(b.pending(), offset(100));
      await b.pass();
      expect(b.refused.map(({ code }) => code)).to.eql(['KEY_LIMIT']);
      expect([b.keys.isReady, b.budget.used]).to.eql([false, 0]);
      expect(b.keys.wait(b.pending(), offset(100))?.code).to.equal('KEY_LIMIT');
      b.keys.note([{ delta: 0, key: encode('x'), isTombstone: false }], offset(100));
      b.state.logStartOffset = offset(90);
      const again = b.keys.wait(b.pending(), offset(100));
      expect(again).to.equal(undefined);
      await b.pass();
      expect(b.keys.isReady).to.equal('keysMax' in options);
    });
  }

  it('makes room for new keys by those that retention took away', async () => {
    const b = new Bench({ keysMax: 20 });
    b.state.highWatermark = offset(20);
    b.keys.wait(b.pending(), offset(20));
    await b.pass();
    b.state.logStartOffset = offset(15);
    b.keys.note([{ delta: 0, key: encode('new'), isTombstone: false }], offset(20));
    expect(b.keys.isReady).to.equal(true);
    expect(b.keys.lastOf(encode('new'))).to.equal(20);
    for (let i = 0; i < 15; i += 1) {
      b.keys.note([{ delta: 0, key: encode(`more${i}`), isTombstone: false }], offset(21 + i));
    }
    expect(b.keys.isReady, 'one too many').to.equal(false);
  });
});
