import { expect } from 'chai';
import { crc32c } from '../../../src/base/crc32c.js';
import type {
  BatchView,
  Compression,
  Consumer,
  MillraceClient,
} from '../../../src/client/index.js';
import { Codecs } from '../../../src/client/compression/codecs.js';
import { NO_PRODUCER, RecordBatchBuilder } from '../../../src/model/record-batch-builder.js';
import type { RecordFields } from '../../../src/model/record.js';
import { setup, type Setup } from './client-setup.js';

const NOW = 1_700_000_000_000;
const at0 = { topic: 'events', partition: 0 };

/** One stored batch; each record is a millisecond younger than the one before. */
async function put(s: Setup, records: readonly RecordFields[], codec?: Compression): Promise<void> {
  const builder = new RecordBatchBuilder();
  for (const [i, fields] of records.entries()) builder.append(fields, NOW + i);
  const compressed =
    codec === undefined
      ? undefined
      : { codec, records: await new Codecs().compress(codec, builder.records()) };
  s.cluster.append(0, builder.finish(NO_PRODUCER, crc32c, compressed));
}

const valued = (...values: string[]): RecordFields[] =>
  values.map((value) => ({ value: Buffer.from(value) }));

const consumerOf = (client: MillraceClient, offset = 0): Consumer =>
  client.consumer({ topic: 'events', stopAtEnd: true, from: { offset } });

async function viewsOf(s: Setup, consumer: Consumer): Promise<BatchView[]> {
  const views: BatchView[] = [];
  const reading = (async () => {
    for await (const view of consumer.views()) views.push(view);
  })();
  await s.world.until(reading);
  return views;
}

function textOf({ bytes }: BatchView, start: number, end: number): string | undefined {
  return start < 0 ? undefined : Buffer.from(bytes.subarray(start, end)).toString();
}

const valuesOf = (view: BatchView): (string | undefined)[] =>
  Array.from({ length: view.count }, (_, i) => textOf(view, view.valueStart(i), view.valueEnd(i)));

describe('views of batches', () => {
  for (const codec of [undefined, 'gzip'] as const) {
    it(`say where keys and values lie (${codec ?? 'none'}), and all else about each record`, async () => {
      const s = setup();
      const headers = [{ key: 'source', value: Buffer.from('shop') }];
      await put(
        s,
        [
          { key: Buffer.from('k'), value: Buffer.from('first') },
          { value: Buffer.alloc(0), headers },
          { key: Buffer.from('gone') },
        ],
        codec,
      );
      const consumer = consumerOf(s.client);
      const [view, ...more] = await viewsOf(s, consumer);
      expect(more).to.deep.equal([]);
      if (view === undefined) throw new Error('no view');
      expect(view).to.include({ ...at0, count: 3, nextOffset: 3, highWatermark: 3 });
      expect(valuesOf(view)).to.deep.equal(['first', '', undefined]);
      const keys = [0, 1, 2].map((i) => textOf(view, view.keyStart(i), view.keyEnd(i)));
      expect(keys).to.deep.equal(['k', undefined, 'gone']);
      expect([0, 1, 2].map((i) => view.offset(i))).to.deep.equal([0, 1, 2]);
      expect([0, 1, 2].map((i) => view.timestampMs(i) - NOW)).to.deep.equal([0, 1, 2]);
      expect(view.headers(0)).to.deep.equal([]);
      expect(view.headers(1).map(({ key }) => key)).to.deep.equal(['source']);
      const { value, key, offset } = view.record(2);
      expect({ value, key: Buffer.from(key ?? []).toString(), offset }).to.deep.equal({
        value: undefined,
        key: 'gone',
        offset: 2,
      });
      expect(consumer.position(at0)).to.equal(3);
    });
  }

  it('begin where the consumer does, amid a batch too, and know no record outside', async () => {
    const s = setup();
    await put(s, valued('a', 'b', 'c', 'd'));
    await put(s, valued('e'));
    const views = await viewsOf(s, consumerOf(s.client, 2));
    expect(views.map(valuesOf)).to.deep.equal([['c', 'd'], ['e']]);
    expect(views[0]?.offset(0)).to.equal(2);
    for (const index of [-1, 2]) {
      expect(() => views[0]?.valueStart(index), `record ${index}`).to.throw(RangeError);
    }
  });

  it('go on where a loop over records was left, and the other way round', async () => {
    const s = setup();
    await put(s, valued('a', 'b', 'c'));
    await put(s, valued('d', 'e'));
    const consumer = consumerOf(s.client);
    const got: (string | undefined)[] = [];
    const reading = (async () => {
      for await (const { value } of consumer) {
        got.push(Buffer.from(value ?? []).toString());
        break;
      }
      for await (const view of consumer.views()) {
        got.push(...valuesOf(view));
        break;
      }
      for await (const { value } of consumer) got.push(Buffer.from(value ?? []).toString());
    })();
    await s.world.until(reading);
    expect(got).to.deep.equal(['a', 'b', 'c', 'd', 'e']);
  });

  it('are the same when they are looked at after the loop', async () => {
    const s = setup();
    for (let i = 0; i < 30; i += 1) await put(s, valued(`${i}a`, `${i}b`));
    const views = await viewsOf(s, consumerOf(s.client));
    const wanted = Array.from({ length: 30 }, (_, i) => [`${i}a`, `${i}b`]);
    expect(views.map(valuesOf)).to.deep.equal(wanted);
  });

  it('hand out what is due together when records are replayed', async () => {
    const s = setup();
    await put(s, valued('a', 'b', 'c'));
    const replay = { speed: 1 / 1_000 };
    const consumer = s.client.consumer({ topic: 'events', stopAtEnd: true, replay });
    const views = await viewsOf(s, consumer);
    expect(views.map(valuesOf)).to.deep.equal([['a'], ['b'], ['c']]);
  });

  it('end with the signal, and ask no serde', async () => {
    const s = setup();
    await put(s, valued('a'));
    const refuse = (): never => {
      throw new Error('asked');
    };
    const consumer = s.client.consumer({ topic: 'events', valueSerde: { deserialize: refuse } });
    const controller = new AbortController();
    const got: BatchView[] = [];
    const reading = (async () => {
      for await (const view of consumer.views({ signal: controller.signal })) {
        got.push(view);
        controller.abort();
      }
    })();
    await s.world.until(reading);
    expect(got.map(valuesOf)).to.deep.equal([['a']]);
  });
});
