/**
 * Every error a client can see, one row each. Codes are forever; messages may improve.
 *
 * - `grpc`: canonical gRPC status number.
 * - `retriable`: the same request may succeed later, after a metadata refresh where that helps.
 * - `outcome`: for writes, `none` means definitely not appended; `unknown` means it may have been,
 *   may yet be, or never will.
 */
export const ERRORS = {
  INVALID_ARGUMENT: { grpc: 3, retriable: false, outcome: 'none' },
  UNKNOWN_TOPIC: { grpc: 5, retriable: true, outcome: 'none' },
  UNKNOWN_PARTITION: { grpc: 5, retriable: true, outcome: 'none' },
  TOPIC_EXISTS: { grpc: 6, retriable: false, outcome: 'none' },
  INVALID_TOPIC_NAME: { grpc: 3, retriable: false, outcome: 'none' },
  INVALID_PARTITIONS: { grpc: 3, retriable: false, outcome: 'none' },
  INVALID_REPLICATION_FACTOR: { grpc: 3, retriable: false, outcome: 'none' },
  /** No broker has memory for that many more replicas. */
  REPLICA_LIMIT: { grpc: 8, retriable: false, outcome: 'none' },
  INVALID_CONFIG: { grpc: 3, retriable: false, outcome: 'none' },
  /** A topic's settings are not those any more that a change of them was made for. */
  STALE_CONFIG_VERSION: { grpc: 10, retriable: false, outcome: 'none' },
  NOT_LEADER: { grpc: 9, retriable: true, outcome: 'none' },
  /** A replica that may be further behind than the reader puts up with; the leader is not. */
  STALE_REPLICA: { grpc: 9, retriable: true, outcome: 'none' },
  LEADER_UNKNOWN: { grpc: 14, retriable: true, outcome: 'none' },
  BROKER_UNAVAILABLE: { grpc: 14, retriable: true, outcome: 'none' },
  UNKNOWN_OUTCOME: { grpc: 14, retriable: true, outcome: 'unknown' },
  DEADLINE_EXCEEDED: { grpc: 4, retriable: true, outcome: 'unknown' },
  NO_QUORUM: { grpc: 14, retriable: true, outcome: 'unknown' },
  OFFSET_OUT_OF_RANGE: { grpc: 11, retriable: false, outcome: 'none' },
  /** The reader has read records that the log has lost since (durability unsafe-quorum-memory). */
  LOG_TRUNCATED: { grpc: 15, retriable: false, outcome: 'none' },
  BATCH_TOO_LARGE: { grpc: 3, retriable: false, outcome: 'none' },
  CORRUPT_BATCH: { grpc: 15, retriable: false, outcome: 'none' },
  INVALID_BATCH: { grpc: 3, retriable: false, outcome: 'none' },
  OUT_OF_ORDER_SEQUENCE: { grpc: 9, retriable: false, outcome: 'none' },
  /** The log does not end where a conditional produce expects it to. */
  EXPECTATION_FAILED: { grpc: 10, retriable: false, outcome: 'none' },
  /** More keys in a partition than can be compared by. */
  KEY_LIMIT: { grpc: 8, retriable: false, outcome: 'none' },
  UNKNOWN_PRODUCER: { grpc: 9, retriable: false, outcome: 'none' },
  PRODUCER_FENCED: { grpc: 10, retriable: false, outcome: 'none' },
  PRODUCER_LIMIT: { grpc: 8, retriable: true, outcome: 'none' },
  THROTTLED: { grpc: 8, retriable: true, outcome: 'none' },
  REPLICA_FENCED: { grpc: 14, retriable: true, outcome: 'unknown' },
  DATA_DAMAGED: { grpc: 15, retriable: true, outcome: 'none' },
  WRONG_CLUSTER: { grpc: 9, retriable: false, outcome: 'none' },
  BROKER_ID_TAKEN: { grpc: 6, retriable: false, outcome: 'none' },
  UNKNOWN_GROUP: { grpc: 5, retriable: false, outcome: 'none' },
  /** The group's members stand in the way of what was asked for. */
  GROUP_NOT_EMPTY: { grpc: 9, retriable: false, outcome: 'none' },
  /** The group, or the cluster, has as many members or groups as it may have. */
  GROUP_LIMIT: { grpc: 8, retriable: true, outcome: 'none' },
  /** Evicted or gone: the member lets go of everything and joins anew. */
  UNKNOWN_MEMBER: { grpc: 10, retriable: false, outcome: 'none' },
  /** The member claims an epoch, or partitions, that it was never given. */
  FENCED_MEMBER_EPOCH: { grpc: 10, retriable: false, outcome: 'none' },
  /** The partition is not the member's, or was not in the epoch of the commit. */
  STALE_MEMBER_EPOCH: { grpc: 10, retriable: false, outcome: 'none' },
  /** Another member with this instance id is connected. */
  UNRELEASED_INSTANCE_ID: { grpc: 10, retriable: false, outcome: 'none' },
  /** The application read nothing for too long, and the member gave its partitions up. */
  PROCESSING_TIMEOUT: { grpc: 10, retriable: true, outcome: 'none' },
  INVALID_SUBSCRIPTION: { grpc: 3, retriable: false, outcome: 'none' },
  UNKNOWN_ASSIGNOR: { grpc: 3, retriable: false, outcome: 'none' },
  /** A serde would not take what a record was to be made of. */
  SERIALIZATION_FAILED: { grpc: 3, retriable: false, outcome: 'none' },
  /** A serde can make nothing of what a record holds: facts name topic, partition, offset and field. */
  DESERIALIZATION_FAILED: { grpc: 15, retriable: false, outcome: 'none' },
  TRANSFER_FAILED: { grpc: 9, retriable: true, outcome: 'none' },
  UNSUPPORTED: { grpc: 12, retriable: false, outcome: 'none' },
  /** The caller's AbortSignal ended the waiting. */
  CANCELLED: { grpc: 1, retriable: false, outcome: 'unknown' },
  SHUTTING_DOWN: { grpc: 14, retriable: true, outcome: 'none' },
  INTERNAL: { grpc: 13, retriable: false, outcome: 'unknown' },
} as const satisfies Record<
  string,
  { readonly grpc: number; readonly retriable: boolean; readonly outcome: 'none' | 'unknown' }
