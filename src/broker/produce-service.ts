import { BrokerError } from '../model/errors.js';
import type { RaftGroupId } from '../model/ids.js';
import { LIMITS } from '../model/limits.js';
import { decodeProduceRequest, encodeProduceResult } from './forward-codec.js';
import type { PartitionLocator } from './partition-locator.js';
import { PendingProduce, type ProduceContext } from './pending-produce.js';
import { FORWARD_METHOD, ProduceForwarder, type ForwarderDeps } from './produce-forwarder.js';
import { throttled } from './produce-refusals.js';
import type { ProduceRequest, ProduceResult, ProduceService } from './types.js';

type Done = (result: ProduceResult) => void;

interface Redirected {
  readonly request: ProduceRequest;
  readonly groupId: RaftGroupId;
  /** When its client gives up, in monotonic time. */
  readonly endMs: number;
}

/**
 * Produces of all partitions: finds the replica, keeps the broker's budget of bytes in flight, and
 * passes on to the leader what may be passed on.
 *
 * Invariants: `done` is called once per request; bytes in flight never exceed the budget; requests of
 * one partition reach its appender, or the broker they are passed on to, in the order they came.
 */
export class BrokerProduceService implements ProduceService {
  private readonly locator: PartitionLocator;
  private readonly context: ProduceContext;
  private readonly world: ForwarderDeps['world'];
  private readonly forwarder: ProduceForwarder;
  private isStopped = false;

  constructor(deps: ForwarderDeps) {
    this.locator = deps.locator;
    this.context = deps.context;
    this.world = deps.world;
    this.forwarder = new ProduceForwarder(deps);
    deps.peers.handle(FORWARD_METHOD, (_from, body) => {
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
    const timeoutMs = Math.min(Math.max(1, request.timeoutMs), LIMITS.requestDeadlineMsMax);
    const endMs = this.world.clock.monotonicMs() + timeoutMs;
    if (located.kind === 'elsewhere') {
      this.redirected({ request, groupId: located.groupId, endMs }, located.error, done);
      return;
    }
    if (!this.context.budget.take(request.batch.length)) {
      const max = LIMITS.produceInflightBytesMax;
      done({ error: throttled(`more than ${max} bytes of produces are in flight on this broker`) });
      return;
    }
    const { batch, acks, expectedOffset, expectedKeyOffset } = request;
    const { groupId } = located;
    const answer: Done = request.allowForward
      ? (result) => {
          if (result.error?.code !== 'NOT_LEADER') done(result);
          else this.redirected({ request, groupId, endMs }, result.error, done);
        }
      : done;
    const asked = { batch, acks, expectedOffset, expectedKeyOffset, timeoutMs };
    located.replica.produce(new PendingProduce(this.context, asked, answer));
  }

  stop(): void {
    this.isStopped = true;
  }

  private redirected(produce: Redirected, error: BrokerError, done: Done): void {
    const { request, groupId, endMs } = produce;
    const isKnown = this.locator.otherLeader(groupId) !== undefined;
    if (request.allowForward && isKnown && !this.isStopped) {
      this.forwarder.pass(request, groupId, endMs, done);
    } else {
      done({ error });
    }
  }
}
