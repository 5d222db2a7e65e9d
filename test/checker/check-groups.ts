import type { CommitCall, CommittedCall, RebalanceLine, Row, SubscribeCall } from './line.js';
import { linearizable, type ModelCall } from './linearizable.js';
import type { KeyLog, Sends } from './sends.js';
import type { Operation } from './session.js';
import type { Report } from './verdict.js';

interface OkCommit {
  readonly key: KeyLog;
  readonly next: number;
  readonly line: number;
  readonly endedAt: number;
}

interface GroupState {
  readonly members: Map<number, string>;
  startsAtEnd: boolean;
  /** Per key: the line at which each offset was first polled by a member. */
  readonly polledAt: Map<KeyLog, number[]>;
  readonly commits: OkCommit[];
  readonly reads: OkCommit[];
  /** Per key: what the register of the committed offset went through. */
  readonly register: Map<string, ModelCall[]>;
  /** Last owned set of each (generation, member). */
  readonly owned: Map<number, Map<string, readonly string[]>>;
  /** Per key: who was known to own it, from when. */
  readonly owners: Map<string, { readonly at: number; gen: number; owner: string }[]>;
}

const NOTHING_COMMITTED = 'null';

/** What consumer groups must keep: C14, C15 and C16. */
export class GroupChecks {
  private readonly sends: Sends;
  private readonly report: Report;
  private readonly groups = new Map<string, GroupState>();
  private readonly groupOf = new Map<number, string>();

  constructor(sends: Sends, report: Report) {
    this.sends = sends;
    this.report = report;
  }

  subscribed(p: number, call: SubscribeCall): void {
    for (const id of ['C14', 'C15', 'C16'] as const) this.report.hasData(id);
    const group = this.group(call.g);
    if (call.reset === 'end') group.startsAtEnd = true;
    this.groupOf.set(p, call.g);
  }

  rebalanced(line: RebalanceLine): void {
    const group = this.group(line.g);
    const owner = line.m ?? `process ${line.p}`;
    group.members.set(line.p, owner);
    const owned = group.owned.get(line.gen) ?? new Map<string, readonly string[]>();
    group.owned.set(line.gen, owned);
    owned.set(owner, line.owned);
    for (const key of line.owned) {
      const owners = group.owners.get(key) ?? [];
      group.owners.set(key, owners);
      owners.push({ at: line.t, gen: line.gen, owner });
    }
  }

  polled(p: number, line: number, recs: Readonly<Record<string, readonly Row[]>>): void {
    const name = this.groupOf.get(p);
    if (name === undefined) return;
    const group = this.group(name);
    for (const keyName in recs) {
      const key = this.sends.keyLog(keyName);
      const polledAt = group.polledAt.get(key) ?? [];
      group.polledAt.set(key, polledAt);
      for (const [offset] of recs[keyName] ?? []) polledAt[offset] ??= line;
    }
  }

  committed(operation: Operation<CommitCall>): void {
    const { call, end } = operation;
    if (end === 'fail') return;
    const group = this.group(call.g);
    for (const [name, next] of Object.entries(call.offs)) {
      this.register(group, name).push({
        from: operation.invokedAt,
        to: end === 'ok' ? operation.endedAt : Number.POSITIVE_INFINITY,
        step: () => String(next),
        text: `commit of ${name} at ${next}`,
      });
      if (end !== 'ok') continue;
      const key = this.sends.keyLog(name);
      const { endLine, endedAt } = operation;
      group.commits.push({ key, next, line: endLine, endedAt });
      this.checkFence(group, operation, name);
    }
  }

  read(operation: Operation<CommittedCall>): void {
    if (operation.end !== 'ok') return;
    this.report.hasData('C16');
    const group = this.group(operation.call.g);
    for (const [name, next] of Object.entries(operation.answer.offs ?? {})) {
      const answer = next === null ? NOTHING_COMMITTED : String(next);
      this.register(group, name).push({
        from: operation.invokedAt,
        to: operation.endedAt,
        step: (state) => (state === answer ? state : undefined),
        text: `committed ${name} read as ${answer}`,
      });
      if (next === null) continue;
      const key = this.sends.keyLog(name);
      group.reads.push({ key, next, line: operation.endLine, endedAt: operation.endedAt });
    }
  }

