import { expect } from 'chai';
import fc from 'fast-check';
import { encoderFor, type PrintOptions } from '../../../src/cli/commands/consume-output.js';
import { recordParser, type LineOptions } from '../../../src/cli/commands/produce-input.js';
import { recordFromJson, recordToJson } from '../../../src/cli/record-json.js';
import type { ReadRecord, RecordData } from '../../../src/client/index.js';

const at = { topic: 't', partition: 3 };

function stored(fields: Partial<ReadRecord> = {}): ReadRecord {
  return {
    ...{ offset: 7, timestampMs: 1_700_000_000_000, key: undefined, value: undefined, headers: [] },
    ...fields,
  };
}

const bytes = (data: RecordData | undefined): Buffer | undefined =>
  data === undefined ? undefined : Buffer.from(data as string);

describe('a record as JSON', () => {
  it('comes back as it was, whatever bytes it has', () => {
    const some = fc.option(fc.uint8Array({ maxLength: 20 }), { nil: undefined });
    const header = fc.record({
      key: fc.oneof(fc.string({ unit: 'binary', maxLength: 5 }), fc.constant('__proto__')),
      value: fc.uint8Array({ maxLength: 5 }),
    });
    const headers = fc.uniqueArray(header, { selector: (h) => h.key, maxLength: 3 });
    fc.assert(
      fc.property(fc.record({ key: some, value: some, headers }), (fields) => {
        const record = stored(fields);
        const line = recordToJson(at, record);
        expect(line).to.not.include('\n');
        const back = recordFromJson(Buffer.from(line));
        expect(bytes(back.key)).to.deep.equal(fields.key && Buffer.from(fields.key));
        expect(bytes(back.value)).to.deep.equal(fields.value && Buffer.from(fields.value));
        expect(back.timestampMs).to.equal(record.timestampMs);
        expect(back.partition).to.equal(undefined);
        const read = Object.entries(back.headers ?? {}).map(([key, value]) => [key, bytes(value)]);
        const wanted = fields.headers.map((h) => [h.key, Buffer.from(h.value)] as const);
        expect(new Map(read as [string, Buffer][])).to.deep.equal(new Map(wanted));
      }),
    );
  });

  it('may hold its value as JSON, and its headers as an object', () => {
    const line = Buffer.from('{"value":{"a":[1]},"headers":{"n":"x","m":2}}');
    expect(recordFromJson(line)).to.deep.equal({
      key: undefined,
      value: '{"a":[1]}',
      headers: { n: 'x', m: '2' },
    });
  });

  const wrong: readonly (readonly [string, RegExp])[] = [
    ['', /not JSON/],
    ['{"value":', /not JSON/],
    ['[]', /must be an object/],
    ['null', /must be an object/],
    ['{}', /no value/],
    ['{"key":"k"}', /no value/],
    ['{"vaule":"v"}', /a field "vaule"/],
    ['{"value":"v","valueBase64":"AA=="}', /both/],
    ['{"valueBase64":"A"}', /not base64/],
    ['{"valueBase64":7}', /not base64/],
    ['{"value":"v","timestampMs":1.5}', /whole number/],
    ['{"value":"v","headers":"h"}', /headers must be an object/],
    ['{"value":"v","headers":["h"]}', /a header must be an object/],
    ['{"value":"v","headers":[{"value":"x"}]}', /no name/],
    ['{"value":"v","headers":{"h":null}}', /header h has no value/],
    ['{"value":"v","headers":[{"name":"h","value":"1"},{"name":"h","value":"2"}]}', /twice/],
  ];
  for (const [line, about] of wrong) {
    it(`refuses ${line === '' ? 'an empty line' : line}`, () => {
      expect(() => recordFromJson(Buffer.from(line))).to.throw(about);
    });
  }
});

