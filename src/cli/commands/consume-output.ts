import type { ConsumedBatch, ReadRecord } from '../../client/index.js';
import { BrokerError } from '../../model/errors.js';
import { timeText, UsageError } from '../io.js';
import { checkedJson, recordToJson } from '../record-json.js';
import { headersText, parseTemplate } from './consume-template.js';

/** How records are printed. */
export interface PrintOptions {
  readonly format?: Format;
  /** In place of a format. */
  readonly template?: string;
  readonly json?: boolean;
  readonly raw?: boolean;
  readonly verbose?: boolean;
  readonly headers?: boolean;
  readonly keySeparator?: string;
}

export const FORMATS = ['text', 'raw', 'json', 'ndjson'] as const;
export type Format = (typeof FORMATS)[number];

export type Encoder = (batch: ConsumedBatch, records: readonly ReadRecord[]) => Uint8Array;

const NEWLINE = Buffer.from('\n');
const TAB = Buffer.from('\t');

/** What --format, --raw and --json come to. Throws if they contradict each other. */
function formatOf(options: PrintOptions): Format {
  const { format, raw, json, template } = options;
  const given = new Set<Format>();
  if (format !== undefined) given.add(format);
  if (raw === true) given.add('raw');
  if (json === true) given.add('ndjson');
  if (raw === true && (json === true || options.verbose === true)) {
    throw new UsageError('--raw prints nothing but values: leave --json and --verbose out');
  }
  const [chosen = 'text', another] = given;
  if (another !== undefined) throw new UsageError('--format, --raw and --json exclude each other');
  const isAdorned =
    options.verbose === true || options.headers === true || options.keySeparator !== undefined;
  if (template !== undefined && (given.size > 0 || isAdorned)) {
    throw new UsageError('--template says all: leave other options of the output out');
  }
  if (chosen !== 'text' && isAdorned) {
    throw new UsageError('--verbose, --headers and --key-separator are for --format text');
  }
  return chosen;
}

export function encoderFor(options: PrintOptions): Encoder {
  const format = formatOf(options);
  if (options.template !== undefined) {
    const pieces = parseTemplate(options.template);
    return (batch, records) =>
      Buffer.concat(records.flatMap((record) => pieces.map((piece) => piece(batch, record))));
  }
  switch (format) {
    case 'raw':
      return (_batch, records) => Buffer.concat(records.map((r) => r.value ?? new Uint8Array()));
    case 'ndjson':
      return (batch, records) =>
        Buffer.from(records.map((r) => `${recordToJson(batch, r)}\n`).join(''));
    case 'json':
      return (batch, records) =>
        Buffer.concat(records.flatMap((r) => [jsonValue(batch, r), NEWLINE]));
    case 'text':
      return (batch, records) =>
        Buffer.concat(records.flatMap((r) => [...adornment(batch, r, options), NEWLINE]));
  }
}

/** On one line, digit by digit as it is stored. A null value is JSON's null. */
function jsonValue({ topic, partition }: ConsumedBatch, record: ReadRecord): Uint8Array {
  if (record.value === undefined) return Buffer.from('null');
  try {
    const bytes = checkedJson(Buffer.from(record.value));
    // Line ends in JSON are only ever between its parts.
    return bytes.map((byte) => (byte === 0x0a || byte === 0x0d ? 0x20 : byte));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const { offset } = record;
    const text = `the value of record ${offset} of ${topic}/${partition} cannot be printed: ${reason}`;
    const facts = { topic, partition, offset, field: 'value' };
    throw new BrokerError('DESERIALIZATION_FAILED', text, facts, { cause });
  }
}

function adornment(
  { partition }: ConsumedBatch,
  record: ReadRecord,
  options: PrintOptions,
): Uint8Array[] {
  const parts: Uint8Array[] = [];
  const { key, value = new Uint8Array() } = record;
  if (options.verbose === true) {
    const head = `${partition}:${record.offset}\t${timeText(record.timestampMs)}\t`;
    parts.push(Buffer.from(head), key ?? Buffer.from('-'), TAB);
  }
  if (options.headers === true) parts.push(Buffer.from(headersText(record)), TAB);
  if (options.keySeparator !== undefined) {
    parts.push(key ?? new Uint8Array(), Buffer.from(options.keySeparator));
  }
  parts.push(value);
  return parts;
}
