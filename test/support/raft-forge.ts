import { encodeMembership, membershipOf, type Membership } from '../../src/model/membership.js';
import { brokerId, incarnation, logIndex, term, type LogIndex } from '../../src/model/ids.js';
import type { EntryId, LogEntry } from '../../src/model/log-entry.js';
import type { SnapshotMeta } from '../../src/raft/io.js';
import type { Message, MessageBase, RepairTarget } from '../../src/raft/message.js';
import { parseIds, type Command } from './data-driven.js';
import { base, entry, id } from './raft-messages.js';
import { ZERO, type Disk, type InFlight } from './raft-net.js';

/*
 * Reads what a dialogue makes up: disks that were written before it starts, and messages that no
 * member of the net has sent. Both are written as the printers of src/raft/debug.ts print them.
 */

/** `voters=(1 2) outgoing=(1 2 3) learners=(4) learnersNext=(3)`; joint ones are left by themselves. */
export function membershipIn({ options, words }: Command): Membership {
  const ids = (name: string): Membership['voters'] =>
    membershipOf(parseIds(options.get(name))).voters;
  const votersOutgoing = ids('outgoing');
  return {
    voters: ids('voters'),
    votersOutgoing,
    learners: ids('learners'),
    learnersNext: ids('learnersNext'),
    autoLeave: votersOutgoing.length > 0 && !words.includes('stays'),
  };
}

/**
 * `(1/1 1/2:text 1/3:members=1,2,3)`: an entry is a command of that text, of its own name without
 * one, or a membership of these voters.
 */
export function entriesIn(text: string | undefined): LogEntry[] {
  return (text?.match(/\d+\/\d+(:[^\s)]+)?/g) ?? []).map((word) => {
    const [at = '', content = at] = word.split(':');
    if (!content.startsWith('members=')) return entry(at, content);
    const payload = encodeMembership(membershipOf(parseIds(content)));
    return { ...entry(at), kind: 'membership', payload };
  });
}

/** `term=3 vote=2 log=(…) snapshot=1/4 watermark=2/9 damaged`, with the membership. */
export function prepareDisk(disk: Disk, command: Command): void {
  const { options, words } = command;
  const vote = options.get('vote');
  const snapshot = options.get('snapshot');
  const watermark = options.get('watermark');
  if (snapshot !== undefined) disk.snapshot = snapshotMeta(snapshot, membershipIn(command));
  disk.entries = entriesIn(options.get('log'));
  disk.watermark = watermark === undefined ? ZERO : id(watermark);
  disk.hardState = {
    term: term(Number(options.get('term') ?? disk.last.term)),
    votedFor: vote === undefined ? undefined : brokerId(Number(vote)),
    needsRepair: words.includes('damaged'),
  };
}

export function snapshotMeta(last: string, membership: Membership): SnapshotMeta {
  return { last: id(last), chain: 0, timeMs: 0, membership };
}

/** `2->1 t3 heartbeatRequest commit=4 life=2`: the words and options of the message's own line. */
export function messageIn(command: Command): InFlight {
  const [route = '', inTerm = '', kind = '', ...flags] = command.words;
  const [from = 0, to = 0] = parseIds(route);
  const head = base(from, to, Number(inTerm.slice(1)));
  const life = command.options.get('life');
  if (kind === 'snapshot') return snapshotIn(head, command);
  const sender = life === undefined ? head : { ...head, incarnation: incarnation(Number(life)) };
  return contentIn(sender, kind, flags, command.options);
}

function snapshotIn(head: MessageBase, command: Command): InFlight {
  const { from, to, term: inTerm } = head;
  const snapshot = snapshotMeta(command.options.get('last') ?? '', membershipIn(command));
  const repairTarget = targetIn(command.options);
  const event = { kind: 'snapshotReceived', from, term: inTerm, snapshot, repairTarget } as const;
  return { kind: 'snapshot', from, to, event };
}

/** `repairTarget=4@2`: up to index 4, for life 2. */
function targetIn(options: ReadonlyMap<string, string>): RepairTarget | undefined {
  const text = options.get('repairTarget');
  if (text === undefined) return undefined;
  const [index, life] = text.split('@').map(Number);
  if (index === undefined || life === undefined) {
    throw new Error(`repairTarget is INDEX@LIFE, not ${text}`);
  }
  return { index: logIndex(index), life: incarnation(life) };
}

function contentIn(
  head: MessageBase,
  kind: string,
  flags: readonly string[],
  options: ReadonlyMap<string, string>,
): Message {
  const index = (name: string): LogIndex => indexIn(options, name) ?? logIndex(0);
  const entryId = (name: string): EntryId => id(options.get(name) ?? '0/0');
  const readRound = Number(options.get('round') ?? 0);
  const repairing = flags.includes('repairing');
  switch (kind) {
    case 'preVoteRequest':
      return { ...head, kind, lastLog: entryId('lastLog') };
    case 'voteRequest':
      return { ...head, kind, lastLog: entryId('lastLog'), isTransfer: flags.includes('transfer') };
    case 'preVoteResponse':
    case 'voteResponse':
      return {
        ...head,
        kind,
        granted: flags.includes('granted'),
        damaged: flags.includes('damaged') || flags.includes('lostTail'),
        ...(flags.includes('lostTail') ? { lostTail: true } : undefined),
      };
    case 'appendRequest':
      return {
        ...head,
        kind,
        prev: entryId('prev'),
        entries: entriesIn(options.get('entries')),
        commit: index('commit'),
        repairTarget: targetIn(options),
      };
    case 'appendResponse': {
      const outcome = flags.includes('refused')
        ? ({ ok: false, hint: entryId('hint') } as const)
        : ({ ok: true, match: index('match') } as const);
      return { ...head, kind, prevIndex: index('prev'), outcome, repairing };
    }
    case 'heartbeatRequest': {
      const repairTarget = targetIn(options);
      return { ...head, kind, commit: index('commit'), readRound, repairTarget };
    }
    case 'heartbeatResponse':
      return { ...head, kind, readRound, repairing };
    case 'quiesceRequest':
      return { ...head, kind, last: entryId('last') };
    case 'wakeRequest':
    case 'timeoutNow':
      return { ...head, kind };
    default:
      throw new Error(`unknown message ${kind}`);
  }
}

function indexIn(options: ReadonlyMap<string, string>, name: string): LogIndex | undefined {
  const text = options.get(name);
  return text === undefined ? undefined : logIndex(Number(text));
}
