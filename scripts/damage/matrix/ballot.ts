import type { RaftGroup } from '../../../src/host/raft-group.js';
import { brokerId, logIndex, term, type BrokerId } from '../../../src/model/ids.js';
import type { EntryId } from '../../../src/model/log-entry.js';
import { NO_ENTRY } from '../../../src/model/log-entry.js';
import { membersOf } from '../../../src/model/membership.js';
import type { Message } from '../../../src/raft/message.js';
import type { Life } from './life.js';
import type { Truth } from './truth.js';

/** Long enough for anyone to lose patience several times. */
const SILENCE_MS = 5_000;

/**
 * Asks a replica whose log was found damaged for everything it must not give (ADR 5): pre-vote and vote
 * to a candidate that lacks what it once held; to one that has it, any grant but one marked as damaged;
 * a campaign of its own, when nobody leads; and an answer to a leader that counts in a quorum. Returns
 * what it gave of that.
 */
export async function ballotOf(life: Life, group: RaftGroup, truth: Truth): Promise<string[]> {
  const gave: string[] = [];
  const status = group.status();
  if (status === undefined) return ['the replica has no driver'];
  const [a, b] = membersOf(truth.spec.bootstrap).filter((id) => id !== brokerId(truth.self));
  if (a === undefined || b === undefined) return ['there are no others'];
  const { watermark } = truth;
  const short: EntryId = { term: watermark.term, index: logIndex(watermark.index - 1) };
  const first = status.term + 1;

  const pre = await life.ask(a, { ...asked('preVoteRequest', first, short) });
  if (isGrant(pre)) gave.push('a pre-vote to a candidate that lacks what it held');
  const lacking = await life.ask(a, { ...asked('voteRequest', first, short), isTransfer: false });
  if (isGrant(lacking)) gave.push('a vote to a candidate that lacks what it held');
  const covering = await life.ask(b, {
    ...asked('voteRequest', first + 1, watermark),
    isTransfer: false,
  });
  // Of a replica that answers nobody nothing is proved.
  if (covering === undefined) gave.push('no answer to a candidate that has what it held');
  if (isGrant(covering) && !covering.damaged) gave.push('a vote as if it were intact');

  const before = life.sent.length;
  await life.world.pass(SILENCE_MS);
  const campaigns = life.sent
    .slice(before)
    .filter(({ kind }) => kind === 'preVoteRequest' || kind === 'voteRequest');
  if (campaigns.length > 0) gave.push('a campaign of its own');
  gave.push(...(await countedIn(life, a, { truth, leads: first + 2, covering })));
  return gave;
}

/** Takes an entry from a leader: its answer must say that it does not count. */
async function countedIn(
  life: Life,
  leader: BrokerId,
  {
    truth,
    leads,
    covering,
  }: {
    readonly truth: Truth;
    readonly leads: number;
    readonly covering: Message | undefined;
  },
): Promise<string[]> {
  const [entry] = truth.entries;
  if (entry?.index !== 1) return [];
  const answer = await life.ask(leader, {
    kind: 'appendRequest',
    term: term(leads),
    prev: NO_ENTRY,
    entries: [entry],
    commit: logIndex(0),
    repairTarget: covering && { index: truth.watermark.index, life: covering.incarnation },
  });
  return answer?.kind === 'appendResponse' && !answer.repairing
    ? ['an answer that counts in a quorum']
    : [];
}

function asked<K extends 'preVoteRequest' | 'voteRequest'>(
  kind: K,
  inTerm: number,
  lastLog: EntryId,
): { readonly kind: K; readonly term: ReturnType<typeof term>; readonly lastLog: EntryId } {
  return { kind, term: term(inTerm), lastLog };
}

type Grant = Message & { readonly kind: 'preVoteResponse' | 'voteResponse' };

function isGrant(message: Message | undefined): message is Grant {
  const isAnswer = message?.kind === 'preVoteResponse' || message?.kind === 'voteResponse';
  return isAnswer && message.granted;
}
