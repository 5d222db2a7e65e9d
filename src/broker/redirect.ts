import { BrokerError } from '../model/errors.js';
import type { BrokerId, RaftGroupId } from '../model/ids.js';
import type { LeaderTable } from './types.js';

/** Sends whoever asked the wrong broker to the leader, as far as it is known here. */
export function redirect(
  at: { readonly self: BrokerId; readonly leaders: LeaderTable },
  groupId: RaftGroupId,
  name: string,
): BrokerError {
  const known = at.leaders.leaderOf(groupId);
  if (known === undefined || known.leader === at.self) {
    return new BrokerError('LEADER_UNKNOWN', `${name} has no leader that is known and ready`);
  }
  return new BrokerError('NOT_LEADER', `${name} is led by broker ${known.leader}`, {
    leader: at.leaders.hint(groupId),
  });
}
