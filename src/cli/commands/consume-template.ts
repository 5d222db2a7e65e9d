import type { ConsumedBatch, ReadRecord } from '../../client/index.js';
import { timeText, UsageError } from '../io.js';

/** One piece of what is printed for a record. */
export type Piece = (batch: ConsumedBatch, record: ReadRecord) => Uint8Array;

const NOTHING = new Uint8Array();
const text = (of: (batch: ConsumedBatch, record: ReadRecord) => string | number): Piece => {
  return (batch, record) => Buffer.from(String(of(batch, record)));
};

const FIELDS: ReadonlyMap<string, Piece> = new Map<string, Piece>([
  ['t', text(({ topic }) => topic)],
  ['p', text(({ partition }) => partition)],
  ['o', text((_, { offset }) => offset)],
  ['T', text((_, { timestampMs }) => timeText(timestampMs))],
  ['m', text((_, { timestampMs }) => timestampMs)],
  ['k', (_, { key }) => key ?? NOTHING],
  ['v', (_, { value }) => value ?? NOTHING],
  ['h', text((_, record) => headersText(record))],
  ['K', text((_, { key }) => key?.length ?? -1)],
  ['V', text((_, { value }) => value?.length ?? -1)],
  ['%', () => Buffer.from('%')],
]);
const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['0', '\0'],
  ['\\', '\\'],
]);

export const TEMPLATE_HELP =
  '%t topic, %p partition, %o offset, %T time, %m time in ms, %k key, %v value, %h headers, ' +
  '%K and %V their lengths in bytes (-1: null), %% a percent sign, \\n \\t \\r \\0 \\\\ as in C; ' +
  'nothing is added';

/** Throws UsageError on a field or an escape that is none. */
export function parseTemplate(template: string): readonly Piece[] {
  const pieces: Piece[] = [];
  let literal = '';
  const flush = (): void => {
    const bytes = Buffer.from(literal);
    if (bytes.length > 0) pieces.push(() => bytes);
    literal = '';
  };
  for (let i = 0; i < template.length; i += 1) {
    const char = template.charAt(i);
    if (char !== '%' && char !== '\\') {
      literal += char;
      continue;
    }
    i += 1;
    const name = template.charAt(i);
    const escape = char === '\\' ? ESCAPES.get(name) : undefined;
    const field = char === '%' ? FIELDS.get(name) : undefined;
    if (escape === undefined && field === undefined) {
      throw new UsageError(
        `--template: ${JSON.stringify(char + name)} is none of ${TEMPLATE_HELP}`,
      );
    }
    literal += escape ?? '';
    if (field !== undefined) {
      flush();
      pieces.push(field);
    }
  }
  flush();
  return pieces;
}

/** `key=value,key=value`; `-` if there are none. */
export function headersText({ headers }: ReadRecord): string {
  if (headers.length === 0) return '-';
  return headers.map((h) => `${h.key}=${Buffer.from(h.value ?? []).toString()}`).join(',');
}
