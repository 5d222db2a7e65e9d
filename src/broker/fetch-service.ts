import { BrokerError } from '../model/errors.js';
import type { BrokerId } from '../model/ids.js';
import { LIMITS } from '../model/limits.js';
import type { PeerCaller } from '../ports/transport.js';
import type { World } from '../ports/world.js';
import { FetchForwarder, FORWARD_METHOD } from './fetch-forwarder.js';
import {
  FetchOperation,
  type AsFollower,
  type FetchBounds,
  type FetchSlot,
} from './fetch-operation.js';
import { decodeFetchRequest, encodeFetchResult } from './forward-codec.js';
import type { FollowerReads } from './follower-reads.js';
import type { PartitionLocator } from './partition-locator.js';
import type { PartitionReplica } from './partition-replica.js';
import type { Purgatory } from './purgatory.js';
import type {
  FetchedPartition,
  FetchPartition,
  FetchRequest,
  FetchResult,
  FetchService,
} from './types.js';

/** A read barrier takes a round trip; without a quorum it fails after this. */
const BARRIER_DEADLINE_MS = 10_000;

/** Of the staleness that is allowed: a fetch from a follower waits no longer before it is judged anew. */
const FOLLOWER_WAIT_SHARE = 0.25;

export interface FetchServiceDeps {
  readonly locator: PartitionLocator;
  readonly followers: FollowerReads;
  readonly peers: PeerCaller;
  readonly purgatory: Purgatory;
  readonly world: Pick<World, 'clock' | 'timers'>;
}

/**
 * Fetches of all partitions: finds the replicas, confirms leadership where asked, reads or waits, and
 * passes on what another broker leads where that is allowed.
 */
export class BrokerFetchService implements FetchService {
  private readonly locator: PartitionLocator;
  private readonly followers: FollowerReads;
  private readonly forwarder: FetchForwarder;
  private readonly purgatory: Purgatory;
  private readonly world: Pick<World, 'clock' | 'timers'>;
  private rotation = 0;
  private isStopped = false;

  constructor(deps: FetchServiceDeps) {
    const { peers } = deps;
    this.locator = deps.locator;
    this.followers = deps.followers;
    this.forwarder = new FetchForwarder(peers);
    this.purgatory = deps.purgatory;
    this.world = deps.world;
    peers.handle(FORWARD_METHOD, async (_from, body) =>
      encodeFetchResult(await this.fetch(decodeFetchRequest(body))),
    );
  }

  fetch(request: FetchRequest, signal?: AbortSignal): Promise<FetchResult> {
    if (this.isStopped) {
      return Promise.reject(new BrokerError('SHUTTING_DOWN', 'this broker is shutting down'));
    }
    const bounded: FetchRequest = {
      ...request,
      maxStalenessMs: request.linearizable ? undefined : request.maxStalenessMs,
      maxBytes: Math.min(request.maxBytes, LIMITS.fetchBytesMax),
      maxWaitMs: Math.min(request.maxWaitMs, LIMITS.fetchWaitMsMax),
    };
    if (request.allowForward) {
      const remote = this.byLeader(bounded);
      if (remote.size > 0) return this.fetchAcross(bounded, remote, signal);
    }
    return this.fetchHere(bounded, signal);
  }

  stop(): void {
    this.isStopped = true;
    this.purgatory.endAll(new BrokerError('SHUTTING_DOWN', 'this broker is shutting down'));
  }

  private fetchHere(request: FetchRequest, signal?: AbortSignal): Promise<FetchResult> {
    const slots = request.partitions.map((partition): FetchSlot => {
      const located = this.locator.locate(partition);
      return located.kind === 'here'
        ? {
            ...{ request: partition, replica: located.replica, error: undefined },
            follower: this.asFollower(located.replica, partition, request.maxStalenessMs),
          }
        : { request: partition, replica: undefined, error: located.error };
    });
    if (!request.linearizable) return this.run(slots, request, signal);
    return this.confirm(slots).then(() => this.run(slots, request, signal));
  }

  private asFollower(
    replica: PartitionReplica,
    { offset: at, leaderEpoch }: FetchPartition,
    maxStalenessMs: number | undefined,
  ): AsFollower | undefined {
    if (maxStalenessMs === undefined) return undefined;
    const { followers } = this;
    return {
      judge: () => followers.judge(replica, { at, leaderEpoch, maxStalenessMs }),
      refusal: () => followers.refusal(replica),
    };
  }

