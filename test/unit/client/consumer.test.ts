import { expect } from 'chai';
import { crc32c } from '../../../src/base/crc32c.js';
import type { Consumer, ConsumerOptions } from '../../../src/client/consumer.js';
import type { ConsumedBatch } from '../../../src/client/index.js';
import { concatBytes } from '../../../src/base/bytes.js';
import { BrokerError } from '../../../src/model/errors.js';
import { NO_PRODUCER, RecordBatchBuilder } from '../../../src/model/record-batch-builder.js';
import { RecordTable } from '../../../src/model/record-table.js';
import { rebuildBatch, recordsOfBatch } from '../../../src/partition/compaction.js';
import { setup, type Setup } from './client-setup.js';
import type { FakeCluster } from './fake-cluster.js';

const NOW = 1_700_000_000_000;

/** One stored batch of these values. */
function put(cluster: FakeCluster, values: readonly string[], p = 0, timestampMs = NOW): void {
  const builder = new RecordBatchBuilder();
  for (const value of values) builder.append({ value: Buffer.from(value) }, timestampMs);
  cluster.append(p, builder.finish(NO_PRODUCER, crc32c));
}

const letters = 'abcdefghijklmnopqrst'.split('');

/** a, then bc, then def ...: batches of growing size. */
function putLetters(cluster: FakeCluster, p = 0): void {
  for (let at = 0, size = 1; at < letters.length; at += size, size += 1) {
    put(cluster, letters.slice(at, at + size), p);
  }
}

const text = (value: Uint8Array | undefined): string => Buffer.from(value ?? []).toString();

async function readAll(s: Setup, options: ConsumerOptions): Promise<string[]> {
  const consumer = s.client.consumer({ stopAtEnd: true, topic: 'events', ...options });
  return await s.world.until(values(consumer, Infinity));
}

async function values(consumer: Consumer, count: number): Promise<string[]> {
  const got: string[] = [];
  for await (const record of consumer) {
    got.push(text(record.value));
    if (got.length === count) break;
  }
  return got;
}

const at0 = { topic: 'events', partition: 0 };

