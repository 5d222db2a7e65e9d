import { invariant, unreachable } from '../base/assert.js';
import {
  logIndex,
  raftGroupId,
  type BrokerId,
  type LogIndex,
  type RaftGroupId,
} from '../model/ids.js';
import { LIMITS } from '../model/limits.js';
import { applyGroupEvent, commitRefusal } from './apply-group-event.js';
import {
  rejected,
  type ApplyResult,
  type Command,
  type CommitFence,
  type Rejection,
} from './command.js';
import { withConfig } from './config-history.js';
import { NO_TARGET, type PartitionImage, type TopicImage } from './image.js';
import { METADATA_LIMITS } from './limits.js';
import type { MetadataState } from './metadata-state.js';
import { groupNameProblem, isTopicId, topicNameProblem } from './names.js';
import { moveRefusal, roomRefusal } from './replica-room.js';
import { parseTopicConfig, topicSettings } from './topic-config.js';

/** The log entry that a command is applied of. */
export interface AppliedEntry {
  readonly index: LogIndex;
  readonly timeMs: number;
}

type CommandOf<K extends Command['kind']> = Extract<Command, { kind: K }>;

const DONE: ApplyResult = { kind: 'done' };
const LEDGER_FULL = rejected('THROTTLED', 'the cluster holds its maximum of committed offsets');

/**
 * Applies one command. Total: what cannot be done comes back as a rejection and changes nothing.
 * Everything is checked here again, because the state may have moved since the leader decided.
 */
export function applyCommand(
  state: MetadataState,
  command: Command,
  at: AppliedEntry,
): ApplyResult {
  const { timeMs } = at;
  switch (command.kind) {
    case 'registerBroker':
      return registerBroker(state, command);
    case 'setBrokerFenced':
      return setBrokerFenced(state, command);
    case 'createTopic':
      return createTopic(state, command);
    case 'deleteTopic':
      return deleteTopic(state, command);
    case 'addPartitions':
      return addPartitions(state, command, timeMs);
    case 'alterTopic':
      return alterTopic(state, command, at);
    case 'moveReplicas':
      return moveReplicas(state, command, at);
    case 'completeMove':
      return completeMove(state, command);
    case 'replicasDeleted':
      return replicasDeleted(state, command);
    case 'allocateProducers':
      return allocateProducers(state, command);
    case 'commitOffsets':
      return {
        kind: 'offsetsCommitted',
        refused: command.commits.map((commit) => commitOffset(state, commit, timeMs)),
      };
    case 'groupEvents':
      return {
        kind: 'groupEventsApplied',
        refused: command.events.map((event) => applyGroupEvent(state, event)),
      };
    case 'ageGroups':
      return ageGroups(state, command);
    default:
      return unreachable(command);
  }
}

function registerBroker(
  state: MetadataState,
  { registration }: CommandOf<'registerBroker'>,
): ApplyResult {
  const known = state.brokers.get(registration.id);
  if (known !== undefined && known.directoryId !== registration.directoryId) {
    return rejected(
      'BROKER_ID_TAKEN',
      `broker id ${registration.id} belongs to another data directory; a broker that lost its ` +
        'data directory comes back under a new id',
    );
  }
  if (known === undefined && state.brokers.size >= METADATA_LIMITS.brokersMax) {
    return rejected('INVALID_ARGUMENT', `more than ${METADATA_LIMITS.brokersMax} brokers`);
  }
  state.putBroker({ ...registration, isFenced: false });
  return DONE;
}

function setBrokerFenced(state: MetadataState, command: CommandOf<'setBrokerFenced'>): ApplyResult {
  const known = state.brokers.get(command.brokerId);
  if (known === undefined) {
    return rejected('INVALID_ARGUMENT', `broker ${command.brokerId} is not registered`);
  }
  if (known.isFenced !== command.isFenced) {
    state.putBroker({ ...known, isFenced: command.isFenced });
  }
  return DONE;
}

function createTopic(state: MetadataState, command: CommandOf<'createTopic'>): ApplyResult {
  const { name, topicId, assignment, config } = command;
  const existing = state.topicsByName.get(name);
  if (existing?.id === topicId) return DONE;
  if (state.deletedTopics.has(topicId)) return deletedSince(name);
  if (existing !== undefined) return rejected('TOPIC_EXISTS', `topic ${name} exists`);
  const problem = topicNameProblem(name);
  if (problem !== undefined) return rejected('INVALID_TOPIC_NAME', problem);
  if (!isTopicId(topicId) || state.topicsById.has(topicId)) {
    return rejected('INVALID_ARGUMENT', 'the topic id is malformed or in use');
  }
  const refusal =
    assignmentRefusal(state, assignment) ??
    configRefusal(config) ??
    topicsRefusal(state) ??
    countRefusal(state, assignment) ??
    roomRefusal(state, assignment);
  if (refusal !== undefined) return refusal;
  state.putTopic({
    id: topicId,
    name,
    partitions: newPartitions(state, assignment, 0),
    config,
    configVersion: logIndex(0),
    configHistory: [],
    settings: topicSettings(config),
  });
  return DONE;
}

