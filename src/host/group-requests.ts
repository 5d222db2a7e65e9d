import { BrokerError } from '../model/errors.js';
import type { BrokerId } from '../model/ids.js';
import type { Membership } from '../model/membership.js';
import type { Clock } from '../ports/world.js';
import type { ProposeResult, RaftStatus } from '../raft/io.js';
import type { RaftNode } from '../raft/raft-node.js';
import { membershipRefused } from './leadership.js';
import type { MembershipHistory } from './membership-history.js';
import { isExactly, type Waiters } from './waiters.js';

export interface GroupRequestsDeps {
  readonly node: RaftNode;
  readonly clock: Clock;
  /** Told by the driver what becomes of what is asked here. */
  readonly waiters: Waiters;
  readonly memberships: MembershipHistory;
  /** Lets the core do something, unless this life has ended; what that throws ends it. */
  readonly step: (run: () => void) => void;
}

/** What is asked of one life of a replica beside proposals: barriers, other members, another leader. */
export class GroupRequests {
  readonly #deps: GroupRequestsDeps;

  constructor(deps: GroupRequestsDeps) {
    this.#deps = deps;
  }

  readBarrier(deadlineMs: number): Promise<void> {
    const { node, waiters, step } = this.#deps;
    const { token, promise } = waiters.barrier(deadlineMs);
    step(() => node.step({ kind: 'readBarrier', token }));
    return promise;
  }

  async changeMembership(
    target: Pick<Membership, 'voters' | 'learners'>,
    deadlineMs: number,
  ): Promise<void> {
    const { node, clock, waiters, memberships, step } = this.#deps;
    const status = node.status();
    const { role, membership } = status;
    const isInForce = isExactly(membership, target) && isExactly(memberships.latest(), target);
    if (role === 'leader' && isInForce) return;
    if (role === 'leader') mustBeFilled(target.voters, status);
    let result: ProposeResult | undefined;
    step(() => {
      result = node.changeMembership(target, clock.nowMs());
    });
    if (result === undefined) throw new BrokerError('REPLICA_FENCED', 'the replica failed');
    if (result.accepted) {
      await waiters.membership(result.first.index, target, deadlineMs);
      return;
    }
    throw membershipRefused(result);
  }

  transferLeadership(to: BrokerId, deadlineMs: number): Promise<void> {
    const { node, waiters, step } = this.#deps;
    if (node.status().role !== 'leader') {
      return Promise.reject(new BrokerError('NOT_LEADER', 'only the leader hands leadership over'));
    }
    const promise = waiters.transfer(deadlineMs);
    step(() => {
      node.step({ kind: 'transferLeadership', to });
      this.checkTransfers();
    });
    return promise;
  }

  /** A transfer that the core no longer pursues while leading has failed. */
  checkTransfers(): void {
    const { node, waiters } = this.#deps;
    if (!waiters.hasTransfers) return;
    const { role, transferringTo } = node.status();
    if (role === 'leader' && transferringTo === undefined) waiters.transferEnded(undefined);
  }
}

/**
 * Who is not filled up gives no vote (storage/new-replica.ts), and is filled up by leaders only: as a voter
 * it could keep a group from ever having one. So it becomes a learner first.
 */
function mustBeFilled(voters: readonly BrokerId[], { self, membership, peers }: RaftStatus): void {
  const unfilled = voters.filter((id) => {
    const peer = peers.find((one) => one.id === id);
    // Until it has acknowledged something, nobody knows whether it needs repair.
    const isFilled = peer !== undefined && !peer.isRepairing && peer.match > 0;
    return !isFilled && id !== self && !membership.voters.includes(id);
  });
  if (unfilled.length === 0) return;
  throw new BrokerError('THROTTLED', `not filled up as learners yet: ${unfilled.join(', ')}`);
}
