import { BrokerError } from '../model/errors.js';
import type { BrokerId } from '../model/ids.js';
import { LIMITS } from '../model/limits.js';
import type { PeerCaller } from '../ports/transport.js';
import { decodeFetchResult, encodeFetchRequest } from './forward-codec.js';
import type { FetchedPartition, FetchRequest } from './types.js';

export const FORWARD_METHOD = 'partition.fetch';
const FORWARD_GRACE_MS = 5_000;
/** How long a poll lasts: also for how long one that nobody waits for any more stays behind. */
const POLL_MS = 1_000;

/**
 * Asks other brokers for what they lead, for fetches that name partitions of several leaders.
 *
 * Invariant: at most one poll is on its way for the same question to the same leader, and never more
 * than fetchForwardsMax of all; whoever asks the same again joins the one that is under way. A fetch
 * that is answered by one leader leaves its polls at the others behind, and comes back to them.
 */
export class FetchForwarder {
  private readonly peers: PeerCaller;
  private readonly polls = new Map<string, Promise<readonly FetchedPartition[]>>();

  constructor(peers: PeerCaller) {
    this.peers = peers;
  }

  /** What is there now. Never rejects: an error is every partition's. */
  ask(leader: BrokerId, request: FetchRequest): Promise<readonly FetchedPartition[]> {
    return this.forward(leader, { ...request, maxWaitMs: 0 });
  }

  /** Waits a while for what is asked for; its answer may have less. Never rejects. */
  poll(leader: BrokerId, request: FetchRequest): Promise<readonly FetchedPartition[]> {
    const asked = { ...request, maxWaitMs: POLL_MS };
    const key = JSON.stringify([leader, asked]);
    const before = this.polls.get(key);
    if (before !== undefined) return before;
    if (this.polls.size >= LIMITS.fetchForwardsMax) {
      const message = 'too many fetches wait for records of other brokers';
      const error = new BrokerError('THROTTLED', message, { retryAfterMs: 100 });
      return Promise.resolve(failed(request, error));
    }
    const poll = this.forward(leader, asked).finally(() => this.polls.delete(key));
    this.polls.set(key, poll);
    return poll;
  }

  private async forward(
    leader: BrokerId,
    request: FetchRequest,
  ): Promise<readonly FetchedPartition[]> {
    try {
      const body = await this.peers.call(leader, FORWARD_METHOD, encodeFetchRequest(request), {
        deadlineMs: request.maxWaitMs + FORWARD_GRACE_MS,
      });
      return decodeFetchResult(body).partitions;
    } catch (thrown) {
      return failed(request, BrokerError.from(thrown));
    }
  }
}

function failed(request: FetchRequest, error: BrokerError): readonly FetchedPartition[] {
  return request.partitions.map((p): FetchedPartition => ({
    topic: p.topic,
    partition: p.partition,
    error,
    batches: [],
    highWatermark: -1,
    logStartOffset: -1,
    leaderEpoch: 0,
    nextOffset: p.offset,
  }));
}
