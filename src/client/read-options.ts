import { LIMITS } from '../model/limits.js';
import { checkArgument } from './check-argument.js';
import type { NearestOptions } from './nearest-replicas.js';

/** What becomes of a reader whose offset is not there: it fails, or goes on at one of the ends. */
export type OutOfRangePolicy = 'error' | 'beginning' | 'end';
/** Whom a consumer reads from. */
export type ReadFrom = 'leader' | 'nearest';

/** What all consumers can be told. */
export interface ReadOptions {
  /** Read to the ends as they are when reading of a partition starts, then finish. */
  readonly stopAtEnd?: boolean | undefined;
  /** When the offset to read is not there any more. Default: error. */
  readonly onOutOfRange?: OutOfRangePolicy | undefined;
  /** Bytes fetched ahead. Default: 16 MiB. */
  readonly prefetchBytesMax?: number | undefined;
  /** Bytes of one partition in one response. Default: 1 MiB. */
  readonly partitionBytesMax?: number | undefined;
  /** Fail when a partition, or the group's coordinator, cannot be reached for this long. Default: wait for ever. */
  readonly unavailableTimeoutMs?: number | undefined;
  /** Of looking up offsets, commits, and joining a group. Default: 30,000. */
  readonly requestTimeoutMs?: number | undefined;
  /**
   * nearest: read from replicas in the same `rack`, where there are any that are not too far behind,
   * and else from leaders. Default: leader.
   */
  readonly readFrom?: ReadFrom | undefined;
  /** Where this consumer runs, as the brokers' `rack` is set. */
  readonly rack?: string | undefined;
  /** How far behind the nearest replica may be. Default: 5,000. */
  readonly maxStalenessMs?: number | undefined;
  /** Does what `close` does. */
  readonly signal?: AbortSignal | undefined;
}

/** The options with their defaults, checked. */
export interface ReadSettings {
  readonly onOutOfRange: OutOfRangePolicy;
  readonly prefetchBytesMax: number;
  readonly partitionBytesMax: number;
  readonly unavailableTimeoutMs: number | undefined;
  readonly requestTimeoutMs: number;
  /** Undefined: leaders alone are read from. */
  readonly nearest: NearestOptions | undefined;
}

const MIB = 1024 * 1024;

const STALENESS_MS_DEFAULT = 5_000;

function nearestOf({
  rack = '',
  maxStalenessMs = STALENESS_MS_DEFAULT,
}: ReadOptions): NearestOptions {
  const { fetchStalenessMsMin: min, fetchStalenessMsMax: max } = LIMITS;
  checkArgument(rack !== '', 'readFrom nearest needs a rack');
  const isRight =
    Number.isInteger(maxStalenessMs) && maxStalenessMs >= min && maxStalenessMs <= max;
  checkArgument(isRight, `maxStalenessMs must be a whole number, ${min} to ${max}`);
  return { rack, maxStalenessMs };
}

/** Throws INVALID_ARGUMENT, and names the option. */
export function readSettingsOf(options: ReadOptions): ReadSettings {
  const settings: ReadSettings = {
    onOutOfRange: options.onOutOfRange ?? 'error',
    prefetchBytesMax: options.prefetchBytesMax ?? 16 * MIB,
    partitionBytesMax: options.partitionBytesMax ?? MIB,
    unavailableTimeoutMs: options.unavailableTimeoutMs,
    requestTimeoutMs: options.requestTimeoutMs ?? 30_000,
    nearest: options.readFrom === 'nearest' ? nearestOf(options) : undefined,
  };
  const { partitionBytesMax } = settings;
  for (const name of ['prefetchBytesMax', 'requestTimeoutMs', 'unavailableTimeoutMs'] as const) {
    const value = settings[name];
    checkArgument(value === undefined || value > 0, `${name} must be positive`);
  }
  checkArgument(
    partitionBytesMax > 0 && partitionBytesMax <= LIMITS.fetchBytesMax,
    `partitionBytesMax must be 1 to ${LIMITS.fetchBytesMax}`,
  );
  return settings;
}
