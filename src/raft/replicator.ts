import { invariant } from '../base/assert.js';
import { sortedKeys } from '../base/collections.js';
import { logIndex, type BrokerId } from '../model/ids.js';
import { entryBytes, type LogEntry, type LogSlice } from '../model/log-entry.js';
import { membersOf } from '../model/membership.js';
import type { RepairTarget } from './message.js';
import { Progress } from './progress.js';
import type { Replica } from './replica.js';

/**
 * Brings every member's log up to the leader's: decides what is sent to whom. Owned by Leader.
 *
 * What it needs is in memory (sent at once, in parallel with the leader's own write), on disk (a
 * catch-up read, one a peer), or truncated away (a snapshot).
 */
export class Replicator {
  private readonly replica: Replica;
  private readonly peers = new Map<BrokerId, Progress>();

  constructor(replica: Replica) {
    this.replica = replica;
    this.syncMembers(-Infinity);
  }

  get(id: BrokerId): Progress | undefined {
    return this.peers.get(id);
  }

  /** Of a member: whoever leads follows all others. */
  mustGet(id: BrokerId): Progress {
    const peer = this.peers.get(id);
    invariant(peer !== undefined, 'every member has progress');
    return peer;
  }

  all(): Iterable<Progress> {
    return this.peers.values();
  }

  list(): Progress[] {
    return sortedKeys(this.peers).map((id) => this.mustGet(id as BrokerId));
  }

  /** One Progress for each other member of the membership in force; newcomers join at `tick`. */
  syncMembers(tick: number): void {
    const { log, self, config } = this.replica;
    const members = membersOf(log.membership).filter((id) => id !== self);
    for (const id of this.peers.keys()) if (!members.includes(id)) this.peers.delete(id);
    for (const id of members) {
      if (this.peers.has(id)) continue;
      const peer = new Progress(id, logIndex(log.lastIndex + 1), config);
      peer.joinedAtTick = tick;
      this.peers.set(id, peer);
    }
  }

  /** Sends one peer everything it may get now. */
  feed(peer: Progress, tick: number): void {
    while (!peer.mayNotSend && this.sendNext(peer, tick));
  }

  heartbeat(peer: Progress, readRound: number): void {
    const { replica } = this;
    const commit = logIndex(Math.min(replica.log.commit, peer.match));
    peer.sentCommit = commit;
    replica.send({
      kind: 'heartbeatRequest',
      from: replica.self,
      to: peer.id,
      term: replica.term,
      incarnation: replica.incarnation,
      commit,
      readRound,
      repairTarget: targetOf(peer),
    });
  }

  entriesRead(peer: Progress, slice: LogSlice, tick: number): void {
    const isAwaited = peer.readFrom === slice.prev.index + 1;
    if (!isAwaited) return;
    peer.readFrom = undefined;
    const last = slice.entries.at(-1);
    // A read begun before a change of state may bring what is no longer wanted, or no longer so.
    if (last === undefined || slice.prev.index !== peer.next - 1 || peer.mayNotSend) return;
    if (!this.replica.log.holds(last) || !this.replica.log.holds(slice.prev)) return;
    this.send(peer, slice, tick);
  }

  /** The read failed: try again when the peer answers next, with a snapshot if need be. */
  readFailed(peer: Progress): void {
    if (peer.readFrom === undefined) return;
    peer.readFrom = undefined;
    peer.pauseUntilAnswer();
  }

  private sendNext(peer: Progress, tick: number): boolean {
    const { log, config } = this.replica;
    const prevIndex = logIndex(peer.next - 1);
    const prevTerm = log.termAt(prevIndex);
    if (prevTerm === undefined) {
      this.sendSnapshot(peer);
      return false;
    }
    const prev = { term: prevTerm, index: prevIndex };
    if (peer.next > log.lastIndex) {
      if (peer.state !== 'probe') return false;
      this.send(peer, { prev, entries: [] }, tick);
      return true;
    }
    const range = { first: peer.next, next: logIndex(log.lastIndex + 1) };
    const entries = log.recent(range, config.appendBytesMax);
    if (entries === undefined) {
      this.read(peer);
      return false;
    }
    this.send(peer, { prev, entries }, tick);
    return true;
  }

  private send(peer: Progress, slice: LogSlice, tick: number): void {
    const { replica } = this;
    const { commit } = replica.log;
    const last = slice.entries.at(-1)?.index ?? slice.prev.index;
    peer.sentCommit = logIndex(Math.min(commit, last));
    peer.sent(last, bytesOf(slice.entries), tick);
    replica.send({
      kind: 'appendRequest',
      from: replica.self,
      to: peer.id,
      term: replica.term,
      incarnation: replica.incarnation,
      prev: slice.prev,
      entries: slice.entries,
      commit,
      repairTarget: targetOf(peer),
    });
  }

  private read(peer: Progress): void {
    const { appendBytesMax: bytesMax } = this.replica.config;
    peer.readFrom = peer.next;
    this.replica.effects.catchUpReads.push({ peer: peer.id, from: peer.next, bytesMax });
  }

  private sendSnapshot(peer: Progress): void {
    const { index } = this.replica.log.snapshot.last;
    invariant(index > 0, 'what is missing was truncated', { peer: peer.id, next: peer.next });
    peer.becomeSnapshot();
    this.replica.effects.snapshotsToSend.push({ peer: peer.id, repairTarget: targetOf(peer) });
  }
}

function targetOf(peer: Progress): RepairTarget | undefined {
  if (!peer.isRepairing || peer.incarnation === undefined) return undefined;
  return { index: peer.repairTarget, life: peer.incarnation };
}

function bytesOf(entries: readonly LogEntry[]): number {
  let bytes = 0;
  for (const entry of entries) bytes += entryBytes(entry);
  return bytes;
}
