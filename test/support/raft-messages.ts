import { brokerId, incarnation, logIndex, term } from '../../src/model/ids.js';
import type { EntryId, LogEntry } from '../../src/model/log-entry.js';
import type {
  AppendRequest,
  AppendResponse,
  HeartbeatRequest,
  HeartbeatResponse,
  MessageBase,
  RepairTarget,
  VoteRequest,
  VoteResponse,
} from '../../src/raft/message.js';

/** Messages a test makes up, to be handed to a core as if a peer had sent them. */
export function base(from: number, to: number, t: number, life = 1): MessageBase {
  return {
    from: brokerId(from),
    to: brokerId(to),
    term: term(t),
    incarnation: incarnation(life),
  };
}

/** What a replica under repair is to reach, for one life of it. */
export function target(index: number, life = 1): RepairTarget {
  return { index: logIndex(index), life: incarnation(life) };
}

/** `id('2/7')`: term 2, index 7. */
export function id(text: string): EntryId {
  const [t, index] = text.split('/').map(Number);
  return { term: term(t ?? 0), index: logIndex(index ?? 0) };
}

export function entry(at: string, text = ''): LogEntry {
  const payload = new TextEncoder().encode(text);
  return { ...id(at), kind: 'command', timeMs: 0, payload };
}

export function append(
  head: MessageBase,
  prev: string,
  entries: readonly LogEntry[],
  commit = 0,
): AppendRequest {
  const body = { prev: id(prev), entries, commit: logIndex(commit), repairTarget: undefined };
  return { ...head, kind: 'appendRequest', ...body };
}

export function acked(head: MessageBase, prevIndex: number, match: number): AppendResponse {
  return {
    ...head,
    kind: 'appendResponse',
    prevIndex: logIndex(prevIndex),
    outcome: { ok: true, match: logIndex(match) },
    repairing: false,
  };
}

export function refused(head: MessageBase, prevIndex: number, hint: string): AppendResponse {
  return {
    ...head,
    kind: 'appendResponse',
    prevIndex: logIndex(prevIndex),
    outcome: { ok: false, hint: id(hint) },
    repairing: false,
  };
}

export function heartbeat(head: MessageBase, commit = 0): HeartbeatRequest {
  const body = { commit: logIndex(commit), readRound: 0, repairTarget: undefined };
  return { ...head, kind: 'heartbeatRequest', ...body };
}

export function heartbeatAnswer(head: MessageBase, readRound = 0): HeartbeatResponse {
  return { ...head, kind: 'heartbeatResponse', readRound, repairing: false };
}

export function voteRequest(head: MessageBase, lastLog: string, isTransfer = false): VoteRequest {
  return { ...head, kind: 'voteRequest', lastLog: id(lastLog), isTransfer };
}

export function voteAnswer(
  kind: VoteResponse['kind'],
  head: MessageBase,
  granted: boolean,
  damaged = false,
): VoteResponse {
  return { ...head, kind, granted, damaged };
}
