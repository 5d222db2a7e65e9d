import { BrokerError } from '../model/errors.js';
import type { BrokerId, Offset, RaftGroupId, Term } from '../model/ids.js';
import type { PeerCaller } from '../ports/transport.js';
import type { World } from '../ports/world.js';
import type { OffsetFound, PartitionFacts } from './admin-types.js';
import { PARTITION_OPS, type GroupOffsetQuery, type WatermarkQuery } from './partition-ops.js';
import { PartitionRouter } from './partition-router.js';
import { callPeer, handlePeer } from './peer-op.js';
import { pickTransferTarget } from './transfer-target.js';
import type { LeaderTable, PartitionHost } from './types.js';

export interface Transferred {
  readonly leader: BrokerId;
  readonly leaderEpoch: Term;
}

export interface PartitionServiceDeps {
  readonly self: BrokerId;
  readonly world: World;
  readonly peers: PeerCaller;
  readonly leaders: LeaderTable;
  readonly host: PartitionHost;
}

/**
 * Questions to partitions, by Raft group, wherever they are led; and the answers of those led here.
 * The methods named `…Here` throw NOT_LEADER (per group) if this broker does not lead.
 */
export class PartitionService {
  readonly #deps: PartitionServiceDeps;
  readonly #router: PartitionRouter;

  constructor(deps: PartitionServiceDeps) {
    this.#deps = deps;
    this.#router = new PartitionRouter(deps.world, deps.leaders);
    const { peers } = deps;
    handlePeer(peers, PARTITION_OPS.describe, (ids) => this.#describeHere(ids));
    handlePeer(peers, PARTITION_OPS.listOffsets, (request) => this.#listOffsetsHere(request));
    handlePeer(peers, PARTITION_OPS.highWatermarks, (request) => this.#highWatermarksHere(request));
    handlePeer(peers, PARTITION_OPS.trim, ({ groupId, beforeOffset, timeoutMs }) =>
      deps.host.trim(groupId, beforeOffset, { deadlineMs: timeoutMs }),
    );
    handlePeer(peers, PARTITION_OPS.transfer, (request) => this.#transferHere(request));
  }

  describe(
    groupIds: readonly RaftGroupId[],
    deadlineMs: number,
  ): Promise<Map<RaftGroupId, PartitionFacts | BrokerError>> {
    return this.#router.ask(groupIds, deadlineMs, (leader, ids, timeoutMs) =>
      leader === this.#deps.self
        ? this.#describeHere(ids)
        : callPeer(this.#deps.peers, leader, PARTITION_OPS.describe, ids, timeoutMs),
    );
  }

  /** One query a group. */
  listOffsets(
    queries: ReadonlyMap<RaftGroupId, GroupOffsetQuery>,
    options: { readonly linearizable: boolean; readonly deadlineMs: number },
  ): Promise<Map<RaftGroupId, OffsetFound | BrokerError>> {
    const { linearizable } = options;
    return this.#router.ask([...queries.keys()], options.deadlineMs, (leader, ids, timeoutMs) => {
      const request = {
        linearizable,
        timeoutMs: Math.ceil(timeoutMs),
        queries: ids.flatMap((id) => queries.get(id) ?? []),
      };
      return leader === this.#deps.self
        ? this.#listOffsetsHere(request)
        : callPeer(this.#deps.peers, leader, PARTITION_OPS.listOffsets, request, timeoutMs);
    });
  }

  /** High watermarks, exact unless they reach what is wanted. */
  highWatermarks(
    wanted: ReadonlyMap<RaftGroupId, number>,
    deadlineMs: number,
  ): Promise<Map<RaftGroupId, Offset | BrokerError>> {
    return this.#router.ask([...wanted.keys()], deadlineMs, (leader, ids, timeoutMs) => {
      const request = {
        timeoutMs: Math.ceil(timeoutMs),
        queries: ids.map((groupId) => ({ groupId, wanted: wanted.get(groupId) ?? 0 })),
      };
      return leader === this.#deps.self
        ? this.#highWatermarksHere(request)
        : callPeer(this.#deps.peers, leader, PARTITION_OPS.highWatermarks, request, timeoutMs);
    });
  }

  async trim(groupId: RaftGroupId, beforeOffset: number, deadlineMs: number): Promise<Offset> {
    return this.#askOne(groupId, deadlineMs, (leader, timeoutMs) =>
      leader === this.#deps.self
        ? this.#deps.host.trim(groupId, beforeOffset, { deadlineMs: timeoutMs })
        : callPeer(
            this.#deps.peers,
            leader,
            PARTITION_OPS.trim,
            { groupId, beforeOffset, timeoutMs: Math.ceil(timeoutMs) },
            timeoutMs,
          ),
    );
  }

  async transfer(
    groupId: RaftGroupId,
    to: BrokerId | undefined,
    deadlineMs: number,
  ): Promise<Transferred> {
    const moved = await this.#askOne(groupId, deadlineMs, (leader, timeoutMs) => {
      const request = { groupId, to, timeoutMs: Math.ceil(timeoutMs) };
      return leader === this.#deps.self
        ? this.#transferHere(request)
        : callPeer(this.#deps.peers, leader, PARTITION_OPS.transfer, request, timeoutMs);
    });
    this.#deps.leaders.learn(groupId, moved.leader, moved.leaderEpoch);
    return moved;
  }