>;

/** Every `code` of a BrokerError. */
export type ErrorCode = keyof typeof ERRORS;

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERRORS, text);
}

/** Where to go instead; carried by NOT_LEADER and STALE_REPLICA. */
export interface LeaderHint {
  readonly brokerId: number;
  readonly host: string;
  readonly port: number;
  readonly term: number;
}

/** What an error knows beside its code; more than is named here. */
export interface ErrorFacts {
  readonly leader?: LeaderHint | undefined;
  readonly retryAfterMs?: number | undefined;
  /** Where it is known better than the code's own row tells. */
  readonly outcome?: 'none' | 'unknown' | undefined;
  /** With OUT_OF_ORDER_SEQUENCE. */
  readonly expectedSequence?: number | undefined;
  /**
   * With EXPECTATION_FAILED: the offset that would have been right. With LOG_TRUNCATED: where what the
   * reader has read ceases to be what the log holds.
   */
  readonly logEndOffset?: number | undefined;
  /** With EXPECTATION_FAILED by key: the key's last offset; -1: it has none. */
  readonly keyOffset?: number | undefined;
  /** With OFFSET_OUT_OF_RANGE and LOG_TRUNCATED: what can be read. */
  readonly logStartOffset?: number | undefined;
  readonly highWatermark?: number | undefined;
  readonly [fact: string]: unknown;
}

/** An expected failure, with a stable code. Broken invariants are InvariantError instead. */
export class BrokerError extends Error {
  override readonly name = 'BrokerError';
  readonly code: ErrorCode;
  readonly facts: ErrorFacts;

  constructor(
    code: ErrorCode,
    message: string,
    facts: ErrorFacts = {},
    options?: { cause?: unknown },
  ) {
    super(message, options);
    this.code = code;
    this.facts = facts;
  }

  /** The same request may succeed later. */
  get retriable(): boolean {
    return ERRORS[this.code].retriable;
  }

  /** 'none': definitely not appended. 'unknown': it may have been. */
  get outcome(): 'none' | 'unknown' {
    return this.facts.outcome ?? ERRORS[this.code].outcome;
  }

  /** The same of what an earlier attempt may have done all the same. */
  inDoubt(): BrokerError {
    if (this.outcome === 'unknown') return this;
    const facts = { ...this.facts, outcome: 'unknown' as const };
    return new BrokerError(this.code, this.message, facts, { cause: this });
  }

  /** Total: whatever was thrown comes back as a BrokerError. */
  static from(thrown: unknown): BrokerError {
    if (thrown instanceof BrokerError) return thrown;
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return new BrokerError('INTERNAL', message, {}, { cause: thrown });
  }
}
