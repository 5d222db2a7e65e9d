import { connectivityState, type ServiceError } from '@grpc/grpc-js';
import { BrokerError } from '../model/errors.js';
import { connectBroker, formatAddress, type BrokerConnection } from '../rpc/channel.js';
import type { FetchResponse__Output } from '../rpc/gen/millrace/broker/v1/FetchResponse.js';
import type { ProduceResponse__Output } from '../rpc/gen/millrace/broker/v1/ProduceResponse.js';
import { ERROR_TRAILER, errorFromStatus } from '../rpc/status.js';
import type { ParticipateResponse__Output } from '../rpc/gen/millrace/broker/v1/ParticipateResponse.js';
import { CLUSTER_CALLS } from './cluster-codec.js';
import type {
  ClientTransport,
  FetchCall,
  FetchHandlers,
  FetchLink,
  FetchedPartition,
  MembershipHandlers,
  MembershipLink,
  ProduceAnswer,
  ProduceCall,
  ProduceHandlers,
  ProduceLink,
} from './connection.js';
import { memberRequestToWire, memberResponseOf } from './group-codec.js';
import type { MemberRequest } from './group-types.js';
import type { BrokerAddress, ClusterMethods } from './types.js';
import { maybeError, safe, type Cancellable, type UnaryRunner } from './wire.js';

/** A broker that cannot be connected to within this time counts as unreachable. */
const CONNECT_MS = 1_500;
/** The broker answers with its own deadline first; this only ends what would hang for ever. */
const DEADLINE_SLACK_MS = 250;

const ACKS = { quorum: 'ACKS_QUORUM', leader: 'ACKS_LEADER', none: 'ACKS_NONE' } as const;

/**
 * The client's half that speaks gRPC: one connection per broker, shared by its streams and calls.
 *
 * Invariant: nothing is sent on a connection before it is up, so that BROKER_UNAVAILABLE means that
 * the broker has not seen the request. A connection that fails is thrown away, and when to try again
 * is decided by the callers, not by gRPC.
 */
export class GrpcTransport implements ClientTransport {
  private readonly connections = new Map<string, BrokerConnection>();
  private readonly calls = new Set<Cancellable>();
  private isClosed = false;

  openProduce(to: BrokerAddress, handlers: ProduceHandlers): ProduceLink {
    return new GrpcProduceLink(this.connected(to), handlers);
  }

  openFetch(to: BrokerAddress, call: FetchCall, handlers: FetchHandlers): FetchLink {
    return new GrpcFetchLink(this.connected(to), call, handlers);
  }

  openMembership(to: BrokerAddress, handlers: MembershipHandlers): MembershipLink {
    return new GrpcMembershipLink(this.connected(to), handlers);
  }

  async call<Method extends keyof ClusterMethods>(
    to: BrokerAddress,
    method: Method,
    request: ClusterMethods[Method]['request'],
    options: { readonly deadlineMs: number },
  ): Promise<ClusterMethods[Method]['answer']> {
    const startMs = Date.now();
    const connection = await this.connected(to, options.deadlineMs);
    const leftMs = Math.max(1, options.deadlineMs - (Date.now() - startMs));
    const entry = CLUSTER_CALLS[method];
    const runner: UnaryRunner = {
      run: async (call) =>
        await new Promise((resolve, reject) => {
          const deadline = new Date(Date.now() + leftMs + DEADLINE_SLACK_MS);
          const handle = call(deadline, (error, answer) => {
            this.calls.delete(handle);
            if (error !== null) reject(failureOf(error, entry.isWrite, connection.address));
            else if (answer === undefined) reject(new BrokerError('INTERNAL', 'empty answer'));
            else resolve(answer);
          });
          this.calls.add(handle);
        }),
    };
    return await entry.call(connection, request, runner);
  }

  close(): void {
    this.isClosed = true;
    for (const call of this.calls) call.cancel();
    for (const connection of this.connections.values()) connection.close();
    this.connections.clear();
  }

