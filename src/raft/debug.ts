import { invariant, unreachable } from '../base/assert.js';
import type { EntryId, IndexRange, LogEntry, LogSlice } from '../model/log-entry.js';
import { decodeMembership, type Membership } from '../model/membership.js';
import { isJoint } from './conf-change.js';
import type {
  Asleep,
  HardState,
  PeerStatus,
  Persist,
  ProposeResult,
  RaftEvent,
  RaftStatus,
  Ready,
  RoleChange,
  SnapshotMeta,
} from './io.js';
import type { Message, RepairTarget } from './message.js';
import type { RaftNode } from './raft-node.js';

/*
 * One line for every core type, shared by tests, logs and the command line. An entry's identity is
 * written term/index, a range [first,next), an absent value -.
 */

export function describeId(id: EntryId): string {
  return `${id.term}/${id.index}`;
}

export function describeRange(range: IndexRange): string {
  return `[${range.first},${range.next})`;
}

export function describeMembership(m: Membership): string {
  const ids = (list: readonly number[]): string => `(${list.join(' ')})`;
  const parts = [`voters=${ids(m.voters)}`];
  if (isJoint(m)) parts.push(`outgoing=${ids(m.votersOutgoing)}`);
  if (m.learners.length > 0) parts.push(`learners=${ids(m.learners)}`);
  if (m.learnersNext.length > 0) parts.push(`learnersNext=${ids(m.learnersNext)}`);
  if (m.autoLeave) parts.push('autoLeave');
  return parts.join(' ');
}

export function describeEntry(entry: LogEntry): string {
  const head = `${describeId(entry)} ${entry.kind}`;
  switch (entry.kind) {
    case 'noop':
      return head;
    case 'membership':
      return `${head} ${describeMembership(decodeMembership(entry.payload))}`;
    case 'batch':
    case 'command':
      return `${head} ${describePayload(entry.payload)}`;
  }
}

export function describeEntries(entries: readonly LogEntry[]): string {
  const [first] = entries;
  const last = entries.at(-1);
  if (first === undefined || last === undefined) return '[]';
  if (entries.length <= 4) return `[${entries.map(describeEntry).join(', ')}]`;
  return `[${describeEntry(first)}, … ${entries.length} entries …, ${describeEntry(last)}]`;
}

export function describeMessage(m: Message): string {
  return `${m.from}->${m.to} t${m.term} ${describeContent(m)}`;
}

function describeContent(m: Message): string {
  switch (m.kind) {
    case 'preVoteRequest':
      return `${m.kind} lastLog=${describeId(m.lastLog)}`;
    case 'voteRequest':
      return `${m.kind} lastLog=${describeId(m.lastLog)}${flag(m.isTransfer, 'transfer')}`;
    case 'preVoteResponse':
    case 'voteResponse':
      return `${m.kind} ${m.granted ? 'granted' : 'refused'}${flag(m.damaged, m.lostTail === true ? 'lostTail' : 'damaged')}`;
    case 'appendRequest': {
      const tail = `commit=${m.commit}${target(m.repairTarget)}`;
      return `${m.kind} prev=${describeId(m.prev)} ${tail} ${describeEntries(m.entries)}`;
    }
    case 'appendResponse': {
      const { outcome } = m;
      const result = outcome.ok
        ? `match=${outcome.match}`
        : `refused hint=${describeId(outcome.hint)}`;
      return `${m.kind} prev=${m.prevIndex} ${result}${flag(m.repairing, 'repairing')}`;
    }
    case 'heartbeatRequest':
      return `${m.kind} commit=${m.commit}${round(m.readRound)}${target(m.repairTarget)}`;
    case 'heartbeatResponse':
      return `${m.kind}${round(m.readRound)}${flag(m.repairing, 'repairing')}`;
    case 'quiesceRequest':
      return `${m.kind} last=${describeId(m.last)}`;
    case 'wakeRequest':
    case 'timeoutNow':
      return m.kind;
    default:
      return unreachable(m);
  }
}

export function describeHardState(state: HardState): string {
  return `t${state.term} vote=${state.votedFor ?? '-'}${flag(state.needsRepair, 'needsRepair')}`;
}

export function describeSnapshot(snapshot: SnapshotMeta): string {
  return `snapshot ${describeId(snapshot.last)} ${describeMembership(snapshot.membership)}`;
}

