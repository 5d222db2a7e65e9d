import { expect } from 'chai';
import { Prng } from '../../../src/base/prng.js';
import { crc32c } from '../../../src/base/crc32c.js';
import type { Consumer, ConsumerOptions } from '../../../src/client/index.js';
import { NO_PRODUCER, RecordBatchBuilder } from '../../../src/model/record-batch-builder.js';
import { setup, type Setup } from './client-setup.js';

const START = 1_600_000_000_000;
const at = (partition: number): { topic: string; partition: number } => ({
  topic: 'events',
  partition,
});

/** One batch with a record for each time. */
function put(s: Setup, timesMs: readonly number[], p = 0): void {
  const builder = new RecordBatchBuilder();
  for (const ms of timesMs) builder.append({ value: Buffer.from(String(ms)) }, START + ms);
  s.cluster.append(p, builder.finish(NO_PRODUCER, crc32c));
}

interface Heard {
  /** Since the first. */
  readonly atMs: number;
  /** Of the record's own time. */
  readonly ms: number;
  readonly partition: number;
}

/** Reads in the background, and notes when what came. */
class Listener {
  readonly heard: Heard[] = [];
  readonly consumer: Consumer;
  isOver = false;
  /** Takes so long over a record. */
  workMs: (ms: number) => number = () => 0;
  readonly done: Promise<void>;
  private startMs: number | undefined;
  private readonly s: Setup;

  constructor(s: Setup, options: Partial<ConsumerOptions> & { byBatch?: boolean } = {}) {
    this.s = s;
    const { byBatch = false, ...rest } = options;
    this.consumer = s.client.consumer({ topic: 'events', replay: { speed: 1 }, ...rest });
    this.done = (byBatch ? this.batches() : this.records()).then(() => void (this.isOver = true));
  }

  get times(): number[] {
    return this.heard.map(({ ms }) => ms);
  }

  /** How far each came from when it was due. */
  errors(speed = 1): number[] {
    return this.heard.map(({ atMs, ms }) => Math.abs(atMs - ms / speed));
  }

  private async records(): Promise<void> {
    for await (const { timestampMs, partition } of this.consumer) {
      await this.note(timestampMs - START, partition);
    }
  }

  private async batches(): Promise<void> {
    for await (const { records, partition } of this.consumer.batches()) {
      for (const { timestampMs } of records) await this.note(timestampMs - START, partition);
    }
  }

  private async note(ms: number, partition: number): Promise<void> {
    this.startMs ??= this.s.world.nowMs;
    this.heard.push({ atMs: this.s.world.nowMs - this.startMs, ms, partition });
    const workMs = this.workMs(ms);
    if (workMs === 0) return;
    await new Promise<void>((resolve) => this.s.world.timers.after(workMs, resolve));
  }
}

