import type { BrokerError } from '../model/errors.js';
import type { MemberRequest, MemberResponse } from './group-types.js';
import type { Acks, BrokerAddress, ClusterMethods } from './types.js';

/** One record batch on its way to a partition's leader. */
export interface ProduceCall {
  readonly correlationId: number;
  readonly topic: string;
  readonly partition: number;
  readonly topicId: string;
  readonly acks: Acks;
  readonly batch: Uint8Array;
  /** Append it only if its first record gets this offset. */
  readonly expectedOffset?: number | undefined;
  /** Append it only if its key's last offset is this one; -1: none. */
  readonly expectedKeyOffset?: number | undefined;
  readonly timeoutMs: number;
}

export interface ProduceAnswer {
  readonly correlationId: number;
  readonly error: BrokerError | undefined;
  readonly baseOffset: number;
  readonly appendTimeMs: number;
  readonly leaderEpoch: number;
  readonly brokerId: number;
  readonly isDuplicate: boolean;
}

export interface ProduceHandlers {
  /** Connected: what is sent from now on may reach the broker. Called once, before any answer. */
  ready(): void;
  answer(answer: ProduceAnswer): void;
  /** The link took all it was given: more may be sent. */
  drained(): void;
  /** The link is gone; what was sent and not answered has an unknown outcome. Called at most once. */
  closed(error: BrokerError): void;
}

/** A produce stream to one broker. Handlers are never called inside `openProduce` or `send`. */
export interface ProduceLink {
  /** Only after `ready`. The batch's bytes must not change any more. False: wait for `drained`. */
  send(call: ProduceCall): boolean;
  /** Breaks the stream; no handler is called any more. */
  close(): void;
}

export interface FetchPosition {
  readonly topic: string;
  readonly partition: number;
  readonly topicId: string;
  readonly offset: number;
  readonly maxBytes: number;
  /** Epoch of the leader last read from; 0: not checked. */
  readonly leaderEpoch: number;
}

export interface FetchCall {
  readonly partitions: readonly FetchPosition[];
  readonly maxBytes: number;
  readonly maxWaitMs: number;
  /** Replicas that do not lead may answer, if they are no further behind than maxStalenessMs. */
  readonly allowFollower?: boolean;
  readonly maxStalenessMs?: number;
}

export interface FetchedPartition {
  readonly topic: string;
  readonly partition: number;
  readonly error: BrokerError | undefined;
  readonly batches: Uint8Array;
  readonly highWatermark: number;
  readonly logStartOffset: number;
  readonly leaderEpoch: number;
  readonly nextOffset: number;
}

export interface FetchHandlers {
  response(partitions: readonly FetchedPartition[]): void;
  /** The stream ended. Called at most once. */
  closed(error: BrokerError): void;
}

/** A fetch stream from one broker. While paused, the broker is held back by flow control. */
export interface FetchLink {
  pause(): void;
  resume(): void;
  /** Ends the stream; no handler is called any more. */
  close(): void;
}

export interface MembershipHandlers {
  /** Connected: the join may be sent. Called once, before any response. */
  ready(): void;
  response(response: MemberResponse): void;
  /** The stream ended. Called at most once. */
  closed(error: BrokerError): void;
}

/** A membership's stream to one broker. Handlers are never called inside `openMembership` or `send`. */
export interface MembershipLink {
  /** Only after `ready`. */
  send(request: MemberRequest): void;
  /** Breaks the stream; no handler is called any more. */
  close(): void;
}

/**
 * What the client's logic knows of the network. Production has gRPC behind it (grpc-transport.ts),
 * tests and the simulator a double.
 */
export interface ClientTransport {
  /** Once a batch is answered, nothing of its bytes is read any more. */
  readonly copiesBatches?: boolean;
  openProduce(to: BrokerAddress, handlers: ProduceHandlers): ProduceLink;
  openFetch(to: BrokerAddress, call: FetchCall, handlers: FetchHandlers): FetchLink;
  openMembership(to: BrokerAddress, handlers: MembershipHandlers): MembershipLink;
  /** Rejects with BrokerError; BROKER_UNAVAILABLE if it was never sent. */
  call<Method extends keyof ClusterMethods>(
    to: BrokerAddress,
    method: Method,
    request: ClusterMethods[Method]['request'],
    options: {
      readonly deadlineMs: number;
      /** Aborted: nobody waits for the answer any more. */
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<ClusterMethods[Method]['answer']>;
  /** Idempotent. */
  close(): void;
}

export function addressKey(address: BrokerAddress): string {
  return `${address.host}:${address.port}`;
}

export function partitionKey(topic: string, partition: number): string {
  return `${topic}/${partition}`;
}
