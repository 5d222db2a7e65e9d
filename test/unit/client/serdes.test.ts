import { expect } from 'chai';
import fc from 'fast-check';
import {
  bytesSerde,
  jsonSerde,
  stringSerde,
  type ConsumerOptions,
  type GroupConsumer,
  type Serde,
} from '../../../src/client/index.js';
import { encoderOf } from '../../../src/client/record-coding.js';
import { BrokerError } from '../../../src/model/errors.js';
import { setup, type Setup } from './client-setup.js';

interface Order {
  readonly id: number;
}

/** Refuses what is not an order: 'bad' in the tests below. */
const order = jsonSerde<Order>((parsed) => {
  if (typeof parsed === 'object' && parsed !== null && 'id' in parsed) return parsed as Order;
  throw new Error('not an order');
});

const errorOf = (thrown: unknown): BrokerError => BrokerError.from(thrown);

const at0 = { topic: 'events', partition: 0 };

/** Values as text; what stands for an order, and what does not. */
async function write(s: Setup, values: readonly string[]): Promise<void> {
  const producer = s.client.producer();
  await s.world.until(
    producer.sendMany(
      'events',
      values.map((value) => ({ ...at0, value })),
    ),
  );
}

const orders = (ids: readonly (number | 'bad')[]): string[] =>
  ids.map((id) => (id === 'bad' ? '"bad"' : `{"id":${id}}`));

type Options = ConsumerOptions<Uint8Array, Order>;

/** The ids read until the end or an error, record by record or batch by batch. */
async function read(
  s: Setup,
  how: 'records' | 'batches',
  options: Options = {},
): Promise<{ ids: (number | undefined)[]; error: BrokerError | undefined }> {
  const consumer = s.client.consumer({
    ...{ topic: 'events', stopAtEnd: true },
    ...options,
    valueSerde: order,
  });
  const ids: (number | undefined)[] = [];
  const loop = async (): Promise<void> => {
    if (how === 'records') for await (const { value } of consumer) ids.push(value?.id);
    else for await (const b of consumer.batches()) ids.push(...b.records.map((r) => r.value?.id));
  };
  try {
    await s.world.until(loop());
  } catch (thrown) {
    return { ids, error: BrokerError.from(thrown) };
  }
  return { ids, error: undefined };
}

describe('serdes', () => {
  const back = <T>(serde: Serde<T>, data: T): T =>
    serde.deserialize(serde.serialize(data, 't'), 't', []);

  it('bring strings back as they were, or refuse them', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => back(stringSerde, text) === text),
    );
    for (const text of ['\ufeffwith a mark', '', '\0', '😀']) {
      expect(back(stringSerde, text)).to.equal(text);
    }
    expect(() => stringSerde.serialize('half \ud83d', 't')).to.throw();
    expect(() => stringSerde.deserialize(Uint8Array.of(0xff), 't', [])).to.throw();
  });

  it('bring JSON back, and refuse what JSON does not know', () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (data) => {
        expect(back(jsonSerde(), data)).to.deep.equal(JSON.parse(JSON.stringify(data)));
      }),
    );
    for (const data of [undefined, () => 0, Symbol('s'), 1n]) {
      expect(() => jsonSerde().serialize(data, 't')).to.throw(TypeError);
    }
    expect(() => jsonSerde().deserialize(Buffer.from('{'), 't', [])).to.throw(SyntaxError);
  });

  it('leave bytes alone', () => {
    const bytes = Uint8Array.of(1, 2, 3);
    expect(back(bytesSerde, bytes)).to.equal(bytes);
  });
});

describe('a producer with serdes', () => {
  it('writes what they make of keys and values, and leaves absent ones absent', async () => {
    const s = setup();
    const producer = s.client.producer({ keySerde: stringSerde, valueSerde: order });
    const sent = [
      producer.send({ topic: 'events', key: 'a', value: { id: 1 } }),
      producer.send({ topic: 'events', key: 'b' }),
      producer.enqueue({ topic: 'events', value: { id: 2 } }),
      producer.sendMany('events', [{ key: 'c', value: { id: 3 } }]),
    ];
    await s.world.until(
      Promise.all(sent.map(async (each) => await Promise.resolve<unknown>(each))),
    );
    await s.world.until(producer.flush());
    const consumer = s.client.consumer({ topic: 'events', stopAtEnd: true, keySerde: stringSerde });
    const got: unknown[] = [];
    const loop = async (): Promise<void> => {
      for await (const { key, value } of consumer) {
        got.push([key, value && Buffer.from(value).toString()]);
      }
    };
    await s.world.until(loop());
    expect(got).to.deep.equal([
      ['a', '{"id":1}'],
      ['b', undefined],
      [undefined, '{"id":2}'],
      ['c', '{"id":3}'],
    ]);
  });

  it('refuses a record that they refuse, says which part, and sends the others', async () => {
    const s = setup();
    const valueSerde = jsonSerde<unknown>();
    const producer = s.client.producer({ valueSerde });
    const bad = { topic: 'events', value: 7n };
    const errors = await s.world.until(
      Promise.all(
        [
          producer.send(bad),
          producer.enqueue(bad) ?? Promise.resolve(),
          producer.sendMany('events', [{ value: 1 }, bad, { value: 2 }]),
        ].map(async (sent) => await sent.then(() => undefined, errorOf)),
      ),
    );
    for (const error of errors) {
      expect(error?.code).to.equal('SERIALIZATION_FAILED');
      expect(error?.outcome).to.equal('none');
      expect(error?.message).to.match(/the value of a record for events .*BigInt/);
      expect(error?.facts).to.include({ topic: 'events', field: 'value' });
    }
    await s.world.until(producer.send({ topic: 'events', value: 3 }));
    expect(s.cluster.partition().values()).to.deep.equal(['1', '3']);
  });

  it('refuses what a serde returns that is not bytes', () => {
    const wrong = { serialize: () => 'text' } as unknown as Serde<string>;
    const encode = encoderOf<string, string>({ keySerde: wrong });
    expect(() => encode('t', { key: 'k' })).to.throw(BrokerError, /no bytes/);
  });

  it('costs nothing where there are none: the record itself goes on', () => {
    const record = { value: 'v' };
    expect(encoderOf({})('t', record)).to.equal(record);
  });
});

