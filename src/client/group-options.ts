import { BrokerError } from '../model/errors.js';
import { LIMITS } from '../model/limits.js';
import { checkArgument } from './check-argument.js';
import type { Assignor, CommitReport, Subscription } from './group-types.js';
import { readSettingsOf, type ReadOptions, type ReadSettings } from './read-options.js';
import type { Deserializers } from './record-coding.js';
import type { TopicPartition } from './types.js';

/** Which group to join, what to read, and how long to wait for whom. Times in ms. */
export interface GroupConsumerOptions<K = Uint8Array, V = Uint8Array>
  extends ReadOptions, Deserializers<K, V> {
  /** Members of one group share the partitions of what they subscribe to. */
  readonly group: string;
  readonly topics?: readonly string[] | undefined;
  /** All topics, also future ones, whose whole name matches; RE2's syntax. */
  readonly pattern?: string | undefined;
  /** Makes this a static member: a restart within the session timeout moves nothing. */
  readonly instanceId?: string | undefined;
  /** Where this member runs: it gets partitions with a replica there, as far as that can be. */
  readonly rack?: string | undefined;
  /** Shown to operators. */
  readonly clientId?: string | undefined;
  /** Default: what the group uses, else uniform. */
  readonly assignor?: Assignor | undefined;
  /** A member silent for this long loses its partitions. Default: 45,000. */
  readonly sessionTimeoutMs?: number | undefined;
  /** Longest time to give up a partition that goes to another member. Default: 60,000. */
  readonly rebalanceTimeoutMs?: number | undefined;
  /** Longest time from one read to the next. Default: 300,000. */
  readonly processingTimeoutMs?: number | undefined;
  /** Where to start a partition of which nothing is committed. Default: beginning. */
  readonly from?: 'beginning' | 'end' | undefined;
  /** Commit what was processed: in intervals, when a partition moves, on close. Default: true. */
  readonly autoCommit?: boolean | undefined;
  /** Default: 5,000. */
  readonly autoCommitIntervalMs?: number | undefined;
  /**
   * These partitions came; reading them starts when it is done, or after the rebalance timeout, with an
   * error at the next read. It may seek.
   */
  readonly onAssigned?: ((partitions: readonly TopicPartition[]) => unknown) | undefined;
  /**
   * These go to other members when it is done, or when what is left of the rebalance timeout is over;
   * it may still commit for them. Told only of partitions that `onAssigned` was told of.
   */
  readonly onRevoked?: ((partitions: readonly TopicPartition[]) => unknown) | undefined;
  /** These were taken away: commits for them are refused, others may read them already. */
  readonly onLost?:
    ((partitions: readonly TopicPartition[], error: BrokerError) => unknown) | undefined;
  /** Hears of every commit, also of those that failed. */
  readonly onCommit?: ((report: CommitReport) => unknown) | undefined;
}

/** The options with their defaults, checked. */
export interface GroupSettings extends ReadSettings {
  readonly subscription: Subscription;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly processingTimeoutMs: number;
  readonly isAutoCommitting: boolean;
  readonly autoCommitIntervalMs: number;
}

const TIMEOUT_MS_MIN = 1_000;
const TIMEOUT_MS_MAX = 3_600_000;

/** Throws INVALID_ARGUMENT, or INVALID_SUBSCRIPTION, and names the option. */
export function settingsOf(options: GroupConsumerOptions<unknown, unknown>): GroupSettings {
  const { topics = [], pattern = '', group } = options;
  checkArgument(
    group.length > 0 && group.length <= LIMITS.groupNameLengthMax,
    `group must have 1 to ${LIMITS.groupNameLengthMax} characters`,
  );
  if (topics.length === 0 && pattern === '') {
    throw new BrokerError('INVALID_SUBSCRIPTION', 'give topics or a pattern to subscribe to');
  }
  const settings: GroupSettings = {
    ...readSettingsOf(options),
    subscription: { topics: [...new Set(topics)], pattern },
    sessionTimeoutMs: options.sessionTimeoutMs ?? 45_000,
    rebalanceTimeoutMs: options.rebalanceTimeoutMs ?? 60_000,
    processingTimeoutMs: options.processingTimeoutMs ?? 300_000,
    isAutoCommitting: options.autoCommit ?? true,
    autoCommitIntervalMs: options.autoCommitIntervalMs ?? 5_000,
  };
  for (const name of ['sessionTimeoutMs', 'rebalanceTimeoutMs'] as const) {
    const value = settings[name];
    checkArgument(
      Number.isInteger(value) && value >= TIMEOUT_MS_MIN && value <= TIMEOUT_MS_MAX,
      `${name} must be a whole number, ${TIMEOUT_MS_MIN} to ${TIMEOUT_MS_MAX}`,
    );
  }
  for (const name of ['processingTimeoutMs', 'autoCommitIntervalMs'] as const) {
    checkArgument(settings[name] > 0, `${name} must be positive`);
  }
  return settings;
}
