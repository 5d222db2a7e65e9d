import type { ApplyResult, OffsetCommitItem } from '../../src/metadata/command.js';
import { decodeCommand } from '../../src/metadata/command-codec.js';
import type { ConsumerGroupView, HeldSlot } from '../../src/metadata/consumer-group.js';
import { slotKey } from '../../src/metadata/consumer-group.js';
import { MetadataState } from '../../src/metadata/metadata-state.js';
import { decodeSnapshot } from '../../src/metadata/snapshot-codec.js';
import type { LogEntry } from '../../src/model/log-entry.js';
import { GroupModel, type ModelGroup, type Verdict } from './group-model.js';
import type { GroupOracle } from './group-oracle.js';
import { must } from './violation.js';

/** What the oracle knows of the world around the metadata group. */
export interface GroupsWorld {
  /** Offset after the last committed record; undefined: there is no such partition any more. */
  highWatermarkOf(topicId: string, partition: number): number | undefined;
  /** Partitions that a member's program holds at this moment; undefined: it is not running. */
  holding(memberId: string): ReadonlySet<string> | undefined;
}

/**
 * I25, from above: follows the committed metadata log with a model of its own, and compares with it
 * every verdict that a broker comes to, and the state that the verdicts lead to. A partition is in one
 * member's hands at a time and goes to one owner an epoch; nobody else's commit counts; committed
 * offsets rise, and stay within the log; nothing is passed on while its member still holds it.
 */
export class GroupsOracle {
  readonly model = new GroupModel();
  private readonly oracle: GroupOracle;
  private readonly world: GroupsWorld;
  /** By index: what the model said of each part of the entry. */
  private readonly verdicts: (readonly Verdict[])[] = [];
  private readonly ownerIn = new Map<string, string>();
  private hasChanged = false;

  constructor(oracle: GroupOracle, world: GroupsWorld) {
    this.oracle = oracle;
    this.world = world;
  }

  /** A broker's replica has applied an entry, and its state can be looked at. */
  applied(broker: number, entry: LogEntry, result: unknown, encode: () => Uint8Array): void {
    const isFirst = this.verdicts.length < entry.index;
    while (this.verdicts.length < entry.index) {
      const next = this.oracle.committed[this.verdicts.length]?.entry;
      must(next !== undefined, 'I19', 'applies uncommitted', { broker, index: entry.index });
      // Whether a topic comes or goes is not the model's to say.
      const told = next.index === entry.index ? (result as ApplyResult | undefined) : undefined;
      this.verdicts.push(this.follow(next, told));
    }
    this.compare(broker, entry.index, result);
    if (!isFirst || !this.hasChanged) return;
    this.hasChanged = false;
    this.compareState(broker, entry.index, encode());
  }

  private follow(entry: LogEntry, result: ApplyResult | undefined): readonly Verdict[] {
    if (entry.kind !== 'command') return [];
    const command = decodeCommand(entry.payload);
    if (command.kind === 'commitOffsets') {
      return command.commits.map((item) => this.commit(item));
    }
    if (command.kind === 'groupEvents') {
      this.hasChanged = true;
      return command.events.map((event) => {
        const verdict = this.model.event(event);
        this.checkOwners(event.group);
        return verdict;
      });
    }
    if (result?.kind !== 'rejected') this.model.other(command, result);
    return [];
  }

  private commit(item: OffsetCommitItem): Verdict {
    const { group, topicId, partition, offset } = item;
    const before = this.model.offsets.get(group)?.get(slotKey(item)) ?? 0;
    const verdict = this.model.commit(item);
    if (verdict !== undefined) return verdict;
    this.hasChanged = true;
    const after = this.model.offsets.get(group)?.get(slotKey(item)) ?? 0;
    const facts = { group, topic: this.model.topics.get(topicId)?.name, partition, offset, before };
    must(item.fence === undefined || after >= before, 'I25', 'a committed offset goes back', facts);
    const highWatermark = this.world.highWatermarkOf(topicId, partition) ?? Infinity;
    must(offset <= highWatermark, 'I25', 'commits what is not there', { ...facts, highWatermark });
    return verdict;
  }

