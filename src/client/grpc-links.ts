import { BrokerError } from '../model/errors.js';
import type { BrokerConnection } from '../rpc/channel.js';
import type { FetchResponse__Output } from '../rpc/gen/millrace/broker/v1/FetchResponse.js';
import type { ParticipateResponse__Output } from '../rpc/gen/millrace/broker/v1/ParticipateResponse.js';
import type { ProduceResponse__Output } from '../rpc/gen/millrace/broker/v1/ProduceResponse.js';
import { openBatchStream, type BatchStream } from '../rpc/produce-stream.js';
import type {
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
import type { MemberRequest, MemberResponse } from './group-types.js';
import { failureOf } from './grpc-failure.js';
import { maybeError, safe } from './wire.js';

const ACKS = { quorum: 'ACKS_QUORUM', leader: 'ACKS_LEADER', none: 'ACKS_NONE' } as const;

type Streams = BrokerConnection['records'] & BrokerConnection['groups'];
type ProduceStream = BatchStream;
type FetchStream = ReturnType<Streams['fetchStream']>;
type MembershipStream = ReturnType<Streams['participate']>;

interface AnyStream<Wire> {
  on(event: 'data', listener: (wire: Wire) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'end', listener: () => void): unknown;
  cancel(): void;
}

/**
 * The life that all streams share: opened once the connection is up, closed by either side, and then
 * over. Invariants: nothing is taken once it is closed; its handlers hear of the end at most once, and
 * not of one that was asked for.
 */
abstract class GrpcLink<
  Stream extends AnyStream<Wire>,
  Wire,
  Message,
  Handlers extends { closed(error: BrokerError): void },
> {
  protected readonly handlers: Handlers;
  protected stream: Stream | undefined;
  protected isClosed = false;

  /** What the end of a stream without a status means: was anything under way that may be done? */
  protected abstract readonly endMeans: BrokerError;
  protected abstract readonly isWrite: boolean;
  protected abstract begin(connection: BrokerConnection): Stream;
  /** The stream is open and its events are listened to. */
  protected abstract opened(stream: Stream): void;
  /** Throws on what does not make sense: the link falls then. */
  protected abstract decode(wire: Wire): Message;
  protected abstract take(message: Message): void;

  constructor(connected: Promise<BrokerConnection>, handlers: Handlers) {
    this.handlers = handlers;
    connected.then(
      (connection) => this.open(connection),
      (thrown: unknown) => this.fell(BrokerError.from(thrown)),
    );
  }

  close(): void {
    this.isClosed = true;
    this.stream?.cancel();
  }

  private open(connection: BrokerConnection): void {
    if (this.isClosed) return;
    const stream = this.begin(connection);
    this.stream = stream;
    stream.on('data', (wire) => this.received(wire));
    stream.on('error', (error) => this.fell(failureOf(error, this.isWrite)));
    stream.on('end', () => this.fell(this.endMeans));
    this.opened(stream);
  }

  private received(wire: Wire): void {
    if (this.isClosed) return;
    let message: Message;
    try {
      message = this.decode(wire);
    } catch (thrown) {
      this.fell(BrokerError.from(thrown));
      return;
    }
    this.take(message);
  }

  private fell(error: BrokerError): void {
    if (this.isClosed) return;
    this.close();
    this.handlers.closed(error);
  }
}

/** See {@link ProduceLink}. */
export class GrpcProduceLink
  extends GrpcLink<ProduceStream, ProduceResponse__Output, ProduceAnswer, ProduceHandlers>
  implements ProduceLink
{
  protected readonly isWrite = true;

  send(call: ProduceCall): boolean {
    const { expectedOffset, expectedKeyOffset, acks, ...same } = call;
    const condition = {
      ...(expectedOffset === undefined ? undefined : { expectedOffset }),
      ...(expectedKeyOffset === undefined ? undefined : { expectedKeyOffset }),
    };
    return this.stream?.write({ ...same, ...condition, acks: ACKS[acks] }) ?? false;
  }

  protected get endMeans(): BrokerError {
    return new BrokerError('UNKNOWN_OUTCOME', 'the broker ended the stream');
  }

  protected begin({ records }: BrokerConnection): ProduceStream {
    return openBatchStream(records);
  }

  protected opened(stream: ProduceStream): void {
    stream.on('drain', () => {
      if (!this.isClosed) this.handlers.drained();
    });
    this.handlers.ready();
  }

  protected decode(wire: ProduceResponse__Output): ProduceAnswer {
    return produceAnswerOf(wire);
  }

  protected take(message: ProduceAnswer): void {
    this.handlers.answer(message);
  }
}

/** See {@link FetchLink}. */
export class GrpcFetchLink
  extends GrpcLink<FetchStream, FetchResponse__Output, readonly FetchedPartition[], FetchHandlers>
  implements FetchLink
{
  protected readonly isWrite = false;
  private readonly call: FetchCall;
  private isPaused = false;

  constructor(connected: Promise<BrokerConnection>, call: FetchCall, handlers: FetchHandlers) {
    super(connected, handlers);
    this.call = call;
  }

  pause(): void {
    this.isPaused = true;
    this.stream?.pause();
  }

  resume(): void {
    this.isPaused = false;
    this.stream?.resume();
  }

  protected get endMeans(): BrokerError {
    return new BrokerError('BROKER_UNAVAILABLE', 'the broker ended the stream');
  }

  protected begin({ records }: BrokerConnection): FetchStream {
    const { partitions, ...bounds } = this.call;
    return records.fetchStream({ partitions: [...partitions], ...bounds });
  }

  protected opened(stream: FetchStream): void {
    if (this.isPaused) stream.pause();
  }

  protected decode(wire: FetchResponse__Output): readonly FetchedPartition[] {
    return wire.partitions.map(fetchedOf);
  }

  protected take(message: readonly FetchedPartition[]): void {
    this.handlers.response(message);
  }
}

/** See {@link MembershipLink}. */
export class GrpcMembershipLink
  extends GrpcLink<
    MembershipStream,
    ParticipateResponse__Output,
    MemberResponse,
    MembershipHandlers
  >
  implements MembershipLink
{
  protected readonly isWrite = false;

  send(request: MemberRequest): void {
    this.stream?.write(memberRequestToWire(request));
  }

  protected get endMeans(): BrokerError {
    return new BrokerError('BROKER_UNAVAILABLE', 'the coordinator ended the stream');
  }

  protected begin({ groups }: BrokerConnection): MembershipStream {
    return groups.participate();
  }

  protected opened(): void {
    this.handlers.ready();
  }

  protected decode(wire: ParticipateResponse__Output): MemberResponse {
    return memberResponseOf(wire);
  }

  protected take(message: MemberResponse): void {
    this.handlers.response(message);
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
