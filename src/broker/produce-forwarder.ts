import { BrokerError } from '../model/errors.js';
import type { BrokerId, RaftGroupId } from '../model/ids.js';
import { LIMITS } from '../model/limits.js';
import type { PeerCaller } from '../ports/transport.js';
import type { World } from '../ports/world.js';
import { Timeout } from './deadlines.js';
import { decodeProduceResult, encodeProduceRequest } from './forward-codec.js';
import type { PartitionLocator } from './partition-locator.js';
import { answerSafely, type ProduceContext } from './pending-produce.js';
import { throttled } from './produce-refusals.js';
import type { ProduceRequest, ProduceResult } from './types.js';

export const FORWARD_METHOD = 'partition.produce';
/** The leader answers at the deadline; its answer needs time to come back. */
const FORWARD_GRACE_MS = 500;

type Done = (result: ProduceResult) => void;

export interface ForwarderDeps {
  readonly locator: PartitionLocator;
  readonly peers: PeerCaller;
  readonly context: ProduceContext;
  readonly world: Pick<World, 'clock'>;
}

/**
 * One produce that another broker is to take. Invariants: `done` is called once; the budget gets its
 * bytes back with the answer; the deadline ends it only until it is sent, the leader does from then on.
 */
class Forward extends Timeout {
  request: ProduceRequest | undefined;
  private readonly context: ProduceContext;
  private readonly bytes: number;
  private readonly done: Done;

  constructor(context: ProduceContext, request: ProduceRequest, done: Done) {
    super();
    this.context = context;
    this.request = request;
    this.bytes = request.batch.length;
    this.done = done;
  }

  override timedOut(): void {
    const message = 'the deadline passed before the batch could be passed on to the leader';
    this.answer({ error: new BrokerError('DEADLINE_EXCEEDED', message, { outcome: 'none' }) });
  }

  /** Its turn has come; undefined: it was answered before. */
  take(): ProduceRequest | undefined {
    this.context.deadlines.cancel(this);
    return this.request;
  }

  answer(result: ProduceResult): void {
    if (this.request === undefined) return;
    this.request = undefined;
    this.context.deadlines.cancel(this);
    this.context.budget.release(this.bytes);
    answerSafely(this.context, this.done, result);
  }
}

/**
 * Passes produces on to the brokers that lead their partitions.
 *
 * Invariant: of one partition one request at a time is on its way, in the order they came, since
 * calls to a peer may overtake each other. Each has the time that its client gave it, counted from its
 * arrival, and goes to the leader as known when its turn comes.
 */
export class ProduceForwarder {
  private readonly deps: ForwarderDeps;
  /** What waits behind the one that is on its way; a partition without one has no queue. */
  private readonly queues = new Map<RaftGroupId, { readonly forward: Forward; endMs: number }[]>();

  constructor(deps: ForwarderDeps) {
    this.deps = deps;
  }

  /** `endMs`, in monotonic time, is when the client gives up. */
  pass(request: ProduceRequest, groupId: RaftGroupId, endMs: number, done: Done): void {
    const { context, world } = this.deps;
    if (!context.budget.take(request.batch.length)) {
      const max = LIMITS.produceInflightBytesMax;
      done({ error: throttled(`more than ${max} bytes of produces are in flight on this broker`) });
      return;
    }
    const forward = new Forward(context, request, done);
    context.deadlines.add(forward, Math.max(0, endMs - world.clock.monotonicMs()));
    const queue = this.queues.get(groupId);
    if (queue !== undefined) {
      queue.push({ forward, endMs });
      return;
    }
    this.queues.set(groupId, [{ forward, endMs }]);
    this.drain(groupId).catch((error: unknown) => {
      context.log.error({ err: error, groupId }, 'produces could not be passed on');
    });
  }

  private async drain(groupId: RaftGroupId): Promise<void> {
    const queue = this.queues.get(groupId) ?? [];
    try {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const request = next.forward.take();
        if (request === undefined) continue;
        next.forward.answer(await this.sendSafely(request, groupId, next.endMs));
      }
    } finally {
      // Whatever went wrong, the next produce must not queue behind nobody.
      this.queues.delete(groupId);
      for (const { forward } of queue) forward.answer({ error: this.notPassedOn() });
    }
  }

  /** Never rejects: what goes wrong with one produce is no matter of those behind it. */
  private async sendSafely(
    request: ProduceRequest,
    groupId: RaftGroupId,
    endMs: number,
  ): Promise<ProduceResult> {
    try {
      return await this.send(request, groupId, endMs);
    } catch (error) {
      this.deps.context.log.error({ err: error, groupId }, 'a produce could not be passed on');
      return { error: this.notPassedOn() };
    }
  }

  private notPassedOn(): BrokerError {
    const message = 'the batch could not be passed on to the leader';
    return new BrokerError('INTERNAL', message, { outcome: 'none' });
  }

  /** Rejects only before anything was sent. */
  private async send(
    request: ProduceRequest,
    groupId: RaftGroupId,
    endMs: number,
  ): Promise<ProduceResult> {
    const { locator, world, peers } = this.deps;
    const timeoutMs = Math.ceil(endMs - world.clock.monotonicMs());
    if (timeoutMs <= 0) {
      const message = 'the deadline passed before the batch could be passed on to the leader';
      return { error: new BrokerError('DEADLINE_EXCEEDED', message, { outcome: 'none' }) };
    }
    const leader = locator.otherLeader(groupId);
    if (leader === undefined) return { error: this.noLeader(request) };
    try {
      const body = encodeProduceRequest({ ...request, timeoutMs });
      const answer = await peers.call(leader, FORWARD_METHOD, body, {
        deadlineMs: timeoutMs + FORWARD_GRACE_MS,
      });
      return decodeProduceResult(answer);
    } catch (thrown) {
      return { error: failureOf(leader, BrokerError.from(thrown)) };
    }
  }

  private noLeader(request: ProduceRequest): BrokerError {
    const located = this.deps.locator.locate(request);
    return located.kind === 'here' ? located.replica.redirect() : located.error;
  }
}

function failureOf(leader: BrokerId, error: BrokerError): BrokerError {
  // The connection may have broken after the leader had taken the batch.
  if (error.code !== 'BROKER_UNAVAILABLE' && error.code !== 'INTERNAL') return error;
  const message = `broker ${leader}, which leads the partition, did not answer: ${error.message}`;
  return new BrokerError('UNKNOWN_OUTCOME', message, {}, { cause: error });
}
