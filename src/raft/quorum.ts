import { invariant } from '../base/assert.js';
import type { BrokerId } from '../model/ids.js';
import type { Membership } from '../model/membership.js';

/** How many of `count` voters are a majority. */
export function majorityOf(count: number): number {
  return Math.floor(count / 2) + 1;
}

/**
 * The highest value that a majority of the voters has reached; Infinity for no voters, so that an
 * empty half of a joint configuration never holds the other half back.
 */
export function majorityValue(
  voters: readonly BrokerId[],
  valueOf: (id: BrokerId) => number,
): number {
  if (voters.length === 0) return Infinity;
  const values = voters.map(valueOf).sort((a, b) => b - a);
  const value = values[majorityOf(voters.length) - 1];
  invariant(value !== undefined, 'a majority fits its voters', { voters: voters.length });
  return value;
}

/** The same under a membership that may be joint: both majorities must have reached it. */
export function quorumValue(m: Membership, valueOf: (id: BrokerId) => number): number {
  return Math.min(majorityValue(m.voters, valueOf), majorityValue(m.votersOutgoing, valueOf));
}

/**
 * What one voter answered. `damaged`: granted, but its log is damaged, so that the grant counts only
 * together with everybody's (CORRECTNESS.md 26). `lostTail`: so it is, by a power cut that took its
 * unsynced end.
 */
export type Vote = 'granted' | 'damaged' | 'lostTail' | 'refused';
export type VoteResult = 'won' | 'lost' | 'pending';

/**
 * An election is won by a majority of intact grants, or by everybody's grant with at least one
 * intact among them. It is lost once refusals make both impossible.
 */
export function voteResult(m: Membership, voteOf: (id: BrokerId) => Vote | undefined): VoteResult {
  const byMajority = both(
    majorityResult(m.voters, voteOf),
    majorityResult(m.votersOutgoing, voteOf),
  );
  if (byMajority !== 'pending') return byMajority;
  return isUnanimous(m, voteOf) ? 'won' : 'pending';
}

/**
 * An election in which the candidate's own log lost its unsynced end: only everybody's grant wins, so
 * that no log that is left has more (CORRECTNESS.md 27).
 */
export function recoveryResult(
  m: Membership,
  voteOf: (id: BrokerId) => Vote | undefined,
): VoteResult {
  const votes = [...m.voters, ...m.votersOutgoing].map(voteOf);
  if (votes.includes('refused')) return 'lost';
  return votes.includes(undefined) ? 'pending' : 'won';
}

/** Whether an election was won without a majority of intact logs, some having lost their ends. */
export function isAfterLoss(m: Membership, voteOf: (id: BrokerId) => Vote | undefined): boolean {
  const votes = [...m.voters, ...m.votersOutgoing].map(voteOf);
  if (!votes.includes('lostTail')) return false;
  return both(majorityResult(m.voters, voteOf), majorityResult(m.votersOutgoing, voteOf)) !== 'won';
}

function majorityResult(
  voters: readonly BrokerId[],
  voteOf: (id: BrokerId) => Vote | undefined,
): VoteResult {
  if (voters.length === 0) return 'won';
  let granted = 0;
  let refused = 0;
  for (const id of voters) {
    const vote = voteOf(id);
    if (vote === 'granted') granted++;
    if (vote === 'refused') refused++;
  }
  const needed = majorityOf(voters.length);
  if (granted >= needed) return 'won';
  return voters.length - refused < needed ? 'lost' : 'pending';
}

function both(a: VoteResult, b: VoteResult): VoteResult {
  if (a === 'lost' || b === 'lost') return 'lost';
  return a === 'won' && b === 'won' ? 'won' : 'pending';
}

function isUnanimous(m: Membership, voteOf: (id: BrokerId) => Vote | undefined): boolean {
  let isAnyIntact = false;
  for (const voters of [m.voters, m.votersOutgoing]) {
    for (const id of voters) {
      const vote = voteOf(id);
      if (vote === undefined || vote === 'refused') return false;
      if (vote === 'granted') isAnyIntact = true;
    }
  }
  return isAnyIntact;
}