export function describeSlice(slice: LogSlice): string {
  return `after ${describeId(slice.prev)} ${describeEntries(slice.entries)}`;
}

export function describePersist(persist: Persist): string {
  const parts = [`#${persist.ticket}`];
  if (persist.hardState !== undefined) parts.push(describeHardState(persist.hardState));
  if (persist.install !== undefined) parts.push(`install ${describeSnapshot(persist.install)}`);
  if (persist.append !== undefined) parts.push(describeSlice(persist.append));
  return parts.join(' ');
}

export function describeRole(change: RoleChange): string {
  const { role, term, leader, mayHaveLost } = change;
  return `${role} t${term} leader=${leader ?? '-'}${flag(mayHaveLost === true, 'mayHaveLost')}`;
}

/** The parts of a Ready that hold something, joined by semicolons. */
export function describeReady(ready: Ready): string {
  const parts: string[] = [];
  if (ready.roleChange !== undefined) parts.push(`role ${describeRole(ready.roleChange)}`);
  for (const persist of ready.persists) parts.push(`persist ${describePersist(persist)}`);
  for (const message of ready.messages) parts.push(`send ${describeMessage(message)}`);
  if (ready.committed !== undefined) parts.push(`committed ${describeRange(ready.committed)}`);
  for (const read of ready.catchUpReads) parts.push(`read for ${read.peer} from ${read.from}`);
  for (const { peer, repairTarget } of ready.snapshotsToSend) {
    parts.push(`send snapshot to ${peer}${target(repairTarget)}`);
  }
  for (const { token, index } of ready.barriersReached) parts.push(`barrier ${token} at ${index}`);
  for (const token of ready.barriersFailed) parts.push(`barrier ${token} failed`);
  return parts.length === 0 ? 'nothing' : parts.join('; ');
}

export function describeEvent(event: RaftEvent): string {
  switch (event.kind) {
    case 'tick':
    case 'quiesce':
    case 'wake':
    case 'tellCommit':
    case 'stalled':
      return event.kind;
    case 'message':
      return describeMessage(event.message);
    case 'persisted':
      return `persisted #${event.ticket}`;
    case 'entriesRead':
      return `entriesRead for ${event.peer} ${describeSlice(event.slice)}`;
    case 'readFailed':
    case 'peerUnreachable':
    case 'connectionLost':
      return `${event.kind} ${event.peer}`;
    case 'applied':
      return `applied ${event.index}`;
    case 'campaign':
      return `campaign in ${event.inTicks}`;
    case 'readBarrier':
      return `readBarrier ${event.token}`;
    case 'transferLeadership':
      return `transferLeadership to ${event.to}`;
    case 'prefixMoved':
      return `prefixMoved ${describeSnapshot(event.snapshot)}`;
    case 'snapshotReceived': {
      const tail = `${describeSnapshot(event.snapshot)}${target(event.repairTarget)}`;
      return `snapshotReceived from ${event.from} t${event.term} ${tail}`;
    }
    case 'snapshotReported':
      return `snapshotReported ${event.peer} last=${event.lastIndex} ${event.ok ? 'ok' : 'failed'}`;
    default:
      return unreachable(event);
  }
}

export function describeProposeResult(result: ProposeResult): string {
  if (result.accepted) return `accepted ${describeId(result.first)}`;
  return `refused ${result.reason} leader=${result.leader ?? '-'}`;
}

export function describePeer(peer: PeerStatus): string {
  const flags = `${flag(peer.isActive, 'active')}${flag(peer.isRepairing, 'repairing')}`;
  return `${peer.id}:${peer.state} match=${peer.match} next=${peer.next}${flags}`;
}

export function describeStatus(s: RaftStatus): string {
  const parts = [
    `${s.self} ${s.role} t${s.term} vote=${s.votedFor ?? '-'} leader=${s.leader ?? '-'}`,
    `last=${describeId(s.last)} durable=${s.durable} commit=${s.commit} applied=${s.applied}`,
    describeMembership(s.membership),
  ];
  if (s.snapshotIndex > 0) parts.push(`snapshot=${s.snapshotIndex}`);
  if (s.needsRepair) parts.push('needsRepair');
  if (s.transferringTo !== undefined) parts.push(`transferringTo=${s.transferringTo}`);
  for (const peer of s.peers) parts.push(`{${describePeer(peer)}}`);
  return parts.join(' ');
}

