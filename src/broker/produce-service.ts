import { BrokerError } from '../model/errors.js';
import type { BrokerId, RaftGroupId } from '../model/ids.js';
import { LIMITS } from '../model/limits.js';
import type { PeerCaller } from '../ports/transport.js';
import {
  decodeProduceRequest,
  decodeProduceResult,
  encodeProduceRequest,
  encodeProduceResult,
} from './forward-codec.js';
import { throttled } from './partition-appender.js';
import type { PartitionLocator } from './partition-locator.js';
import { PendingProduce, type ProduceContext } from './pending-produce.js';
import type { ProduceRequest, ProduceResult, ProduceService } from './types.js';

const FORWARD_METHOD = 'partition.produce';
/** The leader answers at the deadline; its answer needs time to come back. */
const FORWARD_GRACE_MS = 500;

type Done = (result: ProduceResult) => void;

/**
 * Produces of all partitions: finds the replica, keeps the broker's budget of bytes in flight, and
 * passes on to the leader what may be passed on.
 *
 * Invariants: `done` is called once per request; bytes in flight never exceed the budget; requests of
 * one partition reach its appender, or the broker they are passed on to, in the order they came.
 */
export class BrokerProduceService implements ProduceService {
  private readonly locator: PartitionLocator;
  private readonly peers: PeerCaller;
  private readonly context: ProduceContext;
  /** The last request of each partition that was passed on and is not answered. */
  private readonly forwards = new Map<RaftGroupId, Promise<void>>();
  private isStopped = false;

  constructor(locator: PartitionLocator, peers: PeerCaller, context: ProduceContext) {
    this.locator = locator;
    this.peers = peers;
    this.context = context;
    peers.handle(FORWARD_METHOD, (_from, body) => {
      const request = decodeProduceRequest(body);
      return new Promise((resolve) => {
        this.produce(request, (result) => resolve(encodeProduceResult(result)));
      });
    });
  }

  produce(request: ProduceRequest, done: Done): void {
    if (this.isStopped) {
      done({ error: new BrokerError('SHUTTING_DOWN', 'this broker is shutting down') });
      return;
    }
    const located = this.locator.locate(request);
    if (located.kind === 'unknown') {
      done({ error: located.error });
      return;
    }
    const bytes = request.batch.length;
    if (!this.context.budget.take(bytes)) {
      const max = LIMITS.produceInflightBytesMax;
      done({ error: throttled(`more than ${max} bytes of produces are in flight on this broker`) });
      return;
    }
    if (located.kind === 'elsewhere') {
      this.context.budget.release(bytes);
      this.redirected(request, located.groupId, located.error, done);
      return;
    }
    const { batch, acks } = request;
    const timeoutMs = Math.min(Math.max(1, request.timeoutMs), LIMITS.requestDeadlineMsMax);
    const { groupId } = located;
    const answer: Done = request.allowForward
      ? (result) => {
          if (result.error?.code !== 'NOT_LEADER') done(result);
          else this.redirected(request, groupId, result.error, done);
        }
      : done;
    located.replica.produce(new PendingProduce(this.context, { batch, acks, timeoutMs }, answer));
  }

  stop(): void {
    this.isStopped = true;
  }

  private redirected(
    request: ProduceRequest,
    groupId: RaftGroupId,
    error: BrokerError,
    done: Done,
  ): void {
    const leader = this.locator.otherLeader(groupId);
    if (!request.allowForward || leader === undefined || this.isStopped) {
      done({ error });
      return;
    }
    if (!this.context.budget.take(request.batch.length)) {
      done({ error: throttled('too many bytes of produces are in flight on this broker') });
      return;
    }
    // One at a time per partition: calls to a peer may overtake each other.
    const before = this.forwards.get(groupId) ?? Promise.resolve();
    const call = before
      .then(() => this.forward(leader, request))
      .then((result) => {
        this.context.budget.release(request.batch.length);
        if (this.forwards.get(groupId) === call) this.forwards.delete(groupId);
        done(result);
      });
    this.forwards.set(groupId, call);
  }

  /** Never rejects. */
  private async forward(leader: BrokerId, request: ProduceRequest): Promise<ProduceResult> {
    try {
      const body = await this.peers.call(leader, FORWARD_METHOD, encodeProduceRequest(request), {
        deadlineMs: request.timeoutMs + FORWARD_GRACE_MS,
      });
      return decodeProduceResult(body);
    } catch (thrown) {
      const error = BrokerError.from(thrown);
      // The connection may have broken after the leader had taken the batch.
      if (error.code !== 'BROKER_UNAVAILABLE' && error.code !== 'INTERNAL') return { error };
      const message = `broker ${leader}, which leads the partition, did not answer: ${error.message}`;
      return { error: new BrokerError('UNKNOWN_OUTCOME', message, {}, { cause: error }) };
    }
  }
}
