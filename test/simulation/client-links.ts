import type { FetchRequest, BrokerServices, FetchPartition } from '../../src/broker/types.js';
import type { FetchedPartition as Served, ProduceResult } from '../../src/broker/types.js';
import type {
  ParticipateRequest,
  ParticipateResponse,
  Participation,
  TopicSlots,
} from '../../src/broker/group-types.js';
import type {
  FetchCall,
  FetchedPartition,
  FetchHandlers,
  FetchLink,
  MembershipHandlers,
  MembershipLink,
  ProduceAnswer,
  ProduceCall,
  ProduceHandlers,
  ProduceLink,
} from '../../src/client/connection.js';
import type {
  MemberRequest,
  MemberResponse,
  TopicPartitions,
} from '../../src/client/group-types.js';
import { BrokerError } from '../../src/model/errors.js';
import { topicId } from '../../src/model/ids.js';
import { StreamLane, type ClientNet } from './client-net.js';
import type { SimProcess } from './world.js';

interface Ends {
  readonly client: SimProcess;
  readonly broker: number;
}

/**
 * The life that all streams share: opened at one life of one broker, closed by either end, torn when
 * a process at one end dies or the client is cut off. Invariants: nothing is delivered after the end;
 * the client hears of the end once, and not of one that it asked for.
 */
export abstract class SimLink<Handlers extends { closed(error: BrokerError): void }> {
  protected readonly net: ClientNet;
  protected readonly handlers: Handlers;
  protected services: BrokerServices | undefined;
  protected isClosed = false;
  private readonly ends: Ends;
  private readonly up: StreamLane;
  private readonly down: StreamLane;
  private process: SimProcess | undefined;
  private isTorn = false;
  private isGone = false;

  constructor(net: ClientNet, ends: Ends, handlers: Handlers) {
    this.net = net;
    this.ends = ends;
    this.handlers = handlers;
    this.up = new StreamLane(net);
    this.down = new StreamLane(net);
    this.up.carry(undefined, () => this.connect());
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.toBroker(() => this.gone());
  }

  /** The client's process has died: the broker notices, as it would of a connection that is reset. */
  reset(): void {
    this.isClosed = true;
    this.up.carry(this.process, () => this.gone());
  }

  /** The broker has taken the stream. */
  protected abstract opened(services: BrokerServices): void;
  /** The broker's end of the stream is over. Called once, if it was opened. */
  protected abstract over(): void;

  protected toBroker(run: () => void): void {
    if (this.isLost()) return;
    this.up.carry(this.process, () => {
      if (!this.isGone) run();
    });
    if (this.net.breaks()) this.tear();
  }

  protected toClient(run: () => void): void {
    if (this.isLost()) return;
    this.down.carry(this.ends.client, () => {
      if (!this.isClosed) run();
    });
  }

  protected lose(error = new BrokerError('BROKER_UNAVAILABLE', 'the connection broke')): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.handlers.closed(error);
  }

  private connect(): void {
    if (this.isLost()) return;
    const { process, app } = this.net.broker(this.ends.broker);
    const services = app?.services;
    if (process === undefined || services === undefined) {
      this.toClient(() => this.lose());
      return;
    }
    this.process = process;
    this.net.whenGone(process, () => {
      this.isGone = true;
      this.toClient(() => this.lose());
    });
    process.hear(() => {
      if (this.isGone || this.isTorn) return;
      this.services = services;
      this.opened(services);
    });
  }

  private gone(): void {
    if (this.isGone) return;
    this.isGone = true;
    if (this.services !== undefined) this.over();
  }

  /** What was sent on a connection that is cut off is lost, and the connection with it. */
  private isLost(): boolean {
    if (this.isTorn) return true;
    const { client, broker } = this.ends;
    if (!this.net.isCut(client, broker)) return false;
    this.isTorn = true;
    this.net.whenMended(client, () => this.tear());
    return true;
  }

  /** Both ends hear that it broke. */
  private tear(): void {
    this.isTorn = true;
    this.down.carry(this.ends.client, () => this.lose());
    this.up.carry(this.process, () => this.gone());
  }
}

