import { DURABILITY_KINDS, FSYNC, type Durability } from '../model/durability.js';
import { LIMITS } from '../model/limits.js';

/** What a topic's partitions are run with: its own settings over the defaults. */
export interface TopicSettings {
  /** Records older than this may go; -1 keeps them for ever. */
  readonly retentionMs: number;
  /** A partition's oldest records may go while it holds more than this; -1: no limit. */
  readonly retentionBytes: number;
  /** A partition's oldest records may go while it holds more than this many; -1: no limit. */
  readonly retentionRecords: number;
  /** Retention applies; else nothing is ever deleted for its age or for room. */
  readonly deletes: boolean;
  /** Undefined: the log is not compacted. */
  readonly compaction: CompactionSettings | undefined;
  readonly maxBatchBytes: number;
  /** When an entry counts as held by a replica; see durabilityPromise in model/durability.ts. */
  readonly durability: Durability;
  /** Produces may expect the last offset of a key. */
  readonly comparesByKey: boolean;
  /** Whose clock the records' timestamps are from: the producer's or the leader's. */
  readonly timestampType: 'create' | 'append';
}

/** When the log of a compacted topic is compacted. */
export interface CompactionSettings {
  /** Records younger than this are left alone. */
  readonly minLagMs: number;
  /** Records older than this are compacted whatever the dirty ratio says; -1: they can wait. */
  readonly maxLagMs: number;
  /** Share of the log that has to be written since it was compacted last: 0 to 1. */
  readonly minDirtyRatio: number;
  /** Tombstones are kept at least so long. */
  readonly deleteRetentionMs: number;
}

/** Keys as users write them, with the values they set, in the canonical spelling. */
export type TopicConfig = ReadonlyMap<string, string>;

export type ConfigParse =
  { readonly ok: true; readonly value: string } | { readonly ok: false; readonly problem: string };

interface ConfigKey {
  readonly fallback: string;
  parse(text: string): ConfigParse;
}