describe('replaying', () => {
  for (const byBatch of [false, true]) {
    it(`hands ${byBatch ? 'batches' : 'records'} out with the time that was between them`, async () => {
      const s = setup();
      put(s, [0, 100, 250]);
      put(s, [250, 1_000, 61_000]);
      const listener = new Listener(s, { byBatch, stopAtEnd: true });
      await s.world.until(listener.done);
      expect(listener.times).to.deep.equal([0, 100, 250, 250, 1_000, 61_000]);
      expect(Math.max(...listener.errors())).to.be.below(1);
    });
  }

  it('goes faster or slower than it was', async () => {
    for (const speed of [10, 0.5]) {
      const s = setup();
      put(s, [0, 100, 300, 1_000]);
      const listener = new Listener(s, { replay: { speed }, stopAtEnd: true });
      await s.world.until(listener.done);
      expect(Math.max(...listener.errors(speed)), `speed ${speed}`).to.be.below(1);
    }
  });

  it('does not drift over many records', async () => {
    const s = setup();
    s.world.earlyMs = 0;
    for (let i = 0; i < 50; i += 1) {
      put(
        s,
        Array.from({ length: 100 }, (_, j) => (i * 100 + j) * 7),
      );
    }
    const listener = new Listener(s, { stopAtEnd: true });
    listener.workMs = () => 3;
    await s.world.until(listener.done);
    expect(listener.heard).to.have.length(5_000);
    expect(Math.max(...listener.errors())).to.be.below(10);
  });

  it('waits no longer than it may where nothing was written', async () => {
    const s = setup();
    put(s, [0, 3_600_000, 3_600_100]);
    const replay = { speed: 2, idleMaxMs: 500 };
    const listener = new Listener(s, { replay, stopAtEnd: true });
    await s.world.until(listener.done);
    expect(listener.heard.map(({ atMs }) => Math.round(atMs))).to.deep.equal([0, 500, 550]);
  });

  it('hands out at once what is older than what came before it, in the order of offsets', async () => {
    const s = setup();
    put(s, [0, 1_000, 400, 900, 1_100]);
    const listener = new Listener(s, { stopAtEnd: true });
    await s.world.until(listener.done);
    expect(listener.heard.map(({ atMs }) => Math.round(atMs))).to.deep.equal([
      0, 1_000, 1_000, 1_000, 1_100,
    ]);
  });

  it('goes by the timestamps over all partitions', async () => {
    const s = setup(3);
    const prng = new Prng(7);
    const all: number[] = [];
    for (let p = 0; p < 3; p += 1) {
      let ms = 0;
      for (let i = 0; i < 30; i += 1) {
        // One partition has few records, far apart, another many.
        const times = Array.from({ length: 5 }, () => (ms += prng.int([20, 400, 2_000][p] ?? 0)));
        all.push(...times);
        put(s, times, p);
      }
    }
    const listener = new Listener(s, { stopAtEnd: true });
    await s.world.until(listener.done);
    expect(listener.times).to.deep.equal(all.sort((a, b) => a - b));
    const first = all[0] ?? 0;
    const late = listener.heard.map(({ atMs, ms }) => Math.abs(atMs - (ms - first)));
    expect(Math.max(...late)).to.be.below(1);
  });

  it('stands still while the application is away, and makes up for small delays only', async () => {
    const s = setup();
    put(s, [0, 100, 200, 300, 400, 500]);
    const listener = new Listener(s, { stopAtEnd: true });
    listener.workMs = (ms) => (ms === 100 ? 5_050 : ms === 300 ? 150 : 0);
    await s.world.until(listener.done);
    const times = listener.heard.map(({ atMs }) => Math.round(atMs));
    // It came back at 5,150 for what was due at 200: 100 of the delay are made up for.
    expect(times).to.deep.equal([0, 100, 5_150, 5_150, 5_300, 5_350]);
  });

  it('stands still while it is paused, and goes on from there', async () => {
    const s = setup();
    put(s, [0, 1_000, 2_000, 3_000]);
    const listener = new Listener(s);
    await s.world.advance(1_500);
    expect(listener.times).to.deep.equal([0, 1_000]);
    listener.consumer.pause();
    await s.world.advance(60_000);
    expect(listener.times).to.deep.equal([0, 1_000]);
    listener.consumer.resume();
    await s.world.advance(100);
    expect(listener.times).to.deep.equal([0, 1_000, 2_000]);
    await s.world.advance(700);
    expect(listener.times, 'the next has its own time').to.deep.equal([0, 1_000, 2_000]);
    await s.world.advance(300);
    expect(listener.times).to.deep.equal([0, 1_000, 2_000, 3_000]);
    await s.world.until(listener.consumer.close());
  });

  it('begins anew where it is sought', async () => {
    const s = setup();
    put(s, [0, 60_000, 120_000, 120_500]);
    const listener = new Listener(s);
    await s.world.advance(500);
    expect(listener.times).to.deep.equal([0]);
    await s.world.until(listener.consumer.seek(at(0), { offset: 2 }));
    await s.world.advance(300);
    expect(listener.times).to.deep.equal([0, 120_000]);
    await s.world.advance(400);
    expect(listener.times).to.deep.equal([0, 120_000, 120_500]);
    await s.world.until(listener.consumer.seek(at(0), { offset: 0 }));
    await s.world.advance(300);
    expect(listener.times.at(-1)).to.equal(0);
    await s.world.until(listener.consumer.close());
  });

  it('ends its waits when it is closed, or its signal aborts', async () => {
    const s = setup();
    put(s, [0, 3_600_000]);
    const listener = new Listener(s);
    await s.world.advance(500);
    await s.world.until(listener.consumer.close());
    await s.world.advance(10);
    expect(listener.isOver).to.equal(true);

    const controller = new AbortController();
    const consumer = s.client.consumer({ topic: 'events', replay: { speed: 1 } });
    const got: number[] = [];
    const run = async (): Promise<void> => {
      for await (const { offset } of consumer.records({ signal: controller.signal })) {
        got.push(offset);
      }
    };
    const done = run();
    await s.world.advance(500);
    expect(got).to.deep.equal([0]);
    controller.abort();
    await s.world.until(done, 100);
    expect(consumer.position(at(0)), 'nothing is lost').to.equal(1);
    await s.world.until(consumer.close());
  });

  it('follows the end: what is new comes when it comes', async () => {
    const s = setup();
    put(s, [0, 50]);
    const listener = new Listener(s);
    await s.world.advance(10_000);
    put(s, [10_000]);
    await s.world.advance(100);
    expect(listener.times).to.deep.equal([0, 50, 10_000]);
    await s.world.until(listener.consumer.close());
  });

  it('does not wait for ever for a partition that gives nothing', async () => {
    const s = setup(2);
    put(s, [0, 100], 0);
    put(s, [50, 150], 1);
    s.cluster.kill(2);
    const listener = new Listener(s);
    await s.world.advance(10_000);
    expect(listener.times).to.deep.equal([0, 100]);
    s.cluster.moveLeader(1, 3);
    await s.world.advance(5_000);
    expect(listener.times).to.deep.equal([0, 100, 50, 150]);
    await s.world.until(listener.consumer.close());
  });

  it('holds more than there is room for, without getting stuck', async () => {
    const s = setup(2);
    for (let i = 0; i < 40; i += 1) put(s, [i * 10, i * 10 + 5], 0);
    for (let i = 0; i < 4; i += 1) put(s, [i * 100], 1);
    const listener = new Listener(s, { prefetchBytesMax: 200, stopAtEnd: true });
    await s.world.until(listener.done);
    expect(listener.heard).to.have.length(84);
  });

  it('refuses what is no speed', () => {
    const { client } = setup();
    const make = (replay: { speed: number; idleMaxMs?: number }): (() => unknown) => {
      return () => client.consumer({ topic: 'events', replay });
    };
    expect(make({ speed: 0 })).to.throw('replay.speed');
    expect(make({ speed: NaN })).to.throw('replay.speed');
    expect(make({ speed: 1, idleMaxMs: -1 })).to.throw('replay.idleMaxMs');
  });
});