/** A produce stream to one life of one broker. */
export class SimProduceLink extends SimLink<ProduceHandlers> implements ProduceLink {
  send(call: ProduceCall): boolean {
    const copy = { ...call, batch: Uint8Array.from(call.batch) };
    this.toBroker(() => this.serve(copy));
    return true;
  }

  protected opened(): void {
    this.toClient(() => this.handlers.ready());
  }

  protected over(): void {
    // What was accepted goes on; nobody hears of its end.
  }

  private serve(call: ProduceCall): void {
    const { services } = this;
    if (services === undefined) return;
    const { topic, partition, acks, batch, timeoutMs } = call;
    const { expectedOffset, expectedKeyOffset } = call;
    const id = call.topicId === '' ? undefined : topicId(call.topicId);
    // The broker writes into the one that it is given.
    const asked = { ...call, batch: Uint8Array.from(batch) };
    const produced = this.net.watcher?.producing(services, asked);
    services.produce.produce(
      {
        ...{ topic, partition, topicId: id, acks, batch },
        ...{ expectedOffset, expectedKeyOffset, timeoutMs, allowForward: false },
      },
      (result) => {
        produced?.(result);
        this.toClient(() => this.handlers.answer(answerOf(call.correlationId, result)));
      },
    );
  }
}

function answerOf(correlationId: number, result: ProduceResult): ProduceAnswer {
  const none = {
    ...{ baseOffset: -1, appendTimeMs: -1, leaderEpoch: 0, brokerId: 0 },
    isDuplicate: false,
  };
  if (result.error !== undefined) return { correlationId, error: result.error, ...none };
  const { baseOffset, appendTimeMs, leaderEpoch, brokerId, isDuplicate } = result;
  const told = { baseOffset, appendTimeMs, leaderEpoch, brokerId, isDuplicate };
  return { correlationId, error: undefined, ...told };
}

/** Nothing more is read for a client that has not taken this much. */
const AHEAD_BYTES_MAX = 4_000;
const WAIT_MS_MIN = 100;

/** A fetch stream: reads on from where the last answer ended, as fast as the client takes it. */
export class SimFetchLink extends SimLink<FetchHandlers> implements FetchLink {
  private readonly call: FetchCall;
  private readonly ending = new AbortController();
  private isPaused = false;
  /** Came, and is not taken. */
  private readonly held: (() => void)[] = [];
  private aheadBytes = 0;
  private wake: (() => void) | undefined;

  constructor(net: ClientNet, ends: Ends, call: FetchCall, handlers: FetchHandlers) {
    super(net, ends, handlers);
    this.call = call;
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
    this.toClient(() => this.drain());
  }

  protected opened(services: BrokerServices): void {
    const partitions = this.call.partitions.map((p): FetchPartition => {
      return { ...p, topicId: p.topicId === '' ? undefined : topicId(p.topicId) };
    });
    const maxWaitMs = Math.max(WAIT_MS_MIN, this.call.maxWaitMs);
    const { maxBytes, allowFollower, maxStalenessMs } = this.call;
    const first = {
      ...{ partitions, minBytes: 1, maxBytes, maxWaitMs },
      maxStalenessMs: allowFollower === true ? maxStalenessMs : undefined,
    };
    this.serve(services, { ...first, linearizable: false, allowForward: false }).catch(
      (thrown: unknown) => this.toClient(() => this.lose(BrokerError.from(thrown))),
    );
  }

  protected over(): void {
    this.ending.abort();
    this.wake?.();
  }

  private async serve(services: BrokerServices, first: FetchRequest): Promise<void> {
    const { signal } = this.ending;
    // Read through a call: it changes while a fetch is awaited.
    const isOver = (): boolean => signal.aborted;
    let request = first;
    while (request.partitions.length > 0) {
      while (this.aheadBytes >= AHEAD_BYTES_MAX && !isOver()) {
        await new Promise<void>((resolve) => (this.wake = resolve));
      }
      if (isOver()) return;
      const { partitions } = await services.fetch.fetch(request, signal);
      if (isOver()) return;
      this.net.watcher?.fetched(request, partitions);
      this.write(partitions);
      request = { ...request, partitions: advance(request.partitions, partitions) };
    }
    const ended = new BrokerError('BROKER_UNAVAILABLE', 'the broker ended the stream');
    this.toClient(() => this.lose(ended));
  }

