import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { CommandError, UsageError, type Io } from './io.js';

/** Named clusters, and the one that is asked where a command names none. */
export interface Contexts {
  readonly current: string | undefined;
  /** Brokers to ask first, by name. */
  readonly bootstraps: ReadonlyMap<string, string>;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const NOTHING: Contexts = { current: undefined, bootstraps: new Map() };

/** Undefined: nowhere, as the user has no home. */
function contextsFile({ env }: Pick<Io, 'env'>): string | undefined {
  const named = env['MILLRACE_CONTEXTS'];
  if (named !== undefined && named !== '') return named;
  const home = env['HOME'] ?? env['USERPROFILE'];
  const config = env['XDG_CONFIG_HOME'] ?? (home && path.join(home, '.config'));
  return config ? path.join(config, 'millrace', 'contexts.json') : undefined;
}

/** None if there is no file. Throws CommandError, naming the file, if it cannot be read. */
export function readContexts(io: Pick<Io, 'env'>): Contexts {
  const file = contextsFile(io);
  if (file === undefined) return NOTHING;
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return NOTHING;
    throw new CommandError(`contexts: ${reasonOf(thrown)}`, { cause: thrown });
  }
  try {
    return parse(JSON.parse(text));
  } catch (thrown) {
    throw new CommandError(`contexts: ${file}: ${reasonOf(thrown)}`, { cause: thrown });
  }
}

/** The file is replaced as a whole. */
export function writeContexts(io: Pick<Io, 'env'>, { current, bootstraps }: Contexts): void {
  const file = contextsFile(io);
  if (file === undefined) {
    throw new CommandError('contexts: neither HOME nor MILLRACE_CONTEXTS says where to keep them');
  }
  const contexts = Object.fromEntries(
    [...bootstraps].map(([name, bootstrap]) => [name, { bootstrap }]),
  );
  const text = `${JSON.stringify({ current, contexts }, undefined, 2)}\n`;
  try {
    mkdirSync(path.dirname(file), { recursive: true });
    const draft = `${file}.${process.pid}`;
    writeFileSync(draft, text, { mode: 0o600 });
    renameSync(draft, file);
  } catch (thrown) {
    throw new CommandError(`contexts: ${reasonOf(thrown)}`, { cause: thrown });
  }
}

/** Throws UsageError, saying which there are. */
export function bootstrapOfContext({ bootstraps }: Contexts, name: string): string {
  const found = bootstraps.get(name);
  if (found !== undefined) return found;
  const known = [...bootstraps.keys()].join(', ') || 'none, see millrace context set';
  throw new UsageError(`there is no context ${JSON.stringify(name)}; there are: ${known}`);
}

export function checkContextName(name: string): void {
  if (NAME.test(name)) return;
  const text = JSON.stringify(name.slice(0, 80));
  throw new UsageError(`a context has 1 to 64 of A-Z a-z 0-9 . _ - as its name, not ${text}`);
}

function parse(content: unknown): Contexts {
  if (!isRecord(content)) throw new Error('holds no object');
  const { current, contexts = {} } = content;
  if (!isRecord(contexts)) throw new Error('contexts: is no object');
  const bootstraps = new Map<string, string>();
  for (const [name, context] of Object.entries(contexts)) {
    const bootstrap = isRecord(context) ? context['bootstrap'] : undefined;
    if (typeof bootstrap !== 'string') throw new Error(`contexts.${name}.bootstrap: is no text`);
    bootstraps.set(name, bootstrap);
  }
  if (current !== undefined && typeof current !== 'string') throw new Error('current: is no text');
  return { current, bootstraps };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const reasonOf = (thrown: unknown): string =>
  thrown instanceof Error ? thrown.message : String(thrown);