  /** The broker's connection once it is up. Rejects with BROKER_UNAVAILABLE if it does not come up. */
  private async connected(to: BrokerAddress, withinMs = CONNECT_MS): Promise<BrokerConnection> {
    if (this.isClosed) throw new BrokerError('SHUTTING_DOWN', 'the client is closed');
    const address = formatAddress(to.host, to.port);
    let connection = this.connections.get(address);
    if (connection === undefined) {
      connection = connectBroker(address);
      this.connections.set(address, connection);
    }
    const deadline = Date.now() + Math.min(withinMs, CONNECT_MS);
    const channel = connection.cluster.getChannel();
    for (;;) {
      const state = channel.getConnectivityState(true);
      if (state === connectivityState.READY) return connection;
      const isLost =
        state === connectivityState.TRANSIENT_FAILURE || state === connectivityState.SHUTDOWN;
      const isLate = !isLost && !(await changed(channel, state, deadline));
      if (isLost || isLate) {
        if (this.connections.get(address) === connection) this.connections.delete(address);
        connection.close();
        throw new BrokerError('BROKER_UNAVAILABLE', `no broker answers at ${address}`);
      }
    }
  }
}

type Channel = ReturnType<BrokerConnection['cluster']['getChannel']>;

/** True once the channel left `state`, false at the deadline. */
async function changed(
  channel: Channel,
  state: connectivityState,
  deadline: number,
): Promise<boolean> {
  return await new Promise((resolve) => {
    channel.watchConnectivityState(state, deadline, (error?: Error) =>
      resolve(error === undefined),
    );
  });
}

function failureOf(error: Error, isWrite: boolean, address?: string): BrokerError {
  if (error instanceof BrokerError) return error;
  const failure = errorFromStatus(error as ServiceError, { isWrite });
  const isBare = (error as ServiceError).metadata.get(ERROR_TRAILER).length === 0;
  if (!isBare || address === undefined || failure.code !== 'DEADLINE_EXCEEDED') return failure;
  // gRPC's own text is of no use to anybody.
  return new BrokerError(failure.code, `no answer from ${address} in time`, {}, { cause: error });
}

type ProduceStream = ReturnType<BrokerConnection['records']['produceStream']>;

/** See {@link ProduceLink}. Once closed, by either side, it calls no handler any more. */
class GrpcProduceLink implements ProduceLink {
  private readonly handlers: ProduceHandlers;
  private stream: ProduceStream | undefined;
  private isClosed = false;

  constructor(connected: Promise<BrokerConnection>, handlers: ProduceHandlers) {
    this.handlers = handlers;
    connected.then(
      (connection) => this.open(connection),
      (thrown: unknown) => this.fell(BrokerError.from(thrown)),
    );
  }

  send(call: ProduceCall): boolean {
    if (this.stream === undefined) return false;
    return this.stream.write({
      correlationId: call.correlationId,
      topic: call.topic,
      partition: call.partition,
      topicId: call.topicId,
      acks: ACKS[call.acks],
      batch: call.batch,
      timeoutMs: call.timeoutMs,
    });
  }

  close(): void {
    this.isClosed = true;
    this.stream?.cancel();
  }

  private open(connection: BrokerConnection): void {
    if (this.isClosed) return;
    const stream = connection.records.produceStream();
    this.stream = stream;
    stream.on('data', (wire: ProduceResponse__Output) => {
      if (!this.isClosed) this.handlers.answer(produceAnswerOf(wire));
    });
    stream.on('drain', () => {
      if (!this.isClosed) this.handlers.drained();
    });
    stream.on('error', (error: Error) => this.fell(failureOf(error, true)));
    stream.on('end', () => {
      this.fell(new BrokerError('UNKNOWN_OUTCOME', 'the broker ended the stream'));
    });
    this.handlers.ready();
  }

  private fell(error: BrokerError): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.stream?.cancel();
    this.handlers.closed(error);
  }
}

type FetchStream = ReturnType<BrokerConnection['records']['fetchStream']>;

/** See {@link FetchLink}. Once closed, by either side, it calls no handler any more. */
class GrpcFetchLink implements FetchLink {
  private readonly handlers: FetchHandlers;
  private stream: FetchStream | undefined;
  private isPaused = false;
  private isClosed = false;