  private run(
    slots: readonly FetchSlot[],
    request: FetchRequest,
    signal?: AbortSignal,
  ): Promise<FetchResult> {
    const { minBytes, maxBytes, maxStalenessMs = Infinity } = request;
    const isFollowing = slots.some((s) => s.follower && s.replica?.leaderTerm === undefined);
    const longestMs = isFollowing ? Math.ceil(maxStalenessMs * FOLLOWER_WAIT_SHARE) : Infinity;
    const maxWaitMs = Math.min(request.maxWaitMs, longestMs);
    this.rotation = (this.rotation + 1) % 0x1_0000;
    const firstSlot = slots.length === 0 ? 0 : this.rotation % slots.length;
    const bounds: FetchBounds = { minBytes, maxBytes, maxWaitMs, firstSlot };
    const { purgatory } = this;
    return new Promise((resolve, reject) => {
      const cancel = (): void =>
        operation.cancel(new BrokerError('DEADLINE_EXCEEDED', 'the fetch was cancelled'));
      // A stream's signal outlives its fetches by days: none may stay behind on it.
      const ending =
        <T>(settle: (value: T) => void) =>
        (value: T): void => {
          signal?.removeEventListener('abort', cancel);
          settle(value);
        };
      const operation = new FetchOperation(
        { self: this.locator.self, slots, bounds, purgatory },
        ending(resolve),
        ending(reject),
      );
      signal?.addEventListener('abort', cancel, { once: true });
      operation.attempt();
    });
  }

  /** Confirms with a quorum that this broker still leads what it is asked for (thesis §6.4). */
  private async confirm(slots: readonly FetchSlot[]): Promise<void> {
    await Promise.all(
      slots.map(async (slot) => {
        const group = slot.replica?.group;
        if (group === undefined || slot.error !== undefined) return;
        try {
          await group.readBarrier(BARRIER_DEADLINE_MS);
        } catch (thrown) {
          const error = BrokerError.from(thrown);
          slot.error = error.code === 'NOT_LEADER' ? (slot.replica?.redirect() ?? error) : error;
        }
      }),
    );
  }

  /** Partitions that other brokers have to answer for, by leader. */
  private byLeader(request: FetchRequest): Map<BrokerId, FetchPartition[]> {
    const { partitions, maxStalenessMs } = request;
    const remote = new Map<BrokerId, FetchPartition[]>();
    for (const partition of partitions) {
      const located = this.locator.locate(partition);
      if (located.kind === 'unknown') continue;
      if (located.kind === 'here') {
        const { replica } = located;
        if (replica.leaderTerm !== undefined) continue;
        const mayFollow = maxStalenessMs !== undefined;
        if (mayFollow && this.followers.isCurrent(replica, maxStalenessMs)) continue;
      }
      const leader = this.locator.otherLeader(located.groupId);
      if (leader === undefined) continue;
      const those = remote.get(leader);
      if (those === undefined) remote.set(leader, [partition]);
      else those.push(partition);
    }
    return remote;
  }

  /** First asks everyone without waiting; if that is not enough, waits for whoever has more first. */
  private async fetchAcross(
    request: FetchRequest,
    remote: ReadonlyMap<BrokerId, readonly FetchPartition[]>,
    signal?: AbortSignal,
  ): Promise<FetchResult> {
    const { clock } = this.world;
    const endMs = clock.monotonicMs() + request.maxWaitMs;
    const isRemote = new Set([...remote.values()].flat());
    const local = request.partitions.filter((partition) => !isRemote.has(partition));
    const parties = remote.size + (local.length > 0 ? 1 : 0);
    const maxBytes = Math.max(1, Math.floor(request.maxBytes / parties));
    const parts: Parts = { request: { ...request, maxBytes }, remote, local };
    const found = new Answers();
    found.add((await Promise.all(this.askAll(parts, signal))).flat());
    for (;;) {
      const leftMs = endMs - clock.monotonicMs();
      if (found.isEnough(request.minBytes) || leftMs <= 0) break;
      found.add(await this.pollAll(parts, leftMs, signal));
      if (this.isStopped) throw new BrokerError('SHUTTING_DOWN', 'this broker is shutting down');
    }
    this.rotation = (this.rotation + 1) % 0x1_0000;
    const partitions = found.join(request, this.rotation);
    return { partitions, brokerId: this.locator.self };
  }