const integerBetween = (first: number, last: number, unit: string): ConfigKey['parse'] => {
  return (text) => {
    const value = /^-?[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (Number.isSafeInteger(value) && value >= first && value <= last) {
      return { ok: true, value: String(value) };
    }
    return { ok: false, problem: `must be a whole number of ${unit} from ${first} to ${last}` };
  };
};

const orUnlimited = (parse: ConfigKey['parse']): ConfigKey['parse'] => {
  return (text) => {
    if (text === '-1') return { ok: true, value: '-1' };
    const parsed = parse(text);
    return parsed.ok ? parsed : { ok: false, problem: `${parsed.problem}, or -1 for no limit` };
  };
};

const oneOf = (...values: readonly string[]): ConfigKey['parse'] => {
  return (text) =>
    values.includes(text)
      ? { ok: true, value: text }
      : { ok: false, problem: `must be one of ${values.join(', ')}` };
};

const RATIO = /^(?:0(?:\.[0-9]{1,4})?|1(?:\.0{1,4})?)$/;

const ratio: ConfigKey['parse'] = (text) =>
  RATIO.test(text)
    ? { ok: true, value: String(Number(text)) }
    : { ok: false, problem: 'must be a number from 0 to 1 with at most four decimals' };

const CLEANUP_POLICIES = new Set(['compact', 'compact,delete', 'delete']);

/** Either way round, with or without spaces: the canonical one is ascending. */
const cleanupPolicy: ConfigKey['parse'] = (text) => {
  const names = text.split(',').map((name) => name.trim());
  const value = [...names].sort((a, b) => (a < b ? -1 : 1)).join(',');
  return CLEANUP_POLICIES.has(value)
    ? { ok: true, value }
    : { ok: false, problem: 'must be delete, compact, or compact,delete' };
};

/** How much of an unsafe topic may wait for the disk, per replica. */
const FLUSH_MS = { first: 10, fallback: 200, last: 10_000 } as const;
const FLUSH_BYTES = {
  first: 64 * 1024,
  fallback: 8 * 1024 * 1024,
  last: 256 * 1024 * 1024,
} as const;

const DAY_MS = 24 * 3_600_000;
const RETENTION_MS_DEFAULT = 7 * 24 * 3_600_000;

const KEYS: ReadonlyMap<string, ConfigKey> = new Map<string, ConfigKey>([
  ['cleanup.policy', { fallback: 'delete', parse: cleanupPolicy }],
  ['compare.by.key', { fallback: 'false', parse: oneOf('false', 'true') }],
  [
    'delete.retention.ms',
    {
      fallback: String(DAY_MS),
      parse: integerBetween(0, Number.MAX_SAFE_INTEGER, 'milliseconds'),
    },
  ],
  ['durability', { fallback: 'fsync', parse: oneOf(...DURABILITY_KINDS) }],
  [
    'max.batch.bytes',
    {
      fallback: String(LIMITS.batchBytesDefault),
      parse: integerBetween(1_024, LIMITS.batchBytesMax, 'bytes'),
    },
  ],
  [
    'max.compaction.lag.ms',
    {
      fallback: '-1',
      parse: orUnlimited(integerBetween(1, Number.MAX_SAFE_INTEGER, 'milliseconds')),
    },
  ],
  ['min.cleanable.dirty.ratio', { fallback: '0.5', parse: ratio }],
  [
    'min.compaction.lag.ms',
    {
      fallback: '0',
      parse: integerBetween(0, Number.MAX_SAFE_INTEGER, 'milliseconds'),
    },
  ],
  [
    'retention.bytes',
    {
      fallback: '-1',
      parse: orUnlimited(integerBetween(1, Number.MAX_SAFE_INTEGER, 'bytes')),
    },
  ],
  [
    'retention.ms',
    {
      fallback: String(RETENTION_MS_DEFAULT),
      parse: orUnlimited(integerBetween(1, Number.MAX_SAFE_INTEGER, 'milliseconds')),
    },
  ],
  [
    'retention.records',
    {
      fallback: '-1',
      parse: orUnlimited(integerBetween(1, Number.MAX_SAFE_INTEGER, 'records')),
    },
  ],
  ['timestamp.type', { fallback: 'create', parse: oneOf('create', 'append') }],
  [
    'unsafe.flush.bytes',
    {
      fallback: String(FLUSH_BYTES.fallback),
      parse: integerBetween(FLUSH_BYTES.first, FLUSH_BYTES.last, 'bytes'),
    },
  ],
  [
    'unsafe.flush.ms',
    {
      fallback: String(FLUSH_MS.fallback),
      parse: integerBetween(FLUSH_MS.first, FLUSH_MS.last, 'milliseconds'),
    },
  ],
]);

/** Every key a topic may set, ascending. */
export const TOPIC_CONFIG_KEYS: readonly string[] = [...KEYS.keys()];

export function unknownKeyProblem(key: string): string {
  return `unknown topic setting ${JSON.stringify(key)}; known are ${TOPIC_CONFIG_KEYS.join(', ')}`;
}

/** The canonical value of a key, or what is wrong with it, naming the key. */
export function parseTopicConfig(key: string, text: string): ConfigParse {
  const known = KEYS.get(key);
  if (known === undefined) return { ok: false, problem: unknownKeyProblem(key) };
  const parsed = known.parse(text);
  if (parsed.ok) return parsed;
  return { ok: false, problem: `${key} ${parsed.problem}; got ${JSON.stringify(text)}` };
}

/** Every key with its value in force: what was set, else the default. */
export function effectiveTopicConfig(config: TopicConfig): ReadonlyMap<string, string> {
  return new Map([...KEYS].map(([key, { fallback }]) => [key, config.get(key) ?? fallback]));
}

/** Total: values in a TopicConfig were checked before they got there. */
export function topicSettings(config: TopicConfig): TopicSettings {
  const effective = effectiveTopicConfig(config);
  const text = (key: string): string => effective.get(key) ?? '';
  return {
    retentionMs: Number(text('retention.ms')),
    retentionBytes: Number(text('retention.bytes')),
    retentionRecords: Number(text('retention.records')),
    deletes: text('cleanup.policy') !== 'compact',
    compaction: text('cleanup.policy').startsWith('compact')
      ? {
          minLagMs: Number(text('min.compaction.lag.ms')),
          maxLagMs: Number(text('max.compaction.lag.ms')),
          minDirtyRatio: Number(text('min.cleanable.dirty.ratio')),
          deleteRetentionMs: Number(text('delete.retention.ms')),
        }
      : undefined,
    comparesByKey: text('compare.by.key') === 'true',
    maxBatchBytes: Number(text('max.batch.bytes')),
    durability:
      text('durability') === 'unsafe-quorum-memory'
        ? {
            kind: 'unsafe-quorum-memory',
            flushMs: Number(text('unsafe.flush.ms')),
            flushBytes: Number(text('unsafe.flush.bytes')),
          }
        : FSYNC,
    timestampType: text('timestamp.type') === 'append' ? 'append' : 'create',
  };
}