/** A late attempt: the one before it made the topic, which was deleted. */
function deletedSince(name: string): Rejection {
  return rejected('UNKNOWN_TOPIC', `topic ${name} was created by this request, and deleted since`);
}

/** With Raft groups that nobody ever had. */
function newPartitions(
  state: MetadataState,
  assignment: readonly (readonly BrokerId[])[],
  from: number,
): PartitionImage[] {
  const first = state.nextGroupId;
  state.nextGroupId = raftGroupId(first + assignment.length);
  return assignment.map((replicas, i) => {
    const founders = ascending(replicas);
    const groupId = raftGroupId(first + i);
    return {
      partition: from + i,
      groupId,
      replicas,
      bootstrap: founders,
      founders,
      movingFrom: [],
      targetVersion: NO_TARGET,
    };
  });
}

/**
 * Groups that have a position in the topic stand at the beginning of what is new in it: without a
 * position there, a member that starts at the end where none is known would skip what was written
 * before the partition came to it.
 */
function addPartitions(
  state: MetadataState,
  { topicId, from, assignment }: CommandOf<'addPartitions'>,
  timeMs: number,
): ApplyResult {
  const topic = state.topicsById.get(topicId);
  if (topic === undefined) return rejected('UNKNOWN_TOPIC', 'the topic does not exist');
  const count = topic.partitions.length;
  if (assignment.length > 0 && count === from + assignment.length) return DONE;
  if (count !== from) {
    const text = `topic ${topic.name} has ${count} partitions by now, not ${from}`;
    return rejected('INVALID_PARTITIONS', text);
  }
  const refusal =
    assignmentRefusal(state, assignment, count) ??
    countRefusal(state, assignment) ??
    roomRefusal(state, assignment);
  if (refusal !== undefined) return refusal;
  const { ledger } = state;
  const readers = ledger.groupsOf(topicId);
  if (readers.length * assignment.length > ledger.room) return LEDGER_FULL;
  const added = newPartitions(state, assignment, count);
  state.putTopic({ ...topic, partitions: [...topic.partitions, ...added] });
  for (const group of readers) {
    for (const { partition } of added) {
      const at = { topicId, partition };
      const isTaken = ledger.maybeCommit(group, at, { offset: 0, metadata: '', timeMs });
      invariant(isTaken, 'the ledger has the room that it said', { group, partition });
    }
  }
  return DONE;
}

