import { BrokerError } from '../model/errors.js';
import type { BrokerId, LogIndex, Term } from '../model/ids.js';
import type { PeerCaller } from '../ports/transport.js';
import type { World } from '../ports/world.js';
import { outOfRange, truncated } from './log-reader.js';
import { PARTITION_OPS, type CommittedTo } from './partition-ops.js';
import type { PartitionReplica } from './partition-replica.js';
import { callPeer, handlePeer } from './peer-op.js';
import type { LeaderTable } from './types.js';

/** The leader's read barrier takes a round trip of its own. */
const BARRIER_MS = 1_000;
const ANSWER_MS = 2_000;
/** The same leader is not asked about the same partition more often. */
const PACE_MS = 100;
/** Of the staleness that is allowed: what is older is confirmed anew, so that it never runs out. */
const RENEW_SHARE = 0.5;

/** The leader's word on how far its partition was committed when it was asked. */
interface Confirmation {
  readonly askedMs: number;
  readonly index: LogIndex;
  readonly leaderEpoch: Term;
}

/** What is known of one replica that is read from although it does not lead. */
interface Known {
  /** Everything committed by `askedMs` is applied here. */
  confirmed: Confirmation | undefined;
  /** Not applied yet: the oldest, which comes first, and the newest. */
  readonly pending: Confirmation[];
  isAsking: boolean;
  notBeforeMs: number;
  /** It is asked about again once that may be. */
  isScheduled: boolean;
}

/** Whether a follower answers a reader. */
export type FollowerVerdict =
  | { readonly kind: 'serve'; readonly leaderEpoch: Term }
  | { readonly kind: 'refuse'; readonly error: BrokerError }
  /** It may be able to soon: whoever waits at the replica is woken. */
  | { readonly kind: 'wait' };

export interface FollowerReadsDeps {
  readonly self: BrokerId;
  readonly world: Pick<World, 'clock' | 'timers'>;
  readonly leaders: LeaderTable;
  readonly peers: PeerCaller;
  /** The replica of a group on this broker. */
  readonly replicas: ReadonlyMap<number, PartitionReplica>;
}

/**
 * Tells replicas that do not lead how current they are: asks the leaders how far their partitions are
 * committed, behind a read barrier, and remembers when it asked. What a replica has applied since it got
 * that far is therefore never older than its question (ReadIndex, thesis §6.4, asked by the follower).
 * Leaders are asked only about partitions that somebody reads here, many in one message.
 *
 * Invariants: a confirmation counts only once its entry is applied, and only while it stays so: a
 * replica that was opened anew may have less. A replica under repair is never current.
 */
export class FollowerReads {
  private readonly deps: FollowerReadsDeps;
  private readonly known = new WeakMap<PartitionReplica, Known>();
  /** To be asked in this turn, by leader. */
  private due = new Map<BrokerId, PartitionReplica[]>();

  constructor(deps: FollowerReadsDeps) {
    this.deps = deps;
    handlePeer(deps.peers, PARTITION_OPS.committedTo, async ({ timeoutMs, groupIds }) =>
      Promise.all(
        groupIds.map(async (groupId): Promise<CommittedTo | BrokerError> => {
          const replica = deps.replicas.get(groupId);
          if (replica === undefined) return new BrokerError('NOT_LEADER', 'no replica is here');
          return replica
            .committedTo(timeoutMs)
            .catch((thrown: unknown) => BrokerError.from(thrown));
        }),
      ),
    );
  }

  /** Whether it knows that it is no further behind. */
  isCurrent(replica: PartitionReplica, maxStalenessMs: number): boolean {
    return this.epochWithin(replica, maxStalenessMs) !== undefined;
  }