  private write(partitions: readonly Served[]): void {
    const answer = partitions.map(fetchedOf);
    const bytes = answer.reduce((sum, { batches }) => sum + batches.length, 0);
    this.aheadBytes += bytes;
    const take = (): void => {
      this.toBroker(() => {
        this.aheadBytes -= bytes;
        this.wake?.();
      });
      this.handlers.response(answer);
    };
    this.toClient(() => {
      this.held.push(take);
      this.drain();
    });
  }

  /** In the order in which it came, as long as the client takes it. */
  private drain(): void {
    while (!this.isPaused && !this.isClosed) {
      const take = this.held.shift();
      if (take === undefined) return;
      take();
    }
  }
}

function fetchedOf({ batches, ...rest }: Served): FetchedPartition {
  const bytes = new Uint8Array(batches.reduce((sum, batch) => sum + batch.length, 0));
  let at = 0;
  for (const batch of batches) {
    bytes.set(batch, at);
    at += batch.length;
  }
  return { ...rest, batches: bytes };
}

/** Partitions go on behind what was read; those that failed have ended. */
function advance(
  partitions: readonly FetchPartition[],
  answers: readonly Served[],
): readonly FetchPartition[] {
  return partitions.flatMap((asked) => {
    const answer = answers.find((a) => a.topic === asked.topic && a.partition === asked.partition);
    if (answer === undefined) return [asked];
    if (answer.error !== undefined) return [];
    const { nextOffset, leaderEpoch } = answer;
    const isChecked = asked.leaderEpoch > 0 && leaderEpoch > 0;
    return [{ ...asked, offset: nextOffset, ...(isChecked ? { leaderEpoch } : undefined) }];
  });
}

/** One membership's stream to one life of one broker. */
export class SimMembershipLink extends SimLink<MembershipHandlers> implements MembershipLink {
  private participation: Participation | undefined;

  send(request: MemberRequest): void {
    const asked = participateOf(request);
    this.toBroker(() => this.participation?.request(asked));
  }

  protected opened(services: BrokerServices): void {
    this.participation = services.groups.participate(
      {
        send: (response) => {
          this.toClient(() => this.handlers.response(memberResponseOf(response)));
          return true;
        },
        end: (error) => {
          const ended = new BrokerError('BROKER_UNAVAILABLE', 'the coordinator ended the stream');
          this.toClient(() => this.lose(error ?? ended));
        },
      },
      'sim',
    );
    this.toClient(() => this.handlers.ready());
  }

  protected over(): void {
    this.participation?.closed();
  }
}

function participateOf(request: MemberRequest): ParticipateRequest {
  switch (request.kind) {
    case 'join':
      return { ...request, owned: request.owned.map(slotsOf) };
    case 'heartbeat':
      return {
        ...request,
        owned: request.owned?.map(slotsOf),
        ...{ subscription: undefined, assignor: undefined, rack: undefined },
      };
    case 'leave':
      return request;
  }
}

function slotsOf({ topicId: id, ...rest }: TopicPartitions): TopicSlots {
  return { ...rest, topicId: id === '' ? undefined : topicId(id) };
}

function memberResponseOf({ assignment, ...rest }: ParticipateResponse): MemberResponse {
  if (assignment === undefined) return { ...rest, assignment };
  const partitions = assignment.partitions.map(namedOf);
  return {
    ...rest,
    assignment: { ...assignment, partitions, pending: assignment.pending.map(namedOf) },
  };
}

function namedOf({ topicId: id, ...rest }: TopicSlots): TopicPartitions {
  return { ...rest, topicId: id ?? '' };
}
