import { utf8Encode } from '../base/bytes.js';
import { LIMITS } from '../model/limits.js';
import type { RecordFields } from '../model/record.js';
import { checkArgument } from './check-argument.js';
import type { TopicRecord } from './records.js';

/** The record itself where it already is what a batch takes: most are, and cost no object. */
export function fieldsOf(record: TopicRecord): RecordFields {
  const { key, value, headers, timestampMs: at } = record;
  checkArgument(
    at === undefined || (Number.isInteger(at) && Math.abs(at) < 2 ** 50),
    'bad timestampMs',
  );
  const isBare = (key === undefined || key instanceof Uint8Array) && value instanceof Uint8Array;
  if (isBare && headers === undefined) return record as RecordFields;
  const fields = { key: bytesOf(key, 'key'), value: bytesOf(value, 'value') };
  if (headers === undefined) return fields;
  const entries = Object.entries(headers);
  checkArgument(
    entries.length <= LIMITS.recordHeadersMax,
    `more than ${LIMITS.recordHeadersMax} headers`,
  );
  const encoded = entries.map(([name, bytes]) => ({ key: name, value: bytesOf(bytes, 'header') }));
  return { ...fields, headers: encoded };
}

function bytesOf(value: unknown, what: string): Uint8Array | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string') return utf8Encode(value);
  checkArgument(value instanceof Uint8Array, `a record's ${what} must be bytes or a string`);
  return value as Uint8Array;
}
