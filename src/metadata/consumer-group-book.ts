import { ConsumerGroup, type ConsumerGroupView, type MemberTally } from './consumer-group.js';

/** All groups as they stood when the view was taken. */
export type FrozenConsumerGroups = ReadonlyMap<string, ConsumerGroupView>;

/**
 * Every consumer group that ever had members and was not deleted. Kept apart from the rest of the
 * metadata state, like the ledger of offsets, so that both can move to Raft groups of their own.
 *
 * Invariants: a group shared with a frozen view is never written to, but replaced by a copy first;
 * members of all groups are counted as they come and go.
 */
export class ConsumerGroupBook {
  private readonly tally: MemberTally = { members: 0 };
  private groups = new Map<string, ConsumerGroup>();
  private freezes = 0;
  private readonly changed = new Set<string>();

  get size(): number {
    return this.groups.size;
  }

  /** Of all groups. */
  get memberCount(): number {
    return this.tally.members;
  }

  get(name: string): ConsumerGroupView | undefined {
    return this.groups.get(name);
  }

  names(): IterableIterator<string> {
    return this.groups.keys();
  }

  /** To be changed now; made if there is none. */
  writable(name: string): ConsumerGroup {
    this.changed.add(name);
    return this.unshared(name);
  }

  /** The sequence of a member's last commit; no change of the group that anybody has to be told. */
  noteCommit(name: string, memberId: string, sequence: number): void {
    this.unshared(name).noteCommit(memberId, sequence);
  }

  drop(name: string): void {
    this.tally.members -= this.groups.get(name)?.members.size ?? 0;
    this.groups.delete(name);
    this.changed.add(name);
  }

  clear(): void {
    for (const name of this.groups.keys()) this.changed.add(name);
    this.groups = new Map();
    this.tally.members = 0;
  }

  freeze(): FrozenConsumerGroups {
    this.freezes += 1;
    return new Map(this.groups);
  }

  /** Groups that came, changed or went since the last call. */
  takeChanged(): readonly string[] {
    if (this.changed.size === 0) return [];
    const names = [...this.changed];
    this.changed.clear();
    return names;
  }

  private unshared(name: string): ConsumerGroup {
    const group = this.groups.get(name);
    if (group !== undefined && group.freezes === this.freezes) return group;
    const copy = new ConsumerGroup(name, { freezes: this.freezes, tally: this.tally }, group);
    this.groups.set(name, copy);
    return copy;
  }
}