/** Throws InvariantError if the core, whose status may be known, contradicts itself. Cheap enough to call after every event. */
export function checkInvariants(node: RaftNode, status?: RaftStatus): void {
  const s = status ?? node.status();
  const inside = node.inspect();
  const facts = { self: s.self, term: s.term };
  invariant(s.snapshotIndex <= s.commit, 'snapshot ≤ commit', facts);
  invariant(s.applied <= inside.handed, 'applied ≤ handed', facts);
  invariant(inside.handed <= s.commit, 'handed ≤ commit', facts);
  invariant(s.commit <= s.last.index, 'commit ≤ last', facts);
  invariant(s.durable <= s.last.index, 'durable ≤ last', facts);
  invariant(s.last.term <= s.term, 'the log is not ahead of the term', facts);
  invariant(inside.recent.next === s.last.index + 1, 'the window ends the log', facts);
  const isAbove = inside.recent.first > inside.snapshot.last.index;
  invariant(isAbove, 'the window is above the snapshot', facts);
  invariant(inside.membershipIndex <= s.last.index, 'the membership is in the log', facts);
  invariant(inside.uncommittedBytes >= 0, 'the tail has bytes', facts);
  checkRole(s);
  checkSleep(s, node.asleep);
  for (const { count, bytes, id } of inside.inflights) {
    invariant(count <= inside.config.inflightMax, 'in-flight appends are bounded', { id, count });
    const most = inside.config.inflightBytesMax + bytesOfLargest(inside.config.appendBytesMax);
    invariant(bytes <= most, 'in-flight bytes are bounded', { id, bytes });
  }
}

function checkRole(s: RaftStatus): void {
  const facts = { self: s.self, term: s.term, role: s.role };
  if (s.role === 'leader') {
    invariant(s.leader === s.self, 'a leader knows itself', facts);
    invariant(s.votedFor === s.self, 'a leader voted for itself', facts);
    invariant(!s.needsRepair, 'a damaged replica does not lead', facts);
  } else {
    invariant(s.leader !== s.self, 'only a leader is its own leader', facts);
    invariant(s.peers.length === 0, 'only a leader follows peers', facts);
    invariant(s.transferringTo === undefined, 'only a leader hands over', facts);
  }
  if (s.role === 'candidate') {
    invariant(s.votedFor === s.self, 'a candidate voted for itself', facts);
  }
  for (const { id, match, next } of s.peers) {
    const peer = { self: s.self, term: s.term, peer: id, match, next };
    invariant(match < next, 'match < next', peer);
    invariant(match <= s.last.index, 'match ≤ last', peer);
    invariant(next <= s.last.index + 1, 'next ≤ last + 1', peer);
  }
}

function checkSleep(s: RaftStatus, asleep: Asleep | undefined): void {
  if (asleep === undefined) return;
  const facts = { self: s.self, term: s.term, role: s.role };
  invariant(s.leader === asleep.leader, 'who sleeps knows its leader', facts);
  invariant(s.term === asleep.term, 'who sleeps stays in its term', facts);
  invariant(s.commit === s.last.index, 'nothing is under way in a group that sleeps', facts);
  invariant(s.durable === s.last.index, 'who sleeps has everything on disk', facts);
  invariant(!s.needsRepair, 'a damaged replica does not sleep', facts);
  for (const { id, match } of s.peers) {
    invariant(match === s.last.index, 'a leader sleeps when all have everything', { ...facts, id });
  }
}

/** The window admits one message more while below its limit, and one entry may exceed a message. */
function bytesOfLargest(appendBytesMax: number): number {
  return Math.max(appendBytesMax, 32 * 1024 * 1024);
}

function describePayload(payload: Uint8Array): string {
  const head = payload.subarray(0, 24);
  const isText = head.every((byte) => byte >= 0x20 && byte < 0x7f);
  if (!isText) return `${payload.length} bytes`;
  const text = String.fromCharCode(...head);
  return payload.length > head.length ? `"${text}…" (${payload.length} bytes)` : `"${text}"`;
}

function flag(holds: boolean, name: string): string {
  return holds ? ` ${name}` : '';
}

function target(repairTarget: RepairTarget | undefined): string {
  if (repairTarget === undefined) return '';
  return ` repairTarget=${repairTarget.index}@${repairTarget.life}`;
}

function round(readRound: number): string {
  return readRound === 0 ? '' : ` round=${readRound}`;
}