function assignmentRefusal(
  state: MetadataState,
  assignment: readonly (readonly BrokerId[])[],
  before = 0,
): Rejection | undefined {
  const count = before + assignment.length;
  if (assignment.length < 1 || count > LIMITS.partitionsPerTopicMax) {
    return rejected(
      'INVALID_PARTITIONS',
      `a topic has 1 to ${LIMITS.partitionsPerTopicMax} partitions, not ${count}`,
    );
  }
  for (const replicas of assignment) {
    const refusal = replicasRefusal(state, replicas);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

function topicsRefusal(state: MetadataState): Rejection | undefined {
  if (state.topicsById.size < LIMITS.topicsMax) return undefined;
  return rejected('THROTTLED', `the cluster holds its maximum of ${LIMITS.topicsMax} topics`);
}

function countRefusal(state: MetadataState, assignment: readonly unknown[]): Rejection | undefined {
  if (state.groups.size + assignment.length > METADATA_LIMITS.partitionsMax) {
    return rejected(
      'INVALID_PARTITIONS',
      `the cluster holds at most ${METADATA_LIMITS.partitionsMax} partitions and has ${state.groups.size}`,
    );
  }
  return undefined;
}

function replicasRefusal(
  state: MetadataState,
  replicas: readonly BrokerId[],
): Rejection | undefined {
  if (replicas.length < 1 || replicas.length > LIMITS.replicationFactorMax) {
    return rejected(
      'INVALID_REPLICATION_FACTOR',
      `a partition has 1 to ${LIMITS.replicationFactorMax} replicas, not ${replicas.length}`,
    );
  }
  if (new Set(replicas).size !== replicas.length) {
    return rejected('INVALID_ARGUMENT', `brokers repeat among replicas ${replicas.join(', ')}`);
  }
  const stranger = replicas.find((id) => !state.brokers.has(id));
  if (stranger === undefined) return undefined;
  return rejected('INVALID_ARGUMENT', `broker ${stranger} is not registered`);
}

function configRefusal(config: ReadonlyMap<string, string>): Rejection | undefined {
  for (const [key, value] of config) {
    const parsed = parseTopicConfig(key, value);
    if (!parsed.ok) return rejected('INVALID_CONFIG', parsed.problem);
    if (parsed.value !== value) return rejected('INVALID_CONFIG', `${key} is not canonical`);
  }
  return undefined;
}

function deleteTopic(state: MetadataState, command: CommandOf<'deleteTopic'>): ApplyResult {
  const { topicId } = command;
  const topic = state.topicsById.get(topicId);
  if (topic === undefined) return rejected('UNKNOWN_TOPIC', 'the topic does not exist');
  state.dropTopic(topic);
  if (command.isForgotten !== true) state.deletedTopics.add(topicId);
  for (const { groupId, replicas, movingFrom } of topic.partitions) {
    bury(state, groupId, [...replicas, ...movingFrom]);
  }
  return DONE;
}

function bury(state: MetadataState, groupId: RaftGroupId, brokers: readonly BrokerId[]): void {
  state.putTombstone(groupId, ascending([...(state.tombstones.get(groupId) ?? []), ...brokers]));
}

function alterTopic(
  state: MetadataState,
  command: CommandOf<'alterTopic'>,
  at: AppliedEntry,
): ApplyResult {
  const topic = state.topicsById.get(command.topicId);
  if (topic === undefined) return rejected('UNKNOWN_TOPIC', 'the topic does not exist');
  const refusal = configRefusal(command.set);
  if (refusal !== undefined) return refusal;
  const config = new Map([...topic.config, ...command.set]);
  for (const key of command.unset) config.delete(key);
  if (command.isUnversioned === true) {
    state.putTopic({ ...topic, config, settings: topicSettings(config) });
    return DONE;
  }
  const changed = withConfig(topic, config, at);
  const { expectedVersion = topic.configVersion } = command;
  // A repetition of the change that was made from that version comes to what there is.
  const isMade = changed === topic && topic.configHistory.at(-1)?.previous === expectedVersion;
  if (expectedVersion !== topic.configVersion && !isMade) {
    return rejected(
      'STALE_CONFIG_VERSION',
      `the settings of topic ${topic.name} have version ${topic.configVersion}, ` +
        `not ${expectedVersion}: they were changed meanwhile`,
    );
  }
  if (changed !== topic) state.putTopic({ ...topic, ...changed, settings: topicSettings(config) });
  return DONE;
}

function moveReplicas(
  state: MetadataState,
  command: CommandOf<'moveReplicas'>,
  { index }: AppliedEntry,
): ApplyResult {
  const found = state.partition(command.groupId);
  if (found === undefined) return rejected('UNKNOWN_PARTITION', 'the partition does not exist');
  const refusal = replicasRefusal(state, command.replicas);
  if (refusal !== undefined) return refusal;
  const { topic, partition } = found;
  if (sameList(partition.replicas, command.replicas)) return DONE;
  const dying = state.tombstones.get(command.groupId) ?? [];
  const blocked = command.replicas.find((id) => dying.includes(id));
  if (blocked !== undefined) {
    return rejected('THROTTLED', `broker ${blocked} is still deleting its earlier replica`);
  }
  const full = moveRefusal(state, partition, command.replicas);
  if (full !== undefined) return full;
  const isReorder =
    partition.movingFrom.length === 0 &&
    sameList(ascending(partition.replicas), ascending(command.replicas));
  const movingFrom = isReorder ? [] : ascending([...partition.movingFrom, ...partition.replicas]);
  const targetVersion = isReorder ? NO_TARGET : index;
  replacePartition(state, topic, {
    ...partition,
    replicas: command.replicas,
    movingFrom,
    targetVersion,
  });
  return DONE;
}

function completeMove(state: MetadataState, command: CommandOf<'completeMove'>): ApplyResult {
  const found = state.partition(command.groupId);
  if (found === undefined) return rejected('UNKNOWN_PARTITION', 'the partition does not exist');
  const { topic, partition } = found;
  if (!sameList(ascending(partition.replicas), ascending(command.replicas))) {
    return rejected('INVALID_ARGUMENT', 'the target has changed meanwhile');
  }
  if (partition.movingFrom.length === 0) return DONE;
  // A report of the same replicas may be one of an earlier move to them, which the group has left since.
  const { targetVersion = partition.targetVersion } = command;
  if (targetVersion !== partition.targetVersion) {
    return rejected('INVALID_ARGUMENT', 'that move to these replicas is not the one under way');
  }
  const leaving = partition.movingFrom.filter((id) => !partition.replicas.includes(id));
  replacePartition(state, topic, {
    ...partition,
    bootstrap: partition.bootstrap.filter((id) => partition.replicas.includes(id)),
    movingFrom: [],
    targetVersion: NO_TARGET,
  });
  if (leaving.length > 0) bury(state, command.groupId, leaving);
  return DONE;
}

function replacePartition(state: MetadataState, topic: TopicImage, changed: PartitionImage): void {
  invariant(
    topic.partitions[changed.partition]?.groupId === changed.groupId,
    'a partition keeps its Raft group',
    { groupId: changed.groupId },
  );
  const partitions = topic.partitions.map((p) => (p.groupId === changed.groupId ? changed : p));
  state.putTopic({ ...topic, partitions });
}

function replicasDeleted(state: MetadataState, command: CommandOf<'replicasDeleted'>): ApplyResult {
  for (const groupId of command.groupIds) {
    const waiting = state.tombstones.get(groupId);
    if (waiting?.includes(command.brokerId) !== true) continue;
    state.putTombstone(
      groupId,
      waiting.filter((id) => id !== command.brokerId),
    );
  }
  return DONE;
}

function allocateProducers(
  state: MetadataState,
  { count }: CommandOf<'allocateProducers'>,
): ApplyResult {
  const first = state.nextProducerId;
  const next = first + count;
  if (count < 1 || count > LIMITS.producerIdBlock || !Number.isSafeInteger(next)) {
    return rejected('INVALID_ARGUMENT', `cannot hand out ${count} producer ids`);
  }
  state.nextProducerId = next;
  return { kind: 'producersAllocated', first, count };
}

function commitOffset(
  state: MetadataState,
  commit: CommandOf<'commitOffsets'>['commits'][number],
  timeMs: number,
): Rejection | undefined {
  const problem = groupNameProblem(commit.group);
  if (problem !== undefined) return rejected('INVALID_ARGUMENT', problem);
  const topic = state.topicsById.get(commit.topicId);
  if (topic === undefined) return rejected('UNKNOWN_TOPIC', 'the topic does not exist');
  if (commit.partition >= topic.partitions.length) {
    return rejected('UNKNOWN_PARTITION', `${topic.name} has no partition ${commit.partition}`);
  }
  const refusal = commitRefusal(state.consumerGroups.get(commit.group), {
    ...commit,
    memberId: commit.fence?.memberId ?? '',
    memberEpoch: commit.fence?.memberEpoch ?? 0,
  });
  if (refusal !== undefined) return refusal;
  const { group, fence, offset, metadata } = commit;
  if (fence !== undefined && isSuperseded(state, group, fence)) return undefined;
  if (!state.ledger.maybeCommit(group, commit, { offset, metadata, timeMs })) {
    return LEDGER_FULL;
  }
  state.idleGroups.sawActivity(group);
  if (fence !== undefined && fence.sequence > 0) {
    state.consumerGroups.noteCommit(group, fence.memberId, fence.sequence);
  }
  return undefined;
}

/**
 * An attempt that was held up on its way, and whose member has committed again since: it would take
 * back what came later, so it has no effect. Nobody waits for its answer any more.
 */
function isSuperseded(
  state: MetadataState,
  group: string,
  { memberId, sequence }: CommitFence,
): boolean {
  const last = state.consumerGroups.get(group)?.lastCommits.get(memberId) ?? 0;
  return sequence > 0 && sequence < last;
}

function ascending(ids: readonly BrokerId[]): BrokerId[] {
  return [...new Set(ids)].sort((a, b) => a - b);
}

function sameList(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((id, i) => id === b[i]);
}

/** Groups without members, members of which may be away for long, and those that never had any. */
function ageGroups(state: MetadataState, command: CommandOf<'ageGroups'>): ApplyResult {
  const { elapsedMs, limitMs } = command;
  if (elapsedMs < 1 || limitMs < 1) {
    return rejected('INVALID_ARGUMENT', `cannot age groups by ${elapsedMs} of ${limitMs} ms`);
  }
  const expired = state.idleGroups.age(memberlessGroups(state), { elapsedMs, limitMs });
  for (const group of expired) {
    state.consumerGroups.drop(group);
    state.ledger.dropGroup(group);
  }
  return { kind: 'groupsAged', expired };
}

/** Those that committed something, or once had members. */
export function memberlessGroups(state: MetadataState): Set<string> {
  const { ledger, consumerGroups } = state;
  const names = new Set([...ledger.names(), ...consumerGroups.names()]);
  for (const name of names) {
    if ((consumerGroups.get(name)?.members.size ?? 0) > 0) names.delete(name);
  }
  return names;
}
