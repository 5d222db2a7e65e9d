import { chainHash } from '../base/chain-hash.js';
import { compareStrings, sortedStringKeys } from '../base/collections.js';
import type { TopicId } from '../model/ids.js';
import type {
  Assignment,
  Assignor,
  AssignorInput,
  AssignorMember,
  AssignorTopic,
} from './assignors/assignor.js';
import { BUILT_IN_ASSIGNORS, type Assignors } from './assignors/assignors.js';
import { assignmentProblem } from './assignors/check-assignment.js';
import {
  compareSlots,
  sortedSlots,
  type ConsumerGroupView,
  type MemberProfile,
  type Slot,
} from './consumer-group.js';
import type { GroupEvent, TargetChange } from './group-event.js';
import type { MetadataImage, TopicImage } from './image.js';

export type TargetEvent = Extract<GroupEvent, { kind: 'target' }>;

/** Tells topics' names that are what the pattern asks for; patterns were checked when they came. */
export type MatchPattern = (pattern: string) => (topicName: string) => boolean;

/** What a target was computed from, besides the group: nothing else makes another one due. */
export interface Interest {
  /** Topics that subscriptions name, whether they exist or not. */
  readonly names: ReadonlySet<string>;
  readonly patterns: ReadonlySet<string>;
  /** Topics that subscriptions came to. */
  readonly topics: ReadonlySet<TopicId>;
  /** In which rack each broker is. */
  readonly isInRacks: boolean;
}

export interface TargetPlan {
  /** Undefined: the target that the group has is up to date. */
  readonly target: TargetEvent | undefined;
  readonly interest: Interest;
  /** Why an assignor that was given to the broker was passed over this time. */
  readonly problem?: string | undefined;
}

/**
 * The group's next target assignment. For the leader: what it computes travels in the event, so that
 * replicas need not agree on assignors or patterns.
 */
export function planTarget(
  image: MetadataImage,
  group: ConsumerGroupView,
  matches: MatchPattern,
  assignors: Assignors = BUILT_IN_ASSIGNORS,
): TargetPlan {
  const memberIds = sortedStringKeys(group.members);
  const subscriptions = new Subscriptions(image, matches);
  const members: AssignorMember[] = [];
  for (const memberId of memberIds) {
    const member = group.members.get(memberId);
    if (member === undefined) continue;
    const { instanceId, rack } = member.profile;
    const topics = subscriptions.topicsOf(member.profile);
    members.push({ memberId, instanceId, rack, topics, current: member.target });
  }
  const wanted = assignors.choose([...group.members.values()].map((m) => m.profile.assignor));
  const isRackAware = wanted.usesRacks === true && members.some(({ rack }) => rack !== '');
  const topics = subscriptions.all().map((topic) => assignorTopic(image, topic));
  const interest = { ...subscriptions.interest(), isInRacks: isRackAware };
  const topicsHash = hashOf(topics, isRackAware);
  const raisesEpoch = group.groupEpoch === group.assignmentEpoch;
  const isUpToDate = raisesEpoch && topicsHash === group.topicsHash;
  if (members.length === 0 || isUpToDate) return { target: undefined, interest };
  const byId = new Map(topics.map((topic) => [topic.id, topic]));
  const input = { members, topics: byId };
  const { assignor, assignment, problem } = assign(input, wanted, assignors);
  const target: TargetEvent = {
    kind: 'target',
    group: group.name,
    groupEpoch: group.groupEpoch,
    assignmentEpoch: group.assignmentEpoch,
    raisesEpoch,
    assignor: assignor.name,
    topicsHash,
    changes: changesTo(members, assignment),
  };
  return { target, interest, problem };
}

/** By the one that is wanted; if that is not ours and fails, by one that cannot. */
function assign(
  input: AssignorInput,
  wanted: Assignor,
  assignors: Assignors,
): {
  readonly assignor: Assignor;
  readonly assignment: Assignment;
  readonly problem?: string;
} {
  if (assignors.isBuiltIn(wanted)) return { assignor: wanted, assignment: wanted.assign(input) };
  let problem: string | undefined;
  try {
    const assignment = wanted.assign(copyOf(input));
    // An async one that rejects is answered for here, or it would end the broker.
    const returned: unknown = assignment;
    if (returned instanceof Promise) returned.catch(() => undefined);
    problem = assignmentProblem(input, assignment);
    if (problem === undefined) return { assignor: wanted, assignment };
  } catch (thrown) {
    problem = `it threw ${String(thrown)}`;
  }
  const { fallback } = assignors;
  const text = `assignor ${wanted.name}: ${problem}; ${fallback.name} took its place`;
  return { assignor: fallback, assignment: fallback.assign(input), problem: text };
}

