import type { RaftGroup } from '../host/raft-group.js';
import { BrokerError } from '../model/errors.js';
import type { BrokerId } from '../model/ids.js';
import type { LeaderTable } from './types.js';

type Willingness = Pick<LeaderTable, 'mayLead'>;

/** Who should lead a partition while all is well: the first of its replicas that may. */
export function rightfulLeader(
  replicas: readonly BrokerId[],
  leaders: Willingness,
): BrokerId | undefined {
  return replicas.find((id) => leaders.mayLead(id));
}

/** The member that shall lead next: the one asked for, or the most caught-up; throws if unfit. */
export function pickTransferTarget(
  group: RaftGroup,
  wanted: BrokerId | undefined,
  leaders: Willingness,
): BrokerId {
  const status = group.status();
  if (status?.role !== 'leader') {
    throw new BrokerError('NOT_LEADER', 'this replica does not lead');
  }
  const fit = status.peers.filter(
    ({ id, isActive, isRepairing }) =>
      isActive && !isRepairing && status.membership.voters.includes(id) && leaders.mayLead(id),
  );
  if (wanted === undefined) {
    const best = fit.reduce<(typeof fit)[number] | undefined>(
      (a, b) => (a === undefined || b.match > a.match ? b : a),
      undefined,
    );
    if (best !== undefined) return best.id;
    throw new BrokerError('TRANSFER_FAILED', 'no other replica can lead at the moment');
  }
  if (!status.membership.voters.includes(wanted)) {
    throw new BrokerError('INVALID_ARGUMENT', `broker ${wanted} holds no voting replica`);
  }
  if (wanted === status.self || fit.some((peer) => peer.id === wanted)) return wanted;
  const why = leaders.mayLead(wanted) ? '' : ': the broker has little room on its volume';
  throw new BrokerError('TRANSFER_FAILED', `the replica on broker ${wanted} cannot lead now${why}`);
}
