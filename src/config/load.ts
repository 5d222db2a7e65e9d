import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parse as parseYaml } from 'yaml';
import type { z } from 'zod';
import { CONFIG_KEYS, textKindOf } from './keys.js';
import { brokerConfigSchema, type BrokerConfig } from './schema.js';

/** What is wrong with the configuration, in one line that names every setting concerned. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

export interface ConfigSources {
  /** YAML or JSON. */
  readonly file?: string | undefined;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** By key; absent ones are undefined. */
  readonly flags?: Readonly<Record<string, string | undefined>>;
  /** What a program gives, by key, and how its user knows it ("in settings"). */
  readonly values?: {
    readonly byKey: Readonly<Record<string, unknown>>;
    readonly origin: string;
  };
}

const ENV_PREFIX = 'MILLRACE_';
/** Variables of the command line tool, which a broker may inherit. */
const FOREIGN_ENV = new Set([
  'MILLRACE_BOOTSTRAP',
  'MILLRACE_CONFIG',
  'MILLRACE_CONTEXT',
  'MILLRACE_CONTEXTS',
  'MILLRACE_LOCAL_DIR',
]);

/** A key as it stands in the environment: MILLRACE_CLIENT_PORT for clientPort. */
export function envName(key: string): string {
  return ENV_PREFIX + key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}

/**
 * A program's own values win over flags, which win over the environment, which wins over the file,
 * which wins over the defaults. The result is frozen. Throws ConfigError on unknown keys and bad values.
 */
export function loadConfig(sources: ConfigSources): BrokerConfig {
  const values: Record<string, unknown> = {};
  /** Where each value came from, as the user knows it. */
  const origins = new Map<string, string>();
  const take = (key: string, value: unknown, origin: string): void => {
    values[key] = value;
    origins.set(key, origin);
  };
  if (sources.file !== undefined) {
    for (const [key, value] of Object.entries(readFile(sources.file))) {
      take(key, value, `in ${sources.file}`);
    }
  }
  for (const [name, text] of Object.entries(sources.env ?? {})) {
    if (!name.startsWith(ENV_PREFIX) || FOREIGN_ENV.has(name) || text === undefined) continue;
    const key = CONFIG_KEYS.find((candidate) => envName(candidate) === name);
    if (key === undefined) throw new ConfigError(`${name}: unknown setting in the environment`);
    take(key, fromText(key, text, name), `from ${name}`);
  }
  for (const [key, text] of Object.entries(sources.flags ?? {})) {
    if (text === undefined) continue;
    if (textKindOf(key) === undefined) throw new ConfigError(`--${key}: unknown setting`);
    take(key, fromText(key, text, `--${key}`), `from --${key}`);
  }
  for (const [key, value] of Object.entries(sources.values?.byKey ?? {})) {
    if (value !== undefined) take(key, value, sources.values?.origin ?? '');
  }
  const parsed = brokerConfigSchema.safeParse(values);
  if (!parsed.success) throw new ConfigError(describe(parsed.error, origins));
  checkTogether(parsed.data);
  return deepFreeze(parsed.data);
}

function readFile(file: string): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new ConfigError(`config file ${file}: ${messageOf(cause)}`, { cause });
  }
  let content: unknown;
  try {
    content = path.extname(file) === '.json' ? JSON.parse(text) : parseYaml(text);
  } catch (cause) {
    const [line = ''] = messageOf(cause).split('\n');
    throw new ConfigError(`config file ${file}: ${line}`, { cause });
  }
  if (content === null || content === undefined) return {};
  if (typeof content !== 'object' || Array.isArray(content)) {
    throw new ConfigError(`config file ${file}: must hold settings by name`);
  }
  return content as Record<string, unknown>;
}

function fromText(key: string, text: string, origin: string): unknown {
  switch (textKindOf(key)) {
    case 'number':
      // What is no number stays text, for the schema to complain about.
      return /^-?[0-9]+$/.test(text) ? Number(text) : text;
    case 'boolean':
      return text === 'true' ? true : text === 'false' ? false : text;
    case 'list':
      return partsOf(text);
    case 'peers':
      return partsOf(text).map((part) => peerFromText(part, origin));
    default:
      return text;
  }
}

/** Between commas. */
function partsOf(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

/** `id@host:peerPort`. */
function peerFromText(text: string, origin: string): unknown {
  const [, id, bracketed, plain, peerPort] =
    /^([0-9]+)@(?:\[([^\]]+)\]|([^:]+)):([0-9]+)$/.exec(text) ?? [];
  if (id === undefined) {
    throw new ConfigError(`${origin}: "${text}" must look like 1@127.0.0.1:7501`);
  }
  return { id: Number(id), host: bracketed ?? plain, peerPort: Number(peerPort) };
}

function describe(error: z.ZodError, origins: ReadonlyMap<string, string>): string {
  const lines = error.issues.map((issue) => {
    if (issue.code === 'unrecognized_keys' && issue.path.length === 0) {
      const [key = ''] = issue.keys;
      const origin = origins.get(key);
      return `${issue.keys.join(', ')}: unknown setting ${origin ?? ''}`.trimEnd();
    }
    const [key = ''] = issue.path;
    const origin = origins.get(String(key));
    const name = issue.path.map(String).join('.');
    return origin === undefined
      ? `${name}: is required (or ${envName(String(key))})`
      : `${name}: ${issue.message} (${origin})`;
  });
  return lines.join('; ');
}

/** What one setting alone cannot say. */
function checkTogether(config: BrokerConfig): void {
  const { founders, brokerId } = config;
  if (founders.length > 0 && !founders.some(({ id }) => id === brokerId)) {
    throw new ConfigError(`founders: must include this broker (brokerId ${brokerId})`);
  }
  if (founders.length > 0 && config.seeds.length > 0) {
    throw new ConfigError('seeds: a broker either founds a cluster or joins one, not both');
  }
  if (config.raftElectionTicks <= 2 * config.raftHeartbeatTicks) {
    throw new ConfigError('raftElectionTicks: must be more than twice raftHeartbeatTicks');
  }
  if (config.brokerSessionMs < 2 * config.brokerHeartbeatMs) {
    throw new ConfigError('brokerSessionMs: must be at least twice brokerHeartbeatMs');
  }
  const { diskFreeMinBytes, diskFreeHandOverBytes = 0 } = config;
  if (diskFreeHandOverBytes > 0 && diskFreeHandOverBytes >= diskFreeMinBytes) {
    throw new ConfigError('diskFreeHandOverBytes: must be less than diskFreeMinBytes');
  }
  const ports = (['clientPort', 'peerPort', 'httpPort'] as const).filter(
    (key) => config[key] !== 0,
  );
  for (const [at, key] of ports.entries()) {
    const twin = ports.slice(0, at).find((other) => config[other] === config[key]);
    if (twin !== undefined) throw new ConfigError(`${key}: is the same port as ${twin}`);
  }
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(value).forEach(deepFreeze);
  return Object.freeze(value);
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
