import { invariant } from '../base/assert.js';
import { LIMITS } from '../model/limits.js';

/** Raft's own settings, in ticks and bytes. Never mutated. */
export interface RaftConfig {
  /** A follower campaigns after [electionTicks, 2 * electionTicks) without a leader. */
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  /** After a hinted election was lost, try again after about this many ticks. */
  readonly hintedRetryTicks: number;
  readonly appendBytesMax: number;
  readonly inflightMax: number;
  readonly inflightBytesMax: number;
  readonly uncommittedBytesMax: number;
}

export const DEFAULT_RAFT_CONFIG: RaftConfig = {
  electionTicks: 20,
  heartbeatTicks: 2,
  hintedRetryTicks: 2,
  appendBytesMax: LIMITS.appendMessageBytesMax,
  inflightMax: LIMITS.inflightAppendsMax,
  inflightBytesMax: LIMITS.inflightAppendBytesMax,
  uncommittedBytesMax: LIMITS.uncommittedBytesMax,
};

export function checkRaftConfig(config: RaftConfig): void {
  invariant(config.heartbeatTicks >= 1, 'heartbeatTicks is at least 1', { ...config });
  invariant(
    config.electionTicks > 2 * config.heartbeatTicks,
    'an election outlasts two heartbeats',
    {
      ...config,
    },
  );
  invariant(config.hintedRetryTicks >= 1, 'hintedRetryTicks is at least 1', { ...config });
  invariant(config.inflightMax >= 1, 'inflightMax is at least 1', { ...config });
  invariant(config.appendBytesMax >= 1, 'appendBytesMax is at least 1', { ...config });
}
