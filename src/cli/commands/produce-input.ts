import type { TopicRecord } from '../../client/index.js';
import { BrokerError } from '../../model/errors.js';
import { openInputFile, type InputFile } from '../input-file.js';
import { CommandError, UsageError, type Io } from '../io.js';
import { checkedJson, recordFromJson } from '../record-json.js';

const READ_BYTES = 256 * 1024;

export const INPUT_FORMATS = ['text', 'raw', 'json', 'ndjson'] as const;
export type InputFormat = (typeof INPUT_FORMATS)[number];

/** How a line becomes a record. */
export interface LineOptions {
  readonly format?: InputFormat;
  readonly raw?: boolean;
  readonly key?: string;
  readonly keySeparator?: string;
  readonly header?: Readonly<Record<string, string>>;
}

export async function openInput(io: Io, file: string | undefined): Promise<InputFile> {
  if (file === undefined || file === '-') return { stream: io.stdin, bytes: undefined };
  return await openInputFile(file, READ_BYTES);
}

/** The input may fail as well as the cluster. */
export function failureOf(thrown: unknown): Error {
  if (thrown instanceof CommandError) return thrown;
  const isSystem = thrown instanceof Error && 'syscall' in thrown;
  if (!isSystem) return BrokerError.from(thrown);
  return new CommandError(`cannot read the input: ${thrown.message}`, { cause: thrown });
}

/** What --format and --raw come to. Throws if options contradict each other. */
export function inputFormatOf(options: LineOptions): InputFormat {
  const { format, raw, key, keySeparator } = options;
  if (key !== undefined && keySeparator !== undefined) {
    throw new UsageError('--key and --key-separator exclude each other');
  }
  if (keySeparator === '') throw new UsageError('--key-separator must not be empty');
  if (raw === true && format !== undefined && format !== 'raw') {
    throw new UsageError('--raw and --format exclude each other');
  }
  if (format === 'ndjson' && keySeparator !== undefined) {
    throw new UsageError('--format ndjson has keys of its own: leave --key-separator out');
  }
  return raw === true ? 'raw' : (format ?? 'text');
}

type RecordParser = (line: Buffer) => Omit<TopicRecord, 'partition'>;

/** The records' parts are of the line's memory. Throws on a line that does not have the format. */
export function recordParser(options: LineOptions): RecordParser {
  const format = inputFormatOf(options);
  const split = splitter(options);
  switch (format) {
    case 'text':
    case 'raw':
      return split;
    case 'json':
      return numbered((line) => {
        const record = split(line);
        checkedJson(record.value as Buffer);
        return record;
      });
    case 'ndjson':
      return numbered((line) => {
        const record = recordFromJson(line);
        const headers = { ...options.header, ...record.headers };
        return { ...record, key: record.key ?? options.key, headers };
      });
  }
}

/** Says which line it was. */
function numbered(parse: RecordParser): RecordParser {
  let count = 0;
  return (line) => {
    count += 1;
    try {
      return parse(line);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new CommandError(`line ${count} of the input: ${reason}`, { cause });
    }
  };
}

function splitter(options: LineOptions): RecordParser {
  const { key, keySeparator, header } = options;
  const separator = keySeparator === undefined ? undefined : Buffer.from(keySeparator);
  const headers = header === undefined ? {} : { headers: header };
  return (line) => {
    const at = separator === undefined ? -1 : line.indexOf(separator);
    if (separator === undefined || at < 0) return { key, value: line, ...headers };
    return { key: line.subarray(0, at), value: line.subarray(at + separator.length), ...headers };
  };
}