  /** One owner an epoch: members that follow one another under one static name are one. */
  private checkOwners(name: string): void {
    const group = this.model.groups.get(name);
    const slots = new Set<string>();
    for (const { slot, member, epoch } of group?.possessions ?? []) {
      must(!slots.has(slot), 'I25', 'a partition has two owners', { group: name, slot, member });
      slots.add(slot);
      const owner = group?.members.get(member)?.profile.instanceId || member;
      const key = `${name} ${slot} ${epoch}`;
      const known = this.ownerIn.get(key);
      this.ownerIn.set(key, owner);
      must(known === undefined || known === owner, 'I25', 'two owners in one epoch', {
        ...{ group: name, slot, epoch, owner, known },
      });
    }
    for (const { group: of, slot, member, epoch } of this.model.takeHandovers()) {
      const [topicId = '', partition] = slot.split('/');
      const topic = this.model.topics.get(topicId)?.name;
      if (topic === undefined) continue;
      const isHeld = this.world.holding(member)?.has(`${topic}/${partition}`) === true;
      must(!isHeld, 'I25', 'a partition is passed on that its member still holds', {
        ...{ group: of, topic, partition, member, epoch },
      });
    }
  }

  private compare(broker: number, index: number, result: unknown): void {
    const verdicts = this.verdicts[index - 1] ?? [];
    if (verdicts.length === 0) return;
    const { refused } = result as { readonly refused: readonly ({ code: string } | undefined)[] };
    verdicts.forEach((verdict, at) => {
      must(refused[at]?.code === verdict, 'I25', 'a broker judges otherwise than the model', {
        ...{ broker, index, at, verdict: verdict ?? 'taken', told: refused[at]?.code ?? 'taken' },
      });
    });
  }

  private compareState(broker: number, index: number, encoded: Uint8Array): void {
    const state = new MetadataState();
    decodeSnapshot(encoded, state);
    const names = [...state.consumerGroups.names()].sort();
    const facts = { broker, index };
    must(same(names, [...this.model.groups.keys()].sort()), 'I25', 'other groups exist', facts);
    for (const name of names) {
      const group = state.consumerGroups.get(name);
      const model = this.model.groups.get(name);
      if (group === undefined || model === undefined) continue;
      const [is, should] = [describe(group), describeModel(model)];
      must(is === should, 'I25', 'a group is not what the log makes of it', {
        ...{ ...facts, group: name, is, should },
      });
    }
    this.compareOffsets(state, facts);
  }

  private compareOffsets(state: MetadataState, facts: Readonly<Record<string, unknown>>): void {
    const groups = [...state.ledger.names()].sort();
    must(same(groups, [...this.model.offsets.keys()].sort()), 'I25', 'other groups commit', facts);
    for (const group of groups) {
      const is = state.ledger.rows(group).map((row) => `${slotKey(row)}=${row.offset}`);
      const model = this.model.offsets.get(group) ?? new Map<string, number>();
      const should = [...model].map(([slot, offset]) => `${slot}=${offset}`);
      must(same(is.sort(), should.sort()), 'I25', 'other offsets are committed', {
        ...{ ...facts, group, is, should },
      });
    }
  }
}

const same = (a: readonly string[], b: readonly string[]): boolean => a.join() === b.join();

const given = (slots: readonly HeldSlot[]): string =>
  slots
    .map((slot) => `${slotKey(slot)}@${slot.epoch}`)
    .sort()
    .join(' ');

function describe(group: ConsumerGroupView): string {
  const members = [...group.members.values()].map(
    ({ memberId, epoch, isAway, assigned, revoking, target }) =>
      `${memberId} e${epoch} ${isAway} [${given(assigned)}] [${given(revoking)}] ` +
      `[${target.map(slotKey).sort().join(' ')}]`,
  );
  return [`e${group.groupEpoch} t${group.assignmentEpoch}`, ...members.sort()].join('\n');
}

function describeModel(group: ModelGroup): string {
  const list = (member: string, isGoing: boolean): string =>
    group
      .held(member, isGoing)
      .map(({ slot, epoch }) => `${slot}@${epoch}`)
      .sort()
      .join(' ');
  const members = [...group.members].map(
    ([name, { epoch, isAway }]) =>
      `${name} e${epoch} ${isAway} [${list(name, false)}] [${list(name, true)}] ` +
      `[${group.wishesOf(name).sort().join(' ')}]`,
  );
  return [`e${group.epoch} t${group.targetEpoch}`, ...members.sort()].join('\n');
}
