import { BrokerError } from '../model/errors.js';
import type { BrokerId, LogIndex, RaftGroupId } from '../model/ids.js';
import type { Logger } from '../ports/telemetry.js';
import type { ProposeResult, RaftStatus, RoleChange } from '../raft/io.js';

/** To whom leaderships are handed over. */
export interface HeirChoice {
  /** Those who may come first. */
  mayLead(id: BrokerId): boolean;
  /** Whether the others are still better than staying where it is. */
  readonly elseAnyone: boolean;
}

/**
 * Who could take over from this leader, best first: voters that are there and whole, those that may
 * lead before those that would rather not, those that keep up before those that lag. Starts at another
 * member for every group, so that a broker that goes away spreads its leaderships.
 */
export function transferTargets(
  status: RaftStatus,
  group: RaftGroupId,
  heirs: HeirChoice,
): BrokerId[] {
  const { membership, peers, self } = status;
  const able = peers.filter(
    (p) => p.id !== self && membership.voters.includes(p.id) && p.isActive && !p.isRepairing,
  );
  able.sort((a, b) => a.id - b.id);
  const turn = able.length === 0 ? 0 : group % able.length;
  const rotated = [...able.slice(turn), ...able.slice(0, turn)];
  const keepsUp = rotated.filter((p) => p.state === 'replicate');
  const lags = rotated.filter((p) => p.state !== 'replicate');
  const ids = [...keepsUp, ...lags].map((p) => p.id);
  const willing = ids.filter((id) => heirs.mayLead(id));
  if (!heirs.elseAnyone) return willing;
  return [...willing, ...ids.filter((id) => !heirs.mayLead(id))];
}

/**
 * How many voters come before `self` in looking for a leader; undefined for who is no voter. They come
 * in a circle that begins at the preferred leader, or else at another voter for every group, so that
 * leaderships are spread after a start. The latter order is the core's own (RaftInit.rankSalt): who
 * comes first here does not have to give way there.
 */
export function campaignRank(
  voters: readonly BrokerId[],
  self: BrokerId,
  group: { readonly id: RaftGroupId; readonly preferredLeader: BrokerId | undefined },
): number | undefined {
  const at = voters.indexOf(self);
  if (at < 0) return undefined;
  const preferred = voters.findIndex((id) => id === group.preferredLeader);
  const turn = preferred >= 0 ? voters.length - preferred : group.id;
  return (at + turn) % voters.length;
}

/** Why the core does not change members now. */
export function membershipRefused({
  reason,
  leader,
}: Extract<ProposeResult, { readonly accepted: false }>): BrokerError {
  const facts = { reason, leaderId: leader };
  switch (reason) {
    case 'notLeader':
      return new BrokerError('NOT_LEADER', 'only the leader changes members', facts);
    case 'invalidMembership':
      return new BrokerError('INVALID_ARGUMENT', 'these members cannot be changed to', facts);
    case 'transferring':
    case 'tailFull':
    case 'membershipBusy':
      return new BrokerError('THROTTLED', 'members cannot be changed now', facts);
  }
}

/** For the person who asks later who led when; `last` is where this replica's log ended. */
export function logRoleChange(log: Logger, change: RoleChange, last: LogIndex): void {
  const { role, term, leader, mayHaveLost } = change;
  const fields = { role, term, leader, last };
  if (mayHaveLost === true) {
    log.error(
      fields,
      'leads by recovery: a majority lost unsynced entries, acknowledged records may be lost',
    );
  } else if (role === 'leader') log.info(fields, 'became leader');
  else if (role === 'follower' && leader !== undefined) log.info(fields, 'follows a leader');
  else log.debug(fields, 'has no leader');
}
