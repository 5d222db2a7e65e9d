import type { Readable, Writable } from 'node:stream';
import { BrokerError } from '../model/errors.js';

/** What a command sees of the process it runs in; tests give their own. */
export interface Io {
  readonly stdin: Readable;
  readonly stdout: Writable & { readonly isTTY?: boolean };
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean };
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Calls back on Ctrl-C and on a polite request to end; returns how to stop listening. */
  onInterrupt(run: () => void): () => void;
}

/** The command line is wrong: exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** It was asked for rightly and did not work out: exit code 1. The message is one clear line. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;

/** Writes what a command has to say: text for people, or one JSON document. */
export class Output {
  private readonly io: Io;
  readonly isJson: boolean;

  constructor(io: Io, isJson: boolean) {
    this.io = io;
    this.isJson = isJson;
  }

  /** The result: `json` with --json, else the lines. */
  result(json: unknown, lines: () => readonly string[]): void {
    const text = this.isJson ? JSON.stringify(json) : lines().join('\n');
    if (text !== '') this.io.stdout.write(`${text}\n`);
  }

  /** For people only, beside the result. */
  note(text: string): void {
    if (!this.isJson) this.io.stderr.write(`${text}\n`);
  }
}

/** One line for people, or the same facts as JSON; to stderr. */
export function describeFailure(thrown: unknown, isJson: boolean): string {
  // Files and sockets of this machine say well enough what is wrong with them.
  const isSystem = thrown instanceof Error && 'syscall' in thrown;
  const isOurs = thrown instanceof CommandError || thrown instanceof UsageError || isSystem;
  const error = isOurs ? undefined : BrokerError.from(thrown);
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  if (!isJson) {
    return error === undefined ? `millrace: ${message}` : `millrace: ${error.code}: ${message}`;
  }
  const facts =
    error === undefined
      ? { code: thrown instanceof UsageError ? 'USAGE' : 'FAILED' }
      : { code: error.code, retriable: error.retriable, outcome: error.outcome };
  return JSON.stringify({ error: { ...facts, message } });
}

/** Columns as wide as their widest cell; numbers to the right. */
export function table(head: readonly string[], rows: readonly (readonly unknown[])[]): string[] {
  const cells = rows.map((row) => row.map((cell) => textOf(cell)));
  const widths = head.map((name, c) =>
    Math.max(name.length, ...cells.map((row) => row[c]?.length ?? 0)),
  );
  const isNumber = head.map((_, c) => rows.some((row) => typeof row[c] === 'number'));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, c) => (isNumber[c] ? cell.padStart(widths[c] ?? 0) : cell.padEnd(widths[c] ?? 0)))
      .join('  ')
      .trimEnd();
  return [line(head), ...cells.map(line)];
}

function textOf(cell: unknown): string {
  if (cell === undefined || cell === null) return '-';
  if (typeof cell === 'number') return grouped(cell);
  if (typeof cell === 'string' || typeof cell === 'boolean') return String(cell);
  return JSON.stringify(cell);
}

/** 1234567.8 as 1,234,567.8; the same in every locale. */
export function grouped(value: number, decimals = 0): string {
  const [whole = '', fraction] = value.toFixed(decimals).split('.');
  const text = whole.replace(/\B(?=(\d{3})+(?!\d))/g, ',');
  return fraction === undefined ? text : `${text}.${fraction}`;
}

/** ISO 8601; the bare number where no calendar has it: producers may send any time. */
export function timeText(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString();
}

/** What is wrong with one of many, in a cell of a table. */
export function problemText(error: BrokerError | undefined): string {
  return error === undefined ? '' : `${error.code}: ${error.message}`;
}

/** With its error as plain facts, for JSON. */
export function withPlainError(item: { readonly error: BrokerError | undefined }): unknown {
  const { error } = item;
  const plain = error === undefined ? undefined : { code: error.code, message: error.message };
  return { ...item, error: plain };
}

export function bytesText(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${grouped(value, unit === 0 ? 0 : 1)} ${units[unit] ?? ''}`;
}
