import type { ProducerRecord } from '../../client/index.js';
import { BrokerError } from '../../model/errors.js';
import { openInputFile, type InputFile } from '../input-file.js';
import { CommandError, type Io } from '../io.js';

const READ_BYTES = 256 * 1024;

/** How a line becomes a record. */
export interface LineOptions {
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
  const isSystem = thrown instanceof Error && 'syscall' in thrown;
  if (!isSystem) return BrokerError.from(thrown);
  return new CommandError(`cannot read the input: ${thrown.message}`, { cause: thrown });
}

/** The records' parts are of the line's memory. */
export function recordParser(
  options: LineOptions,
): (line: Buffer) => Omit<ProducerRecord, 'topic' | 'partition'> {
  const { key, keySeparator, header } = options;
  const separator = keySeparator === undefined ? undefined : Buffer.from(keySeparator);
  const headers = header === undefined ? {} : { headers: header };
  return (line) => {
    const at = separator === undefined ? -1 : line.indexOf(separator);
    if (separator === undefined || at < 0) return { key, value: line, ...headers };
    return { key: line.subarray(0, at), value: line.subarray(at + separator.length), ...headers };
  };
}