describe('a consumer with serdes', () => {
  for (const how of ['records', 'batches'] as const) {
    it(`hands out what they make of values: ${how}`, async () => {
      const s = setup();
      await write(s, orders([1, 2]));
      await write(s, orders([3]));
      expect(await read(s, how)).to.deep.equal({ ids: [1, 2, 3], error: undefined });
      expect(await read(s, how, { from: { offset: 1 } })).to.have.deep.property('ids', [2, 3]);
    });

    it(`fails at a record they refuse, after all before it, and names it: ${how}`, async () => {
      const s = setup();
      await write(s, orders([1, 2, 'bad', 4]));
      const { ids, error } = await read(s, how);
      expect(ids).to.deep.equal([1, 2]);
      expect(error?.code).to.equal('DESERIALIZATION_FAILED');
      expect(error?.facts).to.include({ ...at0, offset: 2, field: 'value' });
      expect(error?.message).to.equal(
        'the value of record 2 of events/0 cannot be deserialized: not an order',
      );
      expect(error?.cause).to.have.property('message', 'not an order');
    });

    it(`skips what its callback says, and shows it the record as stored: ${how}`, async () => {
      const s = setup();
      await write(s, orders(['bad', 1, 'bad', 'bad', 2, 'bad']));
      await write(s, orders(['bad', 'bad']));
      await write(s, orders([3]));
      const seen: string[] = [];
      const { ids, error } = await read(s, how, {
        onUndecodable: ({ facts }, { offset, value, partition }) => {
          seen.push(`${partition}/${offset} ${Buffer.from(value ?? []).toString()}`);
          expect(facts['offset']).to.equal(offset);
          return 'skip';
        },
      });
      expect(error).to.equal(undefined);
      expect(ids).to.deep.equal([1, 2, 3]);
      expect(seen).to.deep.equal([0, 2, 3, 5, 6, 7].map((offset) => `0/${offset} "bad"`));
    });
  }

  it('stays at the record that it failed at, until it is sought past it', async () => {
    const s = setup();
    await write(s, orders([1, 'bad', 3]));
    const consumer = s.client.consumer({ topic: 'events', stopAtEnd: true, valueSerde: order });
    const ids: unknown[] = [];
    const loop = async (): Promise<void> => {
      for await (const { value } of consumer) ids.push(value?.id);
    };
    for (let i = 0; i < 2; i += 1) {
      const error = await s.world.until(loop().catch(errorOf));
      expect(error).to.have.property('code', 'DESERIALIZATION_FAILED');
      expect(consumer.position(at0)).to.equal(1);
    }
    await s.world.until(consumer.seek(at0, { offset: 2 }));
    await s.world.until(loop());
    expect(ids).to.deep.equal([1, 3]);
  });

  it('hands out nothing more of a partition that its callback pauses', async () => {
    const s = setup();
    await write(s, orders([1, 'bad', 3]));
    const ids: unknown[] = [];
    const consumer = s.client.consumer({
      ...{ topic: 'events', valueSerde: order },
      onUndecodable: () => {
        consumer.pause();
        return 'skip';
      },
    });
    const reading = (async () => {
      for await (const { value } of consumer) ids.push(value?.id);
    })();
    await s.world.advance(1_000);
    expect(ids).to.deep.equal([1]);
    consumer.resume();
    await s.world.advance(1_000);
    expect(ids).to.deep.equal([1, 3]);
    await consumer.close();
    await s.world.until(reading);
  });
});

describe('a member of a group with serdes', () => {
  function member(s: Setup, skips: boolean): GroupConsumer<Uint8Array, Order> {
    return s.client.groupConsumer({
      ...{ group: 'g', topics: ['events'], valueSerde: order },
      ...(skips ? { onUndecodable: () => 'skip' as const } : {}),
    });
  }

  for (const how of ['records', 'batches'] as const) {
    const loop = async (
      from: GroupConsumer<Uint8Array, Order>,
      ids: (number | undefined)[],
    ): Promise<void> => {
      if (how === 'records') for await (const { value } of from) ids.push(value?.id);
      else for await (const b of from.batches()) ids.push(...b.records.map((r) => r.value?.id));
    };

    it(`commits up to the record that it fails at: ${how}`, async () => {
      const s = setup();
      await write(s, orders([1, 2, 'bad', 4]));
      const ids: (number | undefined)[] = [];
      const consumer = member(s, false);
      const error = await s.world.until(loop(consumer, ids).catch(errorOf));
      expect(error).to.have.property('code', 'DESERIALIZATION_FAILED');
      await s.world.until(consumer.close());
      expect(ids).to.deep.equal([1, 2]);
      expect(s.cluster.committed.get('g/0')).to.equal(2);
    });

    it(`commits what it skipped: ${how}`, async () => {
      const s = setup();
      await write(s, orders([1, 'bad']));
      await write(s, orders(['bad', 'bad']));
      const ids: (number | undefined)[] = [];
      const consumer = member(s, true);
      const reading = loop(consumer, ids);
      await s.world.advance(1_000);
      await s.world.until(consumer.close());
      await s.world.until(reading);
      expect(ids).to.deep.equal([1]);
      expect(s.cluster.committed.get('g/0')).to.equal(4);
    });
  }
});
