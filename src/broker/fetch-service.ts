import { BrokerError } from '../model/errors.js';
import type { BrokerId } from '../model/ids.js';
import { LIMITS } from '../model/limits.js';
import type { PeerCaller } from '../ports/transport.js';
import { FetchOperation, type FetchBounds, type FetchSlot } from './fetch-operation.js';
import {
  decodeFetchRequest,
  decodeFetchResult,
  encodeFetchRequest,
  encodeFetchResult,
} from './forward-codec.js';
import type { PartitionLocator } from './partition-locator.js';
import type { Purgatory } from './purgatory.js';
import type {
  FetchedPartition,
  FetchPartition,
  FetchRequest,
  FetchResult,
  FetchService,
} from './types.js';

const FORWARD_METHOD = 'partition.fetch';
const FORWARD_GRACE_MS = 5_000;
/** A read barrier takes a round trip; without a quorum it fails after this. */
const BARRIER_DEADLINE_MS = 10_000;

/**
 * Fetches of all partitions: finds the replicas, confirms leadership where asked, reads or waits, and
 * passes on what another broker leads where that is allowed.
 */
export class BrokerFetchService implements FetchService {
  private readonly locator: PartitionLocator;
  private readonly peers: PeerCaller;
  private readonly purgatory: Purgatory;
  private rotation = 0;
  private isStopped = false;

  constructor(locator: PartitionLocator, peers: PeerCaller, purgatory: Purgatory) {
    this.locator = locator;
    this.peers = peers;
    this.purgatory = purgatory;
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
      maxBytes: Math.min(request.maxBytes, LIMITS.fetchBytesMax),
      maxWaitMs: Math.min(request.maxWaitMs, LIMITS.fetchWaitMsMax),
    };
    if (request.allowForward) {
      const remote = this.byLeader(bounded.partitions);
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
        ? { request: partition, replica: located.replica, error: undefined }
        : { request: partition, replica: undefined, error: located.error };
    });
    if (!request.linearizable) return this.run(slots, request, signal);
    return this.confirm(slots).then(() => this.run(slots, request, signal));
  }

  private run(
    slots: readonly FetchSlot[],
    request: FetchRequest,
    signal?: AbortSignal,
  ): Promise<FetchResult> {
    const { minBytes, maxBytes, maxWaitMs } = request;
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

  /** Partitions that other brokers lead, by leader. */
  private byLeader(partitions: readonly FetchPartition[]): Map<BrokerId, FetchPartition[]> {
    const remote = new Map<BrokerId, FetchPartition[]>();
    for (const partition of partitions) {
      const located = this.locator.locate(partition);
      if (located.kind === 'unknown') continue;
      if (located.kind === 'here' && located.replica.leaderTerm !== undefined) continue;
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
    const isRemote = new Set([...remote.values()].flat());
    const local = request.partitions.filter((partition) => !isRemote.has(partition));
    const ask = (maxWaitMs: number): Promise<readonly FetchedPartition[]>[] => {
      const asked = [...remote].map(([leader, partitions]) =>
        this.forward(leader, { ...request, partitions, maxWaitMs }),
      );
      if (local.length === 0) return asked;
      const here = this.fetchHere({ ...request, partitions: local, maxWaitMs }, signal);
      return [...asked, here.then((result) => result.partitions)];
    };
    if (remote.size + (local.length > 0 ? 1 : 0) === 1) {
      return this.join(request, (await Promise.all(ask(request.maxWaitMs))).flat());
    }
    const first = (await Promise.all(ask(0))).flat();
    let bytes = 0;
    for (const { batches } of first) for (const batch of batches) bytes += batch.length;
    const isDone = bytes >= request.minBytes || first.some((p) => p.error !== undefined);
    if (isDone || request.maxWaitMs <= 0) return this.join(request, first);
    const later = await Promise.race(ask(request.maxWaitMs));
    return this.join(request, [...later, ...first]);
  }

  /** In the order of the request; of several answers for one partition the first counts. */
  private join(request: FetchRequest, answers: readonly FetchedPartition[]): FetchResult {
    const partitions = request.partitions.flatMap((asked) => {
      const isAsked = (p: FetchedPartition): boolean =>
        p.topic === asked.topic && p.partition === asked.partition;
      return answers.find(isAsked) ?? [];
    });
    return { partitions, brokerId: this.locator.self };
  }

  /** Never rejects. */
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
      const error = BrokerError.from(thrown);
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
  }
}