  private askAll(parts: Parts, signal?: AbortSignal): Promise<readonly FetchedPartition[]>[] {
    const { request, remote, local } = parts;
    const asked = [...remote].map(([leader, partitions]) =>
      this.forwarder.ask(leader, { ...request, partitions }),
    );
    if (local.length === 0) return asked;
    const here = this.fetchHere({ ...request, partitions: local, maxWaitMs: 0 }, signal);
    return [...asked, here.then((result) => result.partitions)];
  }

  /** The first to have something; nothing once the time is over. Rejects when the caller has gone. */
  private async pollAll(
    parts: Parts,
    waitMs: number,
    signal?: AbortSignal,
  ): Promise<readonly FetchedPartition[]> {
    const { request, remote, local } = parts;
    const isOver = new AbortController();
    const end = (): void => isOver.abort();
    signal?.addEventListener('abort', end, { once: true });
    if (signal?.aborted === true) end();
    const cancelTimer = this.world.timers.after(waitMs, end);
    const over = new Promise<readonly FetchedPartition[]>((resolve) => {
      if (isOver.signal.aborted) resolve([]);
      isOver.signal.addEventListener('abort', () => resolve([]), { once: true });
    });
    const polls = [...remote].map(([leader, partitions]) =>
      this.forwarder.poll(leader, { ...request, partitions }),
    );
    if (local.length > 0) {
      const here = { ...request, partitions: local, maxWaitMs: Math.ceil(waitMs) };
      polls.push(this.fetchHere(here, isOver.signal).then((result) => result.partitions));
    }
    try {
      const first = await Promise.race([over, ...polls]);
      if (signal?.aborted === true) {
        throw new BrokerError('DEADLINE_EXCEEDED', 'the fetch was cancelled');
      }
      return first;
    } finally {
      signal?.removeEventListener('abort', end);
      cancelTimer();
      // What waits here ends; polls at other brokers are there for the next fetch.
      end();
    }
  }
}

/** A fetch of partitions that several brokers lead; maxBytes is the share of each. */
interface Parts {
  readonly request: FetchRequest;
  readonly remote: ReadonlyMap<BrokerId, readonly FetchPartition[]>;
  readonly local: readonly FetchPartition[];
}

/** The latest answer for each partition; nothing that was found is lost to an answer without it. */
class Answers {
  private readonly answers = new Map<string, FetchedPartition>();

  add(answers: readonly FetchedPartition[]): void {
    for (const answer of answers) {
      const before = this.answers.get(keyOf(answer));
      const isLess = answer.error === undefined && sizeOf(answer) === 0;
      if (before !== undefined && isLess && sizeOf(before) > 0) continue;
      // A poll that was under way before may know less than what was confirmed for this fetch.
      const known = before?.error === undefined ? (before?.highWatermark ?? -1) : -1;
      const isBehind = answer.error === undefined && answer.highWatermark < known;
      this.answers.set(keyOf(answer), isBehind ? { ...answer, highWatermark: known } : answer);
    }
  }

  isEnough(minBytes: number): boolean {
    let bytes = 0;
    for (const answer of this.answers.values()) {
      if (answer.error !== undefined) return true;
      bytes += sizeOf(answer);
    }
    return bytes >= minBytes;
  }

  /**
   * In the order of the request. Everyone gives at least one batch, however large: together they may
   * be more than a message holds, so that what exceeds the budget is left for the next fetch.
   */
  join(request: FetchRequest, firstAt: number): readonly FetchedPartition[] {
    const { partitions } = request;
    const joined: (FetchedPartition | undefined)[] = [];
    let bytes = 0;
    for (let i = 0; i < partitions.length; i += 1) {
      const at = (i + firstAt) % partitions.length;
      const asked = partitions[at];
      const answer = asked && this.answers.get(keyOf(asked));
      if (asked === undefined || answer === undefined) continue;
      const size = sizeOf(answer);
      const isTooMuch = size > 0 && bytes > 0 && bytes + size > request.maxBytes;
      joined[at] = isTooMuch ? { ...answer, batches: [], nextOffset: asked.offset } : answer;
      if (!isTooMuch) bytes += size;
    }
    return joined.filter((answer) => answer !== undefined);
  }
}

function keyOf(partition: { readonly topic: string; readonly partition: number }): string {
  return `${partition.partition} ${partition.topic}`;
}

function sizeOf(answer: FetchedPartition): number {
  return answer.batches.reduce((bytes, batch) => bytes + batch.length, 0);
}