  async #askOne<T extends object | number>(
    groupId: RaftGroupId,
    deadlineMs: number,
    askLeader: (leader: BrokerId, timeoutMs: number) => Promise<T>,
  ): Promise<T> {
    const answers = await this.#router.ask<T>(
      [groupId],
      deadlineMs,
      async (leader, _, timeoutMs) => [await askLeader(leader, timeoutMs)],
    );
    const answer = answers.get(groupId);
    if (answer === undefined) throw new BrokerError('INTERNAL', 'an answer is missing');
    if (answer instanceof BrokerError) throw answer;
    return answer;
  }

  #describeHere(ids: readonly RaftGroupId[]): Promise<(PartitionFacts | BrokerError)[]> {
    return Promise.all(ids.map((groupId) => this.#deps.host.describe(groupId).catch(asError)));
  }

  #listOffsetsHere(request: {
    readonly linearizable: boolean;
    readonly timeoutMs: number;
    readonly queries: readonly GroupOffsetQuery[];
  }): Promise<(OffsetFound | BrokerError)[]> {
    const { linearizable, timeoutMs } = request;
    return Promise.all(
      request.queries.map(({ groupId, at }) =>
        this.#deps.host
          .listOffset(groupId, at, { linearizable, deadlineMs: timeoutMs })
          .catch(asError),
      ),
    );
  }

  #highWatermarksHere(request: {
    readonly timeoutMs: number;
    readonly queries: readonly WatermarkQuery[];
  }): Promise<(Offset | BrokerError)[]> {
    return Promise.all(
      request.queries.map((query) =>
        this.#highWatermarkHere(query, request.timeoutMs).catch(asError),
      ),
    );
  }

  /** A leader that was deposed unawares lags: what it has not got is answered behind a barrier only. */
  async #highWatermarkHere(query: WatermarkQuery, timeoutMs: number): Promise<Offset> {
    const { host, leaders } = this.#deps;
    const { groupId, wanted } = query;
    const group = host.group(groupId);
    const notLeader = (): BrokerError =>
      new BrokerError('NOT_LEADER', 'this broker does not lead the partition', {
        leader: leaders.hint(groupId),
      });
    if (group?.isLeaderReady() !== true) throw notLeader();
    const known = host.knownHighWatermark(groupId);
    if (known !== undefined && known >= wanted) return known;
    await group.readBarrier(timeoutMs);
    const confirmed = host.knownHighWatermark(groupId);
    if (confirmed === undefined) throw notLeader();
    return confirmed;
  }

  async #transferHere(request: {
    readonly groupId: RaftGroupId;
    readonly to: BrokerId | undefined;
    readonly timeoutMs: number;
  }): Promise<Transferred> {
    const { host, leaders, self } = this.#deps;
    const group = host.group(request.groupId);
    if (group?.isLeaderReady() !== true) {
      throw new BrokerError('NOT_LEADER', 'this broker does not lead the partition', {
        leader: leaders.hint(request.groupId),
      });
    }
    const to = pickTransferTarget(group, request.to, this.#deps.leaders);
    if (to !== self) await group.transferLeadership(to, request.timeoutMs);
    const status = group.status();
    if (status?.leader === undefined) {
      throw new BrokerError('TRANSFER_FAILED', 'leadership moved, but its new holder is not known');
    }
    return { leader: status.leader, leaderEpoch: status.term };
  }
}

function asError(thrown: unknown): BrokerError {
  return BrokerError.from(thrown);
}