  /** Whether a reader of `leaderEpoch` may go on at `at` here. */
  judge(
    replica: PartitionReplica,
    reader: { readonly at: number; readonly leaderEpoch: number; readonly maxStalenessMs: number },
  ): FollowerVerdict {
    const { at, leaderEpoch, maxStalenessMs } = reader;
    const epoch = this.epochWithin(replica, maxStalenessMs);
    const known = this.of(replica);
    if (epoch === undefined) {
      const mayBecome = known.isAsking || known.pending.length > 0;
      return mayBecome ? { kind: 'wait' } : { kind: 'refuse', error: this.refusal(replica) };
    }
    const { machine } = replica;
    if (at < machine.logStartOffset) return { kind: 'refuse', error: outOfRange(at, machine) };
    // It has read from a later leader, or further than this replica has come.
    if (leaderEpoch > epoch || at > machine.highWatermark) {
      this.ask(replica, known);
      return { kind: 'wait' };
    }
    const shared = machine.epochs.endOffsetOf(leaderEpoch, machine.highWatermark);
    if (leaderEpoch > 0 && at > shared) {
      return { kind: 'refuse', error: truncated(at, shared, machine) };
    }
    return { kind: 'serve', leaderEpoch: epoch };
  }

  /** Sends a reader to the leader, as far as it is known here. */
  refusal(replica: PartitionReplica): BrokerError {
    const text = `the replica of ${replica.name} on broker ${this.deps.self} may be too far behind`;
    const leader = this.deps.leaders.hint(replica.spec.groupId);
    return new BrokerError('STALE_REPLICA', `${text} its leader`, { leader });
  }

  /** The leader epoch of a confirmation that is recent enough; asks for another in good time. */
  private epochWithin(replica: PartitionReplica, maxStalenessMs: number): Term | undefined {
    const known = this.of(replica);
    const { appliedIndex } = replica.machine;
    for (let next = known.pending[0]; next !== undefined; next = known.pending[0]) {
      if (appliedIndex < next.index) break;
      known.confirmed = next;
      known.pending.shift();
    }
    const { confirmed } = known;
    const ageMs = this.deps.world.clock.monotonicMs() - (confirmed?.askedMs ?? -Infinity);
    if (ageMs > maxStalenessMs * RENEW_SHARE) this.ask(replica, known);
    if (confirmed === undefined || ageMs > maxStalenessMs) return undefined;
    if (appliedIndex < confirmed.index) return undefined;
    return replica.group?.status()?.needsRepair === false ? confirmed.leaderEpoch : undefined;
  }

  private of(replica: PartitionReplica): Known {
    const found = this.known.get(replica);
    if (found !== undefined) return found;
    const fresh: Known = {
      ...{ confirmed: undefined, pending: [], notBeforeMs: -Infinity },
      ...{ isAsking: false, isScheduled: false },
    };
    this.known.set(replica, fresh);
    return fresh;
  }

  private ask(replica: PartitionReplica, known: Known): void {
    const { self, world, leaders } = this.deps;
    const nowMs = world.clock.monotonicMs();
    if (known.isAsking || known.isScheduled) return;
    if (nowMs < known.notBeforeMs) {
      known.isScheduled = true;
      world.timers.after(known.notBeforeMs - nowMs, () => {
        known.isScheduled = false;
        this.ask(replica, known);
      });
      return;
    }
    const leader = leaders.leaderOf(replica.spec.groupId)?.leader;
    if (leader === undefined || leader === self) return;
    known.isAsking = true;
    known.notBeforeMs = nowMs + PACE_MS;
    if (this.due.size === 0) world.timers.defer(() => this.flush());
    const those = this.due.get(leader);
    if (those === undefined) this.due.set(leader, [replica]);
    else those.push(replica);
  }

  private flush(): void {
    const { due } = this;
    this.due = new Map();
    for (const [leader, replicas] of due) void this.askLeader(leader, replicas);
  }

  /** Never rejects. */
  private async askLeader(leader: BrokerId, replicas: readonly PartitionReplica[]): Promise<void> {
    const askedMs = this.deps.world.clock.monotonicMs();
    const groupIds = replicas.map(({ spec }) => spec.groupId);
    const request = { timeoutMs: BARRIER_MS, groupIds };
    let answers: readonly (CommittedTo | BrokerError)[] = [];
    try {
      const op = PARTITION_OPS.committedTo;
      answers = await callPeer(this.deps.peers, leader, op, request, ANSWER_MS);
    } catch {
      // Nothing is confirmed; whoever waits here is told so, and goes to the leader.
    }
    for (const [i, replica] of replicas.entries()) {
      const known = this.of(replica);
      known.isAsking = false;
      const answer = answers[i];
      if (answer !== undefined && !(answer instanceof BrokerError)) {
        known.pending.splice(1, 1, { ...answer, askedMs });
      }
      replica.wake();
    }
  }
}