  finish(): void {
    const ceilings = new Map<KeyLog, (at: number) => number>();
    for (const key of this.sends.keys.values()) ceilings.set(key, ceilingOf(key));
    for (const [name, group] of this.groups) {
      this.checkSkips(name, group);
      this.checkOwners(name, group);
      this.checkRegisters(name, group);
      for (const commit of [...group.commits, ...group.reads]) {
        const ceiling = ceilings.get(commit.key)?.(commit.endedAt) ?? commit.key.highestEnd;
        if (commit.next <= ceiling) continue;
        this.report.violation(
          'C16',
          `group ${name}: ${commit.key.name} committed ${commit.next} above the high watermark`,
        );
      }
    }
  }

  private group(name: string): GroupState {
    let group = this.groups.get(name);
    if (group === undefined) {
      group = {
        members: new Map(),
        startsAtEnd: false,
        polledAt: new Map(),
        commits: [],
        reads: [],
        register: new Map(),
        owned: new Map(),
        owners: new Map(),
      };
      this.groups.set(name, group);
    }
    return group;
  }

  private register(group: GroupState, key: string): ModelCall[] {
    const calls = group.register.get(key) ?? [];
    group.register.set(key, calls);
    return calls;
  }

  private checkFence(group: GroupState, operation: Operation<CommitCall>, key: string): void {
    const { gen } = operation.call;
    if (gen === undefined) return;
    const self = group.members.get(operation.p) ?? `process ${operation.p}`;
    const later = group.owners
      .get(key)
      ?.find((known) => known.at < operation.invokedAt && known.gen > gen && known.owner !== self);
    if (later === undefined) return;
    this.report.violation(
      'C15',
      `${self} committed ${key} in generation ${gen}, which ${later.owner} owned in ${later.gen}`,
    );
  }

  private checkSkips(name: string, group: GroupState): void {
    for (const commit of group.commits) {
      const polledAt = group.polledAt.get(commit.key) ?? [];
      const start = group.startsAtEnd ? polledAt.findIndex((line) => line >= 0) : 0;
      if (start < 0) continue;
      for (let offset = start; offset < commit.next; offset += 1) {
        if (!commit.key.isSeen(offset) || (polledAt[offset] ?? Infinity) < commit.line) continue;
        this.report.violation(
          'C14',
          `group ${name} committed ${commit.key.name} ${commit.next} without offset ${offset}`,
        );
        break;
      }
    }
  }

  private checkOwners(name: string, group: GroupState): void {
    for (const [gen, members] of group.owned) {
      const ownerOf = new Map<string, string>();
      for (const [owner, keys] of members) {
        for (const key of keys) {
          const other = ownerOf.get(key);
          if (other === undefined) ownerOf.set(key, owner);
          else if (other !== owner) {
            this.report.violation(
              'C15',
              `group ${name} generation ${gen}: ${key} has owners ${other} and ${owner}`,
            );
          }
        }
      }
    }
  }

  private checkRegisters(name: string, group: GroupState): void {
    for (const [key, calls] of group.register) {
      const result = linearizable(calls, NOTHING_COMMITTED);
      if (result.kind === 'yes') continue;
      const why = result.kind === 'no' ? result.at.text : 'could not be decided';
      this.report.violation('C16', `group ${name} ${key}: not a register: ${why}`);
    }
  }
}

/** The most a commit that ended at a time may hold: no later send's offset, no unseen end. */
function ceilingOf(key: KeyLog): (at: number) => number {
  const lowestAfter: number[] = [];
  let lowest = key.highestEnd;
  for (let at = key.sends.length - 1; at >= 0; at -= 1) {
    const send = key.sends[at];
    const offset = send?.ackOffset ?? (send?.end === 'fail' ? undefined : send?.polledOffset);
    if (offset !== undefined) lowest = Math.min(lowest, offset);
    lowestAfter[at] = lowest;
  }
  return (endedAt) => {
    let low = 0;
    let high = key.sends.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((key.sends[middle]?.invokedAt ?? 0) > endedAt) high = middle;
      else low = middle + 1;
    }
    return lowestAfter[low] ?? key.highestEnd;
  };
}
