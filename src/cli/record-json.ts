import type { ReadRecord, TopicRecord } from '../client/index.js';

/*
 * A record as one line of JSON, the same for writing and reading:
 *
 *   {"topic":"t","partition":0,"offset":7,"timestampMs":1700000000000,
 *    "key":"k","value":"v","headers":[{"name":"n","value":"v"}]}
 *
 * Bytes that are not UTF-8 stand as base64 under another name (keyBase64, valueBase64); null is an
 * absent key, and a null value.
 */

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
/** What a line may have. Where a record stood when it was read says nothing of where it goes. */
const FIELDS: ReadonlySet<string> = new Set([
  ...['topic', 'partition', 'offset', 'timestampMs'],
  ...['key', 'keyBase64', 'value', 'valueBase64', 'headers'],
]);

export function recordToJson(
  at: { readonly topic: string; readonly partition: number },
  record: ReadRecord,
): string {
  return JSON.stringify({
    topic: at.topic,
    partition: at.partition,
    offset: record.offset,
    timestampMs: record.timestampMs,
    ...bytesField('key', record.key),
    ...bytesField('value', record.value),
    headers: record.headers.map((h) => ({ name: h.key, ...bytesField('value', h.value) })),
  });
}

/** Text as text; other bytes as base64, under another name; null for none. */
function bytesField(name: string, bytes: Uint8Array | undefined): Record<string, string | null> {
  if (bytes === undefined) return { [name]: null };
  try {
    return { [name]: utf8.decode(bytes) };
  } catch {
    return { [`${name}Base64`]: Buffer.from(bytes).toString('base64') };
  }
}

/** Throws an Error that says what is wrong with the line. */
export function recordFromJson(line: Buffer): TopicRecord {
  const fields = objectOf(parsed(line), 'the line');
  for (const name of Object.keys(fields)) {
    if (!FIELDS.has(name)) throw new Error(`it has a field ${JSON.stringify(name)}`);
  }
  const value = bytesOf(fields, 'value');
  if (value === undefined) throw new Error('it has no value: null stands for none');
  const { timestampMs } = fields;
  if (timestampMs !== undefined && !Number.isSafeInteger(timestampMs)) {
    throw new Error('timestampMs must be a whole number');
  }
  const headers = headersOf(fields['headers']);
  return {
    key: bytesOf(fields, 'key') ?? undefined,
    value: value ?? undefined,
    ...(timestampMs === undefined ? {} : { timestampMs: timestampMs as number }),
    ...(headers === undefined ? {} : { headers }),
  };
}

/** The line itself, if it is JSON. */
export function checkedJson(line: Buffer): Buffer {
  parsed(line);
  return line;
}

function parsed(line: Uint8Array): unknown {
  try {
    return JSON.parse(utf8.decode(line)) as unknown;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`it is not JSON: ${reason}`, { cause });
  }
}

function objectOf(data: unknown, what: string): Readonly<Record<string, unknown>> {
  const isObject = typeof data === 'object' && data !== null && !Array.isArray(data);
  if (!isObject) throw new Error(`${what} must be an object`);
  return data as Readonly<Record<string, unknown>>;
}

/** Undefined: it is not there. Null: it is said to be none. */
function bytesOf(
  fields: Readonly<Record<string, unknown>>,
  name: string,
): Buffer | string | null | undefined {
  const text = fields[name];
  const base64 = fields[`${name}Base64`];
  if (base64 === undefined) {
    if (text === undefined || text === null || typeof text === 'string') return text;
    // What is JSON inside of the line is the value's JSON.
    return JSON.stringify(text);
  }
  if (text !== undefined) throw new Error(`it has both ${name} and ${name}Base64`);
  if (typeof base64 !== 'string' || !BASE64.test(base64)) {
    throw new Error(`${name}Base64 is not base64`);
  }
  return Buffer.from(base64, 'base64');
}

/** As a list of names and values, or as an object. */
function headersOf(data: unknown): Record<string, Buffer | string> | undefined {
  if (data === undefined || data === null) return undefined;
  const headers = new Map<string, Buffer | string>();
  const entries = Array.isArray(data)
    ? data.map((item: unknown) => {
        const fields = objectOf(item, 'a header');
        const { name } = fields;
        if (typeof name !== 'string') throw new Error('a header has no name');
        return [name, bytesOf(fields, 'value')] as const;
      })
    : Object.entries(objectOf(data, 'headers')).map(
        ([name, value]) => [name, bytesOf({ value }, 'value')] as const,
      );
  for (const [name, value] of entries) {
    if (value === undefined || value === null) throw new Error(`header ${name} has no value`);
    if (headers.has(name)) throw new Error(`header ${name} is there twice`);
    headers.set(name, value);
  }
  return Object.fromEntries(headers);
}