  constructor(connected: Promise<BrokerConnection>, call: FetchCall, handlers: FetchHandlers) {
    this.handlers = handlers;
    connected.then(
      (connection) => this.open(connection, call),
      (thrown: unknown) => this.fell(BrokerError.from(thrown)),
    );
  }

  pause(): void {
    this.isPaused = true;
    this.stream?.pause();
  }

  resume(): void {
    this.isPaused = false;
    this.stream?.resume();
  }

  close(): void {
    this.isClosed = true;
    this.stream?.cancel();
  }

  private open(connection: BrokerConnection, call: FetchCall): void {
    if (this.isClosed) return;
    const stream = connection.records.fetchStream({
      partitions: call.partitions.map((p) => ({ ...p })),
      maxBytes: call.maxBytes,
      maxWaitMs: call.maxWaitMs,
    });
    this.stream = stream;
    stream.on('data', (wire: FetchResponse__Output) => this.received(wire));
    if (this.isPaused) stream.pause();
    stream.on('error', (error: Error) => this.fell(failureOf(error, false)));
    stream.on('end', () => {
      this.fell(new BrokerError('BROKER_UNAVAILABLE', 'the broker ended the stream'));
    });
  }

  private received(wire: FetchResponse__Output): void {
    if (this.isClosed) return;
    try {
      this.handlers.response(wire.partitions.map(fetchedOf));
    } catch (thrown) {
      this.fell(BrokerError.from(thrown));
    }
  }

  private fell(error: BrokerError): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.stream?.cancel();
    this.handlers.closed(error);
  }
}

type MembershipStream = ReturnType<BrokerConnection['groups']['participate']>;

/** See {@link MembershipLink}. Once closed, by either side, it calls no handler any more. */
class GrpcMembershipLink implements MembershipLink {
  private readonly handlers: MembershipHandlers;
  private stream: MembershipStream | undefined;
  private isClosed = false;

  constructor(connected: Promise<BrokerConnection>, handlers: MembershipHandlers) {
    this.handlers = handlers;
    connected.then(
      (connection) => this.open(connection),
      (thrown: unknown) => this.fell(BrokerError.from(thrown)),
    );
  }

  send(request: MemberRequest): void {
    this.stream?.write(memberRequestToWire(request));
  }

  close(): void {
    this.isClosed = true;
    this.stream?.cancel();
  }

  private open(connection: BrokerConnection): void {
    if (this.isClosed) return;
    const stream = connection.groups.participate();
    this.stream = stream;
    stream.on('data', (wire: ParticipateResponse__Output) => this.received(wire));
    stream.on('error', (error: Error) => this.fell(failureOf(error, false)));
    stream.on('end', () => {
      this.fell(new BrokerError('BROKER_UNAVAILABLE', 'the coordinator ended the stream'));
    });
    this.handlers.ready();
  }

  private received(wire: ParticipateResponse__Output): void {
    if (this.isClosed) return;
    try {
      this.handlers.response(memberResponseOf(wire));
    } catch (thrown) {
      this.fell(BrokerError.from(thrown));
    }
  }

  private fell(error: BrokerError): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.stream?.cancel();
    this.handlers.closed(error);
  }
}

function produceAnswerOf(wire: ProduceResponse__Output): ProduceAnswer {
  return {
    correlationId: wire.correlationId,
    error: maybeError(wire.error),
    baseOffset: wire.baseOffset,
    appendTimeMs: wire.appendTimeMs,
    leaderEpoch: wire.leaderEpoch,
    brokerId: wire.brokerId,
    isDuplicate: wire.duplicate,
  };
}

function fetchedOf(wire: FetchResponse__Output['partitions'][number]): FetchedPartition {
  return {
    topic: wire.topic,
    partition: wire.partition,
    error: maybeError(wire.error),
    batches: wire.batches,
    highWatermark: safe(wire.highWatermark),
    logStartOffset: safe(wire.logStartOffset),
    leaderEpoch: wire.leaderEpoch,
    nextOffset: safe(wire.nextOffset),
  };
}