describe('consumer', () => {
  it('reads a partition from the beginning to its end', async () => {
    const s = setup();
    putLetters(s.cluster);
    expect(await readAll(s, {})).to.deep.equal(letters);
  });

  it('finishes at once where there is nothing', async () => {
    expect(await readAll(setup(3), {})).to.deep.equal([]);
  });

  it('starts anywhere, also inside a batch', async () => {
    const s = setup();
    putLetters(s.cluster);
    for (const offset of letters.keys()) {
      expect(await readAll(s, { from: { offset } })).to.deep.equal(letters.slice(offset));
    }
    expect(await readAll(s, { from: { last: 4 } })).to.deep.equal(letters.slice(-4));
    expect(await readAll(s, { from: { last: 400 } })).to.deep.equal(letters);
    expect(await readAll(s, { from: 'end' })).to.deep.equal([]);
  });

  it('starts at a time', async () => {
    const s = setup();
    put(s.cluster, ['a', 'b'], 0, NOW);
    put(s.cluster, ['c', 'd'], 0, NOW + 10);
    expect(await readAll(s, { from: { timestampMs: NOW + 5 } })).to.deep.equal(['c', 'd']);
    expect(await readAll(s, { from: { timestampMs: NOW + 11 } })).to.deep.equal([]);
  });

  it('waits for what is yet to come', async () => {
    const s = setup();
    put(s.cluster, ['a']);
    const consumer = s.client.consumer({ topic: 'events' });
    const reading = values(consumer, 3);
    await s.world.advance(5_000);
    put(s.cluster, ['b']);
    await s.world.advance(5_000);
    put(s.cluster, ['c', 'd']);
    expect(await s.world.until(reading, 100)).to.deep.equal(['a', 'b', 'c']);
    expect(consumer.position(at0)).to.equal(3);
  });

  it('loses nothing when a loop is left amid a batch', async () => {
    const s = setup();
    putLetters(s.cluster);
    const consumer = s.client.consumer({ topic: 'events', stopAtEnd: true });
    const got = await s.world.until(values(consumer, 5));
    const batches: ConsumedBatch[] = [];
    const reading = (async () => {
      for await (const batch of consumer.batches()) {
        batches.push(batch);
        if (batches.length === 2) break;
      }
    })();
    await s.world.until(reading);
    for (const b of batches) got.push(...b.records.map((r) => text(r.value)));
    got.push(...(await s.world.until(values(consumer, Infinity))));
    expect(got).to.deep.equal(letters);
  });

  it('comes back to a partition even if its retry timer ran early', async () => {
    const s = setup();
    s.world.earlyMs = 2;
    const consumer = s.client.consumer({ topic: 'events' });
    const reading = values(consumer, letters.length);
    for (const letter of letters) {
      const error = new BrokerError('REPLICA_FENCED', 'is being repaired', { outcome: 'none' });
      s.cluster.readRefusals.push(error);
      put(s.cluster, [letter]);
      await s.world.advance(200);
    }
    expect(await s.world.until(reading, 2_000)).to.deep.equal(letters);
  });

  it('goes to a leader that it is told of without waiting', async () => {
    const s = setup();
    const consumer = s.client.consumer({ topic: 'events' });
    const reading = values(consumer, 2);
    put(s.cluster, ['a']);
    await s.world.advance(100);
    s.cluster.moveLeader(0);
    put(s.cluster, ['b']);
    expect(await s.world.until(reading, 5)).to.deep.equal(['a', 'b']);
  });

  it('follows leaders without missing or repeating anything', async () => {
    const s = setup(2);
    const consumer = s.client.consumer({ topic: 'events' });
    const reading = (async () => {
      const got: string[][] = [[], []];
      for await (const r of consumer) {
        got[r.partition]!.push(text(r.value));
        if (got[0]!.length + got[1]!.length === 40) return got;
      }
      return got;
    })();
    for (const [i, letter] of letters.entries()) {
      put(s.cluster, [letter], 0);
      put(s.cluster, [letter], 1);
      await s.world.advance(20);
      if (i === 5) s.cluster.moveLeader(0);
      if (i === 10) {
        s.cluster.kill(2);
        await s.world.advance(50);
        for (const p of [0, 1]) if (s.cluster.partition(p).leader === 2) s.cluster.moveLeader(p);
      }
      if (i === 15) s.cluster.moveLeader(1, 1);
    }
    expect(await s.world.until(reading, 5_000)).to.deep.equal([letters, letters]);
  });

  it('leaves a broker that fell silent', async () => {
    const s = setup();
    put(s.cluster, ['a']);
    const consumer = s.client.consumer({ topic: 'events' });
    const reading = values(consumer, 2);
    await s.world.advance(100);
    // Paused for ever behind our back: the stream stays open and says nothing.
    for (const link of s.cluster.openFetches) link.pause();
    put(s.cluster, ['b']);
    expect(await s.world.until(reading, 9_000)).to.deep.equal(['a', 'b']);
  });

  it('holds brokers back when the application is slow', async () => {
    const s = setup();
    for (let i = 0; i < 200; i += 1) put(s.cluster, [`${i}`.padEnd(1_000)]);
    const consumer = s.client.consumer({
      topic: 'events',
      stopAtEnd: true,
      prefetchBytesMax: 10_000,
    });
    const first = await s.world.until(values(consumer, 1));
    await s.world.advance(10_000);
    const link = [...s.cluster.openFetches][0] as unknown as {
      positions: Map<number, { offset: number }>;
    };
    expect(link.positions.get(0)?.offset).to.be.within(10, 20);
    const rest = await s.world.until(values(consumer, Infinity));
    expect([...first, ...rest].map((v) => Number(v))).to.deep.equal([...Array(200).keys()]);
  });

  it('pauses and resumes partitions, keeping their places', async () => {
    const s = setup(2);
    putLetters(s.cluster, 0);
    putLetters(s.cluster, 1);
    const consumer = s.client.consumer({ topic: 'events', stopAtEnd: true });
    const got: string[][] = [[], []];
    const reading = (async () => {
      for await (const r of consumer) {
        got[r.partition]!.push(text(r.value));
        if (r.partition === 0 && r.offset === 4) consumer.pause([at0]);
      }
    })();
    await s.world.advance(2_000);
    expect(got[0]).to.deep.equal(letters.slice(0, 5));
    expect(got[1]).to.deep.equal(letters);
    consumer.resume();
    await s.world.until(reading);
    expect(got).to.deep.equal([letters, letters]);
  });

  it('reads on while a paused partition has more than may be fetched ahead', async () => {
    const s = setup(2);
    // The same leader, so that both partitions come over one stream.
    s.cluster.moveLeader(1, s.cluster.partition(0).leader);
    for (let i = 0; i < 50; i += 1) put(s.cluster, [`${i}`.padEnd(1_000)], 0);
    const consumer = s.client.consumer({
      topic: 'events',
      partitions: [0, 1],
      prefetchBytesMax: 10_000,
      stopAtEnd: false,
    });
    expect(await s.world.until(values(consumer, 1))).to.have.length(1);
    await s.world.advance(1_000);
    consumer.pause([at0]);
    putLetters(s.cluster, 1);
    expect(await s.world.until(values(consumer, 20), 10_000)).to.deep.equal(letters);
    consumer.resume();
    const rest = await s.world.until(values(consumer, 49), 10_000);
    expect(rest.map(Number)).to.deep.equal([...Array(49).keys()].map((n) => n + 1));
  });

  it('does not have a paused or a finished partition streamed any more', async () => {
    const s = setup(3);
    for (const p of [1, 2]) s.cluster.moveLeader(p, s.cluster.partition(0).leader);
    putLetters(s.cluster, 0);
    for (let i = 0; i < 50; i += 1) put(s.cluster, [`${i}`.padEnd(1_000)], 1);
    put(s.cluster, ['only'], 2);
    const consumer = s.client.consumer({
      topic: 'events',
      stopAtEnd: true,
      prefetchBytesMax: 10_000,
    });
    expect(await s.world.until(values(consumer, 1))).to.deep.equal(['a']);
    consumer.pause([at0]);
    await s.world.advance(2_000);
    const streamed = [...s.cluster.openFetches].flatMap((link) => link.served());
    expect(streamed).to.deep.equal([1]);
    consumer.resume();
    const rest = await s.world.until(values(consumer, Infinity));
    expect(rest.filter((v) => v.length === 1)).to.deep.equal(letters.slice(1));
    expect(rest).to.have.length(19 + 50 + 1);
  });

  it('asks for small responses: gRPC holds many of them for a stream that is paused', async () => {
    const s = setup();
    put(s.cluster, ['a']);
    for (const prefetchBytesMax of [1_000, 512 * 1024, 1 << 30]) {
      expect(await readAll(s, { prefetchBytesMax })).to.deep.equal(['a']);
    }
    const sizes = s.cluster.fetches.map((f) => f.maxBytes);
    expect(sizes).to.deep.equal([64 * 1024, 64 * 1024, 1024 * 1024]);
  });

  it('seeks, also from inside its loop', async () => {
    const s = setup();
    putLetters(s.cluster);
    const consumer = s.client.consumer({ topic: 'events', stopAtEnd: true });
    const got: string[] = [];
    const reading = (async () => {
      for await (const r of consumer) {
        got.push(text(r.value));
        if (got.length === 3) await consumer.seek(at0, { offset: 0 });
        if (got.length === 6) await consumer.seek(at0, { offset: 18 });
      }
    })();
    await s.world.until(reading);
    expect(got.join('')).to.equal('abcabcst');
  });

  const outOfRange: [string, ConsumerOptions, string | string[]][] = [
    ['is an error', {}, 'OFFSET_OUT_OF_RANGE'],
    ['may mean the beginning', { onOutOfRange: 'beginning' }, letters.slice(6)],
    ['may mean the end', { onOutOfRange: 'end' }, []],
  ];
  for (const [name, options, expected] of outOfRange) {
    it(`an offset that is not there any more ${name}`, async () => {
      const s = setup();
      putLetters(s.cluster);
      s.cluster.partition().logStart = 6;
      s.cluster.partition().batches.splice(0, 3);
      const reading = readAll(s, { from: { offset: 2 }, ...options }).catch(
        (thrown: unknown) => (thrown as BrokerError).code,
      );
      expect(await reading).to.deep.equal(expected);
    });
  }

  it('is told that what it has read is lost, whatever it does where records are missing', async () => {
    const s = setup();
    putLetters(s.cluster);
    const consumer = s.client.consumer({ topic: 'events', onOutOfRange: 'beginning' });
    expect(await s.world.until(values(consumer, 20))).to.deep.equal(letters);
    const facts = { logStartOffset: 0, highWatermark: 17, logEndOffset: 17 };
    s.cluster.readRefusals.push(new BrokerError('LOG_TRUNCATED', 'lost', facts));
    put(s.cluster, ['u']);
    const error = await s.world.until(values(consumer, 1).catch((thrown: unknown) => thrown));
    expect(error).to.have.property('code', 'LOG_TRUNCATED');
    expect((error as BrokerError).facts).to.include(facts);
    await s.world.until(consumer.seek(at0, { offset: 17 }));
    expect(await s.world.until(values(consumer, 1))).to.deep.equal(['r']);
  });

  it('an offset beyond the end is an error, at the end of the log it waits', async () => {
    const s = setup();
    put(s.cluster, ['a']);
    for (const options of [{ stopAtEnd: true }, { stopAtEnd: false }]) {
      const reading = readAll(s, { from: { offset: 2 }, ...options });
      const error = await reading.catch((thrown: unknown) => thrown);
      expect(error).to.be.instanceOf(BrokerError).with.property('code', 'OFFSET_OUT_OF_RANGE');
    }
    expect(await readAll(s, { from: { offset: 1 } })).to.deep.equal([]);
  });

  it('goes on after an error once it is told where', async () => {
    const s = setup();
    putLetters(s.cluster);
    const consumer = s.client.consumer({ topic: 'events', from: { offset: 99 } });
    const error = await s.world.until(values(consumer, 1).catch((thrown: unknown) => thrown));
    expect(error).to.have.property('code', 'OFFSET_OUT_OF_RANGE');
    await s.world.until(consumer.seek(at0, 'beginning'));
    expect(await s.world.until(values(consumer, 20))).to.deep.equal(letters);
  });

  describe('over a log that lost records', () => {
    /** Four records of epoch 1 are read, the last two are lost, and five of epoch 2 follow. */
    const lose = async (s: Setup, consumer: Consumer): Promise<string[]> => {
      for (const pair of ['ab', 'cd']) put(s.cluster, pair.split(''));
      const got = await s.world.until(values(consumer, 4));
      const partition = s.cluster.partition();
      partition.batches.pop();
      partition.endOfEpoch = (epoch) => (epoch < 2 ? 2 : Infinity);
      s.cluster.moveLeader();
      put(s.cluster, 'vwxyz'.split(''));
      return got;
    };

    it('says so, although there are records where it stands, and goes on where it is sought', async () => {
      const s = setup();
      const consumer = s.client.consumer({ topic: 'events' });
      expect(await lose(s, consumer)).to.deep.equal(['a', 'b', 'c', 'd']);
      const refused = values(consumer, 1).catch((thrown: unknown) => BrokerError.from(thrown));
      expect(await s.world.until(refused)).to.include({ code: 'OFFSET_OUT_OF_RANGE' });
      await s.world.until(consumer.seek(at0, 'end'));
      const more = values(consumer, 1);
      await s.world.advance(100);
      put(s.cluster, ['!']);
      expect(await s.world.until(more, 5_000)).to.deep.equal(['!']);
      await s.world.until(consumer.seek(at0, { offset: 2 }));
      expect(await s.world.until(values(consumer, 2))).to.deep.equal(['v', 'w']);
    });

    it('goes on where it was told to go on without a word', async () => {
      const s = setup();
      const consumer = s.client.consumer({ topic: 'events', onOutOfRange: 'end' });
      await lose(s, consumer);
      const more = values(consumer, 1);
      await s.world.advance(5_000);
      put(s.cluster, ['!']);
      expect(await s.world.until(more, 5_000)).to.deep.equal(['!']);
    });

    it('is not misled by leaders that changed while it read nothing', async () => {
      const s = setup();
      const consumer = s.client.consumer({ topic: 'events' });
      put(s.cluster, ['a', 'b']);
      expect(await s.world.until(values(consumer, 2))).to.deep.equal(['a', 'b']);
      consumer.pause();
      await s.world.advance(10);
      s.cluster.partition().endOfEpoch = (epoch) => (epoch < 2 ? 3 : Infinity);
      put(s.cluster, ['c']);
      s.cluster.moveLeader();
      put(s.cluster, ['d', 'e']);
      await s.world.until(consumer.seek(at0, { offset: 4 }));
      consumer.resume();
      expect(await s.world.until(values(consumer, 1), 5_000)).to.deep.equal(['e']);
    });
  });

  it('never hands out a gap', async () => {
    const s = setup();
    putLetters(s.cluster);
    s.cluster.partition().batches.splice(2, 1);
    const got: string[] = [];
    const consumer = s.client.consumer({ topic: 'events' });
    const reading = (async () => {
      for await (const r of consumer) got.push(text(r.value));
    })();
    const error = await s.world.until(reading.catch((thrown: unknown) => thrown));
    expect(error).to.be.instanceOf(BrokerError).with.property('code', 'DATA_DAMAGED');
    expect((error as Error).message).to.contain('records 3 to 5 are missing');
    expect(got).to.deep.equal(['a', 'b', 'c']);
  });

  it('goes over the holes that compaction leaves in batches, also where nothing is left of one', async () => {
    const s = setup();
    putLetters(s.cluster);
    const { batches } = s.cluster.partition();
    /** All but the records at these places. */
    const without = (batch: Uint8Array, ...gone: number[]): Uint8Array => {
      const { header, records } = recordsOfBatch(batch);
      const table = new RecordTable(header, records);
      const kept: Uint8Array[] = [];
      for (let at = 0; at < table.count; at += 1) {
        if (!gone.includes(at)) kept.push(records.subarray(table.start(at), table.end(at)));
      }
      return rebuildBatch(batch, { count: kept.length, bytes: concatBytes(kept) }, { crc32c });
    };
    batches[0] = without(batches[0]!, 0);
    batches[1] = without(batches[1]!, 0);
    batches[2] = without(batches[2]!, 0, 1, 2);
    batches[3] = without(batches[3]!, 1);
    const last = batches.length - 1;
    batches[last] = without(batches[last]!, 0, 1, 2, 3, 4);
    const offsets: number[] = [];
    const consumer = s.client.consumer({ topic: 'events', stopAtEnd: true });
    const reading = (async () => {
      for await (const r of consumer) offsets.push(r.offset);
    })();
    await s.world.until(reading);
    expect(offsets).to.deep.equal([2, 6, 8, 9, 10, 11, 12, 13, 14]);
    expect(consumer.position(at0), 'also behind a batch of which nothing is left').to.equal(20);
  });

  it('never hands out bytes that fail their checksum', async () => {
    const s = setup();
    putLetters(s.cluster);
    const damaged = s.cluster.partition().batches[3]!;
    damaged[80]! ^= 1;
    const got: string[] = [];
    const consumer = s.client.consumer({ topic: 'events', stopAtEnd: true });
    const reading = (async () => {
      for await (const r of consumer) got.push(text(r.value));
    })();
    const error = await s.world.until(reading.catch((thrown: unknown) => thrown));
    expect(error).to.be.instanceOf(BrokerError).with.property('code', 'CORRUPT_BATCH');
    expect(letters.slice(0, 6).join('').startsWith(got.join(''))).to.equal(true);
  });

  it('takes bytes that were damaged on the way once more', async () => {
    const s = setup();
    putLetters(s.cluster);
    const damaged = s.cluster.partition().batches[3]!;
    damaged[80]! ^= 1;
    s.world.timers.after(60, () => (damaged[80]! ^= 1));
    expect(await readAll(s, {})).to.deep.equal(letters);
  });

  it('tells when a partition cannot be read for too long, and why', async () => {
    const s = setup();
    put(s.cluster, ['a']);
    const consumer = s.client.consumer({ topic: 'events', unavailableTimeoutMs: 2_000 });
    const reading = values(consumer, 2).catch((thrown: unknown) => thrown);
    await s.world.advance(100);
    for (const broker of [1, 2, 3]) s.cluster.kill(broker);
    const error = await s.world.until(reading, 5_000);
    expect(error).to.be.instanceOf(BrokerError).with.property('code', 'DEADLINE_EXCEEDED');
  });

  for (const name of ['prefetchBytesMax', 'requestTimeoutMs', 'unavailableTimeoutMs'])
    it(`refuses ${name} that is not positive`, () => {
      const s = setup();
      for (const value of [0, -1, NaN]) {
        const make = (): unknown => s.client.consumer({ topic: 'events', [name]: value });
        expect(make).to.throw(`${name} must be positive`);
      }
    });

  it('waits in a partition that is idle, however short it waits for one that cannot be read', async () => {
    for (const unavailableTimeoutMs of [500, 2_000, 20_000]) {
      const s = setup();
      const consumer = s.client.consumer({ topic: 'events', unavailableTimeoutMs });
      const reading = values(consumer, 1).catch(String);
      await s.world.advance(30_000);
      put(s.cluster, ['a']);
      expect(await s.world.until(reading)).to.deep.equal(['a']);
      await consumer.close();
    }
  });

  it('commits where it stands and starts there again', async () => {
    const s = setup();
    putLetters(s.cluster);
    const first = s.client.consumer({ topic: 'events', group: 'g' });
    expect(await s.world.until(values(first, 5))).to.deep.equal(letters.slice(0, 5));
    await s.world.until(first.commit());
    await first.close();
    const second = s.client.consumer({ topic: 'events', group: 'g', stopAtEnd: true });
    expect(await s.world.until(values(second, Infinity))).to.deep.equal(letters.slice(5));
    const committed = await s.world.until(second.committed());
    expect(committed.map((c) => c.offset)).to.deep.equal([5]);
  });

  it('does not take a partition for committed that the answer leaves out', async () => {
    const s = setup(2);
    const consumer = s.client.consumer({ topic: 'events', group: 'g' });
    s.cluster.onCall = (method) => (method === 'commitOffsets' ? [] : undefined);
    const at = { topic: 'events', partition: 1, offset: 0 };
    const committing = consumer.commit([at]).catch((thrown: unknown) => thrown);
    expect(await s.world.until(committing)).to.have.property('code', 'INTERNAL');
    await consumer.close();
  });

  it('does not say that nothing was committed when only some was refused', async () => {
    const s = setup(2);
    const consumer = s.client.consumer({ topic: 'events', group: 'g' });
    const beyond = new BrokerError('OFFSET_OUT_OF_RANGE', 'beyond the high watermark');
    const all = [0, 1].map((partition) => ({ topic: 'events', partition, offset: 0 }));
    for (const [errors, outcome] of [
      [[beyond, beyond], 'none'],
      [[beyond, undefined], 'unknown'],
      [[beyond, new BrokerError('NO_QUORUM', 'no answer')], 'unknown'],
    ] as const) {
      s.cluster.onCall = (method) =>
        method === 'commitOffsets'
          ? all.map((at, i) => ({ ...at, metadata: '', error: errors[i] }))
          : undefined;
      const committing = consumer.commit(all).catch((thrown: unknown) => thrown);
      const error = await s.world.until(committing);
      expect(error).to.include({ code: 'OFFSET_OUT_OF_RANGE', outcome });
    }
    await consumer.close();
  });

  it('reads exactly the partitions it was given', async () => {
    const s = setup(3);
    for (const p of [0, 1, 2]) put(s.cluster, [`p${p}`], p);
    expect((await readAll(s, { partitions: [2, 0] })).sort()).to.deep.equal(['p0', 'p2']);
    const error = await readAll(s, { partitions: [3] }).catch((thrown: unknown) => thrown);
    expect(error).to.have.property('code', 'UNKNOWN_PARTITION');
  });

  it('ends its loops when it is closed', async () => {
    const s = setup();
    const consumer = s.client.consumer({ topic: 'events' });
    const reading = values(consumer, 1);
    await s.world.advance(100);
    await consumer.close();
    expect(await s.world.until(reading, 10)).to.deep.equal([]);
    expect(s.cluster.openFetches.size).to.equal(0);
  });

  it('ends its loops when its signal is aborted, amid a batch too', async () => {
    const s = setup();
    put(s.cluster, ['a', 'b', 'c']);
    const stop = new AbortController();
    const consumer = s.client.consumer({ topic: 'events', signal: stop.signal });
    const got: string[] = [];
    const reading = (async () => {
      for await (const r of consumer) {
        got.push(text(r.value));
        if (got.length === 2) stop.abort();
      }
    })();
    await s.world.until(reading, 100);
    expect(got).to.deep.equal(['a', 'b']);
    const late = s.client.consumer({ topic: 'events', signal: stop.signal });
    expect(await s.world.until(values(late, 1), 100)).to.deep.equal([]);
  });

  it('leaves nothing behind when it is closed while it starts', async () => {
    const s = setup();
    const consumer = s.client.consumer({ topic: 'events' });
    const reading = values(consumer, 1);
    await s.world.advance(1);
    await consumer.close();
    expect(await s.world.until(reading, 1)).to.deep.equal([]);
    await s.world.advance(1_000);
    expect(s.world.timersSet).to.equal(0);
  });

  it('does not go on looking for its start once it is closed', async () => {
    const s = setup();
    s.cluster.onCall = (method) =>
      method === 'listOffsets'
        ? [{ ...at0, error: new BrokerError('NOT_LEADER', 'no') }]
        : undefined;
    const consumer = s.client.consumer({ topic: 'events' });
    const reading = values(consumer, 1);
    await s.world.advance(1_000);
    await consumer.close();
    expect(await s.world.until(reading, 1)).to.deep.equal([]);
    expect(s.world.timersSet).to.equal(0);
  });

  it('fails when its topic is deleted', async () => {
    const s = setup();
    put(s.cluster, ['a']);
    const consumer = s.client.consumer({ topic: 'events' });
    const reading = values(consumer, 2).catch((thrown: unknown) => thrown);
    await s.world.advance(100);
    s.cluster.isDeleted = true;
    for (const link of s.cluster.openFetches) link.poke();
    const error = await s.world.until(reading, 5_000);
    expect(error).to.be.instanceOf(BrokerError).with.property('code', 'UNKNOWN_TOPIC');
  });

  it('asks once about a topic of which many partitions are unknown to a broker that lags behind', async () => {
    const s = setup(3);
    for (const p of [0, 1, 2]) put(s.cluster, ['a'], p);
    const consumer = s.client.consumer({ topic: 'events' });
    const reading = values(consumer, 6);
    await s.world.advance(100);
    let questions = 0;
    s.cluster.onCall = (method, request) => {
      const isQuestion = method === 'getMetadata' && 'linearizable' in (request as object);
      if (isQuestion && (request as { linearizable: boolean }).linearizable) questions += 1;
      return undefined;
    };
    for (const p of [0, 1, 2]) {
      s.cluster.readRefusals.push(new BrokerError('UNKNOWN_PARTITION', `no partition ${p}`));
    }
    for (const p of [0, 1, 2]) put(s.cluster, ['b'], p);
    const read = await s.world.until(reading, 5_000);
    expect([...read].sort()).to.deep.equal(['a', 'a', 'a', 'b', 'b', 'b']);
    expect(questions).to.equal(1);
  });

  it('reads what it is assigned, also while its start is being looked up', async () => {
    const s = setup(2);
    put(s.cluster, ['a'], 0);
    put(s.cluster, ['b'], 1);
    const consumer = s.client.consumer({ topic: 'events' });
    const starting = consumer.start();
    const assigning = consumer.assign([{ topic: 'events', partition: 1 }], { offset: 0 });
    await s.world.until(Promise.all([starting, assigning]));
    expect(consumer.assignment()).to.deep.equal([{ topic: 'events', partition: 1 }]);
    expect(await s.world.until(values(consumer, 1))).to.deep.equal(['b']);
  });

  it('stays with what it is assigned when the start that was being looked up fails', async () => {
    const s = setup(2);
    put(s.cluster, ['b'], 1);
    const consumer = s.client.consumer({ topic: 'events' });
    s.cluster.onCall = (method) =>
      method === 'listOffsets' ? new BrokerError('INVALID_ARGUMENT', 'refused') : undefined;
    const starting = consumer.start().catch((thrown: unknown) => thrown);
    const at1 = { topic: 'events', partition: 1 };
    await s.world.until(consumer.assign([at1], { offset: 0 }));
    expect(await s.world.until(starting)).to.have.property('code', 'INVALID_ARGUMENT');
    s.cluster.onCall = () => undefined;
    await s.world.until(consumer.seek(at1, { offset: 0 }));
    expect(consumer.assignment()).to.deep.equal([at1]);
  });
});
