import { expect } from 'chai';
import {
  jsonSerde,
  stringSerde,
  type Consumer,
  type ConsumedBatch,
  type ConsumedRecord,
  type GroupConsumer,
  type MillraceClient,
  type Producer,
  type ProducerRecord,
  type RecordData,
} from '../../../src/client/index.js';
import { problemsOf } from '../../support/compile.js';

type IsAny<T> = 0 extends 1 & T ? true : false;
type Extends<A, B> = [A] extends [B] ? true : false;
type Equal<A, B> =
  IsAny<A> extends IsAny<B> ? (Extends<A, B> extends true ? Extends<B, A> : false) : false;

interface Order {
  readonly id: number;
}
const order = jsonSerde<Order>();

// What comes out of each call, as the compiler infers it: only looked at, never called.
const made = {
  plainProducer: (m: MillraceClient) => m.producer(),
  tunedProducer: (m: MillraceClient) => m.producer({ acks: 'leader' }),
  producer: (m: MillraceClient) => m.producer({ keySerde: stringSerde, valueSerde: order }),
  valueProducer: (m: MillraceClient) => m.producer({ valueSerde: order }),
  unknownProducer: (m: MillraceClient) => m.producer({ valueSerde: jsonSerde<unknown>() }),
  namedProducer: (m: MillraceClient) => m.producer<string, Order>({ valueSerde: order }),
  plainConsumer: (m: MillraceClient) => m.consumer(),
  tunedConsumer: (m: MillraceClient) => m.consumer({ topic: 't' }),
  consumer: (m: MillraceClient) => m.consumer({ keySerde: stringSerde, valueSerde: order }),
  keyConsumer: (m: MillraceClient) => m.consumer({ keySerde: stringSerde }),
  plainMember: (m: MillraceClient) => m.groupConsumer({ group: 'g', topics: ['t'] }),
  member: (m: MillraceClient) =>
    m.groupConsumer({ group: 'g', topics: ['t'], keySerde: stringSerde, valueSerde: order }),
};
type Made = { readonly [Name in keyof typeof made]: ReturnType<(typeof made)[Name]> };
type RecordOf<C> = C extends AsyncIterable<infer R> ? R : never;
type BatchOf<C> = C extends { batches(): AsyncIterable<infer B> } ? B : never;

/** Each of them compiles only as long as it is true. */
const EXPECTATIONS: readonly true[] = [
  true satisfies Equal<Made['plainProducer'], Producer>,
  true satisfies Equal<Made['tunedProducer'], Producer>,
  true satisfies Equal<Made['producer'], Producer<string, Order>>,
  true satisfies Equal<Made['valueProducer'], Producer<RecordData, Order>>,
  true satisfies Equal<Made['unknownProducer'], Producer<RecordData, unknown>>,
  true satisfies Equal<Made['namedProducer'], Producer<string, Order>>,
  true satisfies Equal<Parameters<Made['producer']['send']>[0], ProducerRecord<string, Order>>,
  true satisfies Equal<Made['plainConsumer'], Consumer>,
  true satisfies Equal<Made['tunedConsumer'], Consumer>,
  true satisfies Equal<Made['consumer'], Consumer<string, Order>>,
  true satisfies Equal<Made['keyConsumer'], Consumer<string>>,
  true satisfies Equal<RecordOf<Made['consumer']>, ConsumedRecord<string, Order>>,
  true satisfies Equal<RecordOf<Made['consumer']>['value'], Order | undefined>,
  true satisfies Equal<BatchOf<Made['consumer']>, ConsumedBatch<string, Order>>,
  true satisfies Equal<RecordOf<Made['plainConsumer']>['key'], Uint8Array | undefined>,
  true satisfies Equal<Made['plainMember'], GroupConsumer>,
  true satisfies Equal<Made['member'], GroupConsumer<string, Order>>,
  true satisfies Equal<BatchOf<Made['member']>['records'][number]['key'], string | undefined>,
];

/** Each line is refused, for a reason that has to do with the word after it. */
const REFUSED: readonly (readonly [line: string, about: RegExp])[] = [
  ["m.producer().send({ topic: 't', value: 7 })", /number/],
  ['m.producer({ valueSerde: order }).send({ topic: "t", value: { id: "7" } })', /string/],
  ['m.producer({ valueSerde: order }).send({ topic: "t", value: "7" })', /Order/],
  ['m.producer({ keySerde: stringSerde }).send({ topic: "t", key: new Uint8Array() })', /string/],
  ['m.producer({ valueSerde: order }).sendMany("t", [{ value: 7 }])', /Order/],
  ['m.producer<string, Order>({})', /valueSerde|overload/],
  ['m.producer<number, string>({ acks: "leader" })', /keySerde|overload/],
  ['m.consumer<string, Order>({ topic: "t", valueSerde: order })', /keySerde|overload/],
  ['m.consumer<string, Uint8Array>()', /type arguments|Expected/],
  ['m.groupConsumer<Uint8Array, Order>({ group: "g", topics: ["t"] })', /valueSerde/],
  [
    'const c: Consumer<string, string> = m.consumer({ keySerde: stringSerde })',
    /valueSerde|Uint8Array/,
  ],
  ['const p: Producer<string, unknown> = m.producer({ valueSerde: order })', /Order|unknown/],
];

describe('types of producers and consumers', () => {
  it('follow from the serdes', () => {
    expect(EXPECTATIONS).to.not.include(false);
    expect(Object.keys(made)).to.have.length(12);
  });

  it('refuse what the serdes cannot write or do not read', function () {
    this.timeout(120_000);
    const head = `
      import { jsonSerde, stringSerde, type Consumer, type MillraceClient, type Producer } from 'millrace/client';
      interface Order { readonly id: number }
      declare const m: MillraceClient;
      const order = jsonSerde<Order>();\n`;
    const problems = problemsOf([head, ...REFUSED.map(([line]) => `${head}${line};`)]);
    expect(problems[0]).to.deep.equal([]);
    for (const [i, [line, about]] of REFUSED.entries()) {
      expect(problems[i + 1], line).to.have.length(1);
      expect(problems[i + 1]?.[0], line).to.match(about);
    }
  });
});
