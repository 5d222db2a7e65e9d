import type { RaftGroup } from '../host/raft-group.js';
import { BrokerError } from '../model/errors.js';
import type { BrokerId } from '../model/ids.js';

/** The member that shall lead next: the one asked for, or the most caught-up; throws if unfit. */
export function pickTransferTarget(group: RaftGroup, wanted: BrokerId | undefined): BrokerId {
  const status = group.status();
  if (status?.role !== 'leader') {
    throw new BrokerError('NOT_LEADER', 'this replica does not lead');
  }
  const fit = status.peers.filter(
    (peer) => peer.isActive && !peer.isRepairing && status.membership.voters.includes(peer.id),
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
  throw new BrokerError('TRANSFER_FAILED', `the replica on broker ${wanted} cannot lead now`);
}