/** The lists of members are the metadata state's own: whoever sorts one in place gets a copy of it. */
function copyOf({ members, topics }: AssignorInput): AssignorInput {
  return {
    members: members.map((member) => ({
      ...member,
      topics: [...member.topics],
      current: member.current.map((slot) => ({ ...slot })),
    })),
    topics: new Map([...topics].map(([id, topic]) => [id, { ...topic }])),
  };
}

/** Topics that subscriptions come to; members mostly share one. */
class Subscriptions {
  private readonly image: MetadataImage;
  private readonly matches: MatchPattern;
  private readonly resolved = new Map<string, readonly TopicId[]>();
  private readonly found = new Map<TopicId, TopicImage>();
  private readonly names = new Set<string>();
  private readonly patterns = new Set<string>();

  constructor(image: MetadataImage, matches: MatchPattern) {
    this.image = image;
    this.matches = matches;
  }

  topicsOf({ topics, pattern }: MemberProfile): readonly TopicId[] {
    // Names of topics have no line breaks, and a pattern stands last.
    const key = `${topics.join('\n')}\n\n${pattern}`;
    const known = this.resolved.get(key);
    if (known !== undefined) return known;
    const ids = new Set<TopicId>();
    for (const name of topics) {
      this.names.add(name);
      this.add(this.image.topicsByName.get(name), ids);
    }
    if (pattern !== '') {
      this.patterns.add(pattern);
      const matches = this.matches(pattern);
      for (const [name, topic] of this.image.topicsByName) {
        if (matches(name)) this.add(topic, ids);
      }
    }
    const list = [...ids].sort(compareStrings);
    this.resolved.set(key, list);
    return list;
  }

  all(): readonly TopicImage[] {
    return [...this.found.values()].sort((a, b) => compareStrings(a.id, b.id));
  }

  interest(): Omit<Interest, 'isInRacks'> {
    const { names, patterns, found } = this;
    return { names, patterns, topics: new Set(found.keys()) };
  }

  private add(topic: TopicImage | undefined, to: Set<TopicId>): void {
    if (topic === undefined) return;
    to.add(topic.id);
    this.found.set(topic.id, topic);
  }
}

/** Racks are looked up once for each partition. */
function assignorTopic(image: MetadataImage, topic: TopicImage): AssignorTopic {
  const known = new Map<number, ReadonlySet<string>>();
  return {
    id: topic.id,
    partitions: topic.partitions.length,
    racksOf: (partition) => {
      const racks = known.get(partition) ?? racksOf(image, topic, partition);
      known.set(partition, racks);
      return racks;
    },
  };
}

function racksOf(image: MetadataImage, topic: TopicImage, partition: number): Set<string> {
  const racks = new Set<string>();
  for (const id of topic.partitions[partition]?.replicas ?? []) {
    const rack = image.brokers.get(id)?.rack ?? '';
    if (rack !== '') racks.add(rack);
  }
  return racks;
}

/** Of everything in the image that an assignment may depend on; 0 is nothing's. */
function hashOf(topics: readonly AssignorTopic[], withRacks: boolean): number {
  let hash = topics.length;
  for (const topic of topics) {
    const words = [topic.partitions];
    for (let i = 0; i < 32; i += 8) words.push(Number.parseInt(topic.id.slice(i, i + 8), 16));
    if (withRacks) {
      for (let partition = 0; partition < topic.partitions; partition += 1) {
        const racks = [...topic.racksOf(partition)].sort(compareStrings).join('\n');
        words.push(partition);
        for (let i = 0; i < racks.length; i += 1) words.push(racks.charCodeAt(i));
      }
    }
    hash = chainHash(hash, words);
  }
  return hash;
}

function changesTo(members: readonly AssignorMember[], assignment: Assignment): TargetChange[] {
  const changes: TargetChange[] = [];
  for (const { memberId, current } of members) {
    const slots = sortedSlots(assignment.get(memberId) ?? []);
    if (!sameSlots(slots, current)) changes.push({ memberId, slots });
  }
  return changes;
}

function sameSlots(a: readonly Slot[], b: readonly Slot[]): boolean {
  return (
    a.length === b.length &&
    a.every((slot, i) => {
      const other = b[i];
      return other !== undefined && compareSlots(slot, other) === 0;
    })
  );
}