describe('lines to produce', () => {
  const parse = (options: LineOptions, line: string): unknown => {
    const { key, value, headers } = recordParser(options)(Buffer.from(line));
    return [bytes(key)?.toString(), bytes(value)?.toString(), headers];
  };

  it('are read as the format says', () => {
    expect(parse({}, 'k:v')).to.deep.equal([undefined, 'k:v', undefined]);
    expect(parse({ keySeparator: ':' }, 'k:v:w')).to.deep.equal(['k', 'v:w', undefined]);
    expect(parse({ format: 'json', keySeparator: ':' }, 'k:{"a": 1}')).to.deep.equal([
      ...['k', '{"a": 1}'],
      undefined,
    ]);
    const ndjson: LineOptions = { format: 'ndjson', key: 'all', header: { a: '1', b: '1' } };
    expect(parse(ndjson, '{"value":"v","headers":{"b":"2"}}')).to.deep.equal([
      ...['all', 'v'],
      { a: '1', b: '2' },
    ]);
    const named = parse(ndjson, '{"value":"v","headers":[{"name":"__proto__","value":"2"}]}');
    expect(Object.entries((named as [unknown, unknown, object])[2])).to.deep.equal([
      ...[
        ['a', '1'],
        ['b', '1'],
      ],
      ['__proto__', '2'],
    ]);
    expect(parse(ndjson, '{"key":"own","value":null}')).to.deep.equal([
      ...['own', undefined],
      { a: '1', b: '1' },
    ]);
  });

  it('are numbered where they are wrong', () => {
    const read = recordParser({ format: 'json' });
    read(Buffer.from('1'));
    expect(() => read(Buffer.from('oops'))).to.throw(/^line 2 of the input: it is not JSON/);
  });
});

describe('records that are printed', () => {
  const print = (options: PrintOptions, ...records: readonly ReadRecord[]): string => {
    const batch = { ...at, records, nextOffset: 9, highWatermark: 9, leaderEpoch: 1, bytes: 1 };
    return Buffer.from(encoderFor(options)(batch, records)).toString();
  };
  const record = stored({
    key: Buffer.from('k'),
    value: Buffer.from('{"n":12345678901234567890,\n"m":1}'),
    headers: [
      { key: 'a', value: Buffer.from('1') },
      { key: 'b', value: undefined },
    ],
  });

  it('look as the format says', () => {
    const plain = stored({ value: Buffer.from('v') });
    expect(print({}, plain, plain)).to.equal('v\nv\n');
    expect(print({ raw: true }, plain, plain)).to.equal('vv');
    expect(print({ keySeparator: '=' }, plain, record)).to.match(/^=v\nk={/);
    expect(print({ headers: true }, plain, record)).to.match(/^-\tv\na=1,b=\t{/);
    expect(print({ verbose: true }, plain)).to.equal('3:7\t2023-11-14T22:13:20.000Z\t-\tv\n');
    expect(print({ format: 'json' }, record, stored())).to.equal(
      '{"n":12345678901234567890, "m":1}\nnull\n',
    );
    expect(print({ format: 'ndjson' }, plain)).to.equal(print({ json: true }, plain));
  });

  it('look as a template says, byte for byte', () => {
    const template = '%t/%p@%o %m %T [%k](%K) %v(%V) {%h} 100%%\\n';
    const value = stored({ value: Buffer.from('v') });
    expect(print({ template }, value, record)).to.equal(
      't/3@7 1700000000000 2023-11-14T22:13:20.000Z [](-1) v(1) {-} 100%\n' +
        't/3@7 1700000000000 2023-11-14T22:13:20.000Z [k](1) ' +
        '{"n":12345678901234567890,\n"m":1}(33) {a=1,b=} 100%\n',
    );
    expect(print({ template: '%k\\t\\\\' }, record, record)).to.equal('k\t\\k\t\\');
    const batch = { ...at, records: [], nextOffset: 9, highWatermark: 9, leaderEpoch: 1, bytes: 1 };
    const bytes = Uint8Array.of(0xff, 0x00, 0xc3);
    const raw = encoderFor({ template: '%v' })(batch, [stored({ value: bytes })]);
    expect(Uint8Array.from(raw)).to.deep.equal(bytes);
  });

  it('name the one that is not JSON', () => {
    const bad = stored({ value: Buffer.from('oops') });
    expect(() => print({ format: 'json' }, record, bad)).to.throw(
      /the value of record 7 of t\/3 cannot be printed: it is not JSON/,
    );
  });
});
