import { Command, InvalidArgumentError, Option } from 'commander';
import { MillraceClient, parseBootstrap } from '../client/index.js';
import { BrokerError } from '../model/errors.js';
import { bootstrapOfContext, readContexts } from './contexts.js';
import { Output, UsageError, type Io } from './io.js';

/** Options of every command that talks to a cluster. */
export interface ClusterOptions {
  readonly bootstrap?: string;
  readonly context?: string;
  readonly timeout: number;
  readonly json?: boolean;
}

export const DEFAULT_BOOTSTRAP = '127.0.0.1:7401,127.0.0.1:7402,127.0.0.1:7403';

/** A leaf command with `--json`. */
export function command(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .addOption(new Option('--json', 'print JSON instead of text'));
}

/** A leaf command that talks to a cluster. */
export function clusterCommand(name: string, description: string): Command {
  return command(name, description)
    .option('--bootstrap <host:port,...>', `brokers to ask first (or MILLRACE_BOOTSTRAP)`)
    .addOption(
      new Option('--context <context>', 'ask this cluster (or MILLRACE_CONTEXT)').conflicts(
        'bootstrap',
      ),
    )
    .option('--timeout <ms>', 'longest to wait for the cluster', wholeNumber(1), 30_000);
}

/** Runs with a client, and closes it whatever happens. */
export async function withClient<T>(
  io: Io,
  options: ClusterOptions,
  run: (client: MillraceClient, out: Output) => Promise<T>,
): Promise<T> {
  const client = new MillraceClient({
    bootstrap: bootstrapOf(io, options),
    timeoutMs: options.timeout,
  });
  try {
    return await run(client, new Output(io, options.json === true));
  } finally {
    await client.close();
  }
}

/**
 * The brokers to ask first: what the command line says wins over the environment, and that over the
 * context in use (`millrace context use`). Throws UsageError on what is no address or no context.
 */
export function bootstrapOf(
  io: Pick<Io, 'env'>,
  options: { readonly bootstrap?: string; readonly context?: string },
): string {
  const text =
    options.bootstrap ?? (options.context === undefined ? env(io, 'BOOTSTRAP') : undefined);
  if (text !== undefined) return checkedBootstrap(text);
  const named = options.context ?? env(io, 'CONTEXT');
  const contexts = readContexts(io);
  const name = named ?? contexts.current;
  return checkedBootstrap(
    name === undefined ? DEFAULT_BOOTSTRAP : bootstrapOfContext(contexts, name),
  );
}

/** The same, if it names brokers; throws UsageError if not. */
export function checkedBootstrap(text: string): string {
  try {
    if (parseBootstrap(text).length > 0) return text;
  } catch (thrown) {
    throw new UsageError(BrokerError.from(thrown).message);
  }
  throw new UsageError('--bootstrap names no broker');
}

/** An empty variable says nothing. */
function env(io: Pick<Io, 'env'>, name: string): string | undefined {
  return io.env[`MILLRACE_${name}`] || undefined;
}

/** Of counts, ids and times: fits every 32-bit field of the API, and every timer of Node. */
export const COUNT_MAX = 0x7fff_ffff;
export const OFFSET_MAX = Number.MAX_SAFE_INTEGER;

/** A parser for whole numbers from `min` to `max`. */
export function wholeNumber(min: number, max = COUNT_MAX): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^-?\d+$/.test(text) && Number.isSafeInteger(value) && value >= min && value <= max) {
      return value;
    }
    const range = max === OFFSET_MAX ? `${min} or more` : `${min} to ${max}`;
    throw new InvalidArgumentError(`It must be a whole number, ${range}.`);
  };
}

export function numberList(min: number): (text: string) => number[] {
  const parse = wholeNumber(min);
  return (text) => text.split(',').map((part) => parse(part.trim()));
}

/** Collects `key=value` options into one object. */
export function keyValue(
  text: string,
  before: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('It must look like key=value.');
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

export function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}

/** ISO 8601, or milliseconds since 1970. */
export function timestamp(text: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : Date.parse(text);
  if (!Number.isSafeInteger(value)) {
    throw new InvalidArgumentError(
      'It must be a time such as 2024-05-01T12:00:00Z, or ms since 1970.',
    );
  }
  return value;
}
