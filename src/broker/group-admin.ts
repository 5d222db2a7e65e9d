import { compareStrings } from '../base/collections.js';
import { findPartition } from '../metadata/decide.js';
import { BrokerError } from '../model/errors.js';
import type { TopicPartition } from '../model/ids.js';
import { LIMITS } from '../model/limits.js';
import type { World } from '../ports/world.js';
import type {
  AdminService,
  CallOptions,
  OffsetAt,
  OffsetFound,
  OffsetQuery,
} from './admin-types.js';
import type { ControllerLink } from './controller-link.js';
import { Deadline } from './deadline.js';
import type { GroupCoordinator } from './group-coordinator.js';
import type {
  CommittedPartition,
  GroupDescription,
  GroupPartition,
  GroupRecord,
  GroupService,
  ListGroupsRequest,
  ListGroupsResult,
  Participation,
  ParticipationSink,
  ResetGroupOffsetsRequest,
  ResetOffset,
  TopicSlots,
} from './group-types.js';
import type { MetadataView } from './types.js';

const LAG_MS = 3_000;

export interface GroupAdminDeps {
  readonly world: World;
  readonly view: MetadataView;
  readonly link: ControllerLink;
  readonly admin: Pick<AdminService, 'listOffsets'>;
  readonly coordinator: GroupCoordinator;
}

/** Ends of a partition's log, or why they are not known. */
type Ends = { readonly start: number; readonly end: number } | BrokerError;

const keyOf = ({ topic, partition }: TopicPartition): string => `${topic}/${partition}`;

/**
 * What any broker does for the Groups API: asks the coordinator about the group, and the leaders of its
 * partitions about their logs.
 */
export class GroupAdmin implements GroupService {
  readonly #deps: GroupAdminDeps;

  constructor(deps: GroupAdminDeps) {
    this.#deps = deps;
  }

  participate(sink: ParticipationSink, clientHost: string): Participation {
    return this.#deps.coordinator.participate(sink, clientHost);
  }

  listGroups(request: ListGroupsRequest, { deadlineMs }: CallOptions): Promise<ListGroupsResult> {
    return this.#deps.link.call('listGroups', request, deadlineMs);
  }

  async describeGroup(
    { group, withLag }: { readonly group: string; readonly withLag: boolean },
    { deadlineMs }: CallOptions,
  ): Promise<GroupDescription> {
    const deadline = new Deadline(this.#deps.world.clock, deadlineMs);
    const known = await this.#deps.link.call('describeGroup', group, deadlineMs);
    const partitions = partitionsOf(known);
    const ends = withLag
      ? await this.#ends(partitions, Math.min(LAG_MS, deadline.remainingMs()))
      : new Map<string, Ends>();
    const withLags = partitions.map((one) => withEnds(one, ends.get(keyOf(one))));
    const times = await this.#timesOfNext(withLags, Math.min(LAG_MS, deadline.remainingMs()));
    const nowMs = this.#deps.world.clock.nowMs();
    return {
      ...known,
      partitions: withLags.map((one) => {
        const timestampMs = times.get(keyOf(one));
        if (timestampMs === undefined) return one;
        return { ...one, lagMs: Math.max(0, nowMs - timestampMs) };
      }),
      lastCommitTimeMs: known.committed.reduce((last, c) => Math.max(last, c.commitTimeMs), 0),
    };
  }

  async deleteGroup(group: string, { deadlineMs }: CallOptions): Promise<void> {
    await this.#deps.link.call('deleteGroup', group, deadlineMs, {
      settle: (error) => (error.code === 'UNKNOWN_GROUP' ? true : undefined),
    });
  }

  deleteGroupOffsets(
    request: { readonly group: string; readonly topics: readonly TopicSlots[] },
    { deadlineMs }: CallOptions,
  ): Promise<readonly TopicSlots[]> {
    return this.#deps.link.call('deleteGroupOffsets', request, deadlineMs);
  }

  async resetGroupOffsets(
    request: ResetGroupOffsetsRequest,
    { deadlineMs }: CallOptions,
  ): Promise<readonly ResetOffset[]> {
    const { group, to, isDryRun } = request;
    const deadline = new Deadline(this.#deps.world.clock, deadlineMs);
    const committed = await this.#committedOfEmpty(request, deadlineMs);
    const wanted = this.#partitionsToReset(request.topics, committed);
    if (wanted.length > LIMITS.offsetCommitsPerRequestMax) {
      throw new BrokerError(
        'INVALID_ARGUMENT',
        `a request resets at most ${LIMITS.offsetCommitsPerRequestMax} offsets`,
      );
    }
    const ends = await this.#ends(wanted, deadline.remainingMs());
    const times =
      to.kind === 'timestamp'
        ? await this.#offsetsAt(wanted, to, deadline.remainingMs())
        : new Map<string, OffsetFound | BrokerError>();
    const resets = wanted.map((at): ResetOffset => {
      const previousOffset = committed.get(keyOf(at))?.offset ?? -1;
      const outcome = resetOffset(to, previousOffset, {
        ends: ends.get(keyOf(at)),
        time: times.get(keyOf(at)),
      });
      return { topic: at.topic, partition: at.partition, previousOffset, outcome };
    });
    return isDryRun ? resets : this.#commit(group, resets, deadline.remainingMs());
  }

  async #commit(
    group: string,
    resets: readonly ResetOffset[],
    deadlineMs: number,
  ): Promise<readonly ResetOffset[]> {
    const offsets = resets.flatMap(({ topic, partition, outcome }) =>
      typeof outcome === 'number' ? [{ topic, partition, offset: outcome, metadata: '' }] : [],
    );
    if (offsets.length === 0) return resets;
    const request = { group, offsets, memberId: '', memberEpoch: 0, sequence: 0 };
    const { errors } = await this.#deps.link.commitOffsets(request, deadlineMs);
    const failed = new Map<string, BrokerError>();
    offsets.forEach((at, i) => {
      const error = errors[i];
      if (error !== undefined) failed.set(keyOf(at), error);
    });
    return resets.map((reset) => ({
      ...reset,
      outcome: failed.get(keyOf(reset)) ?? reset.outcome,
    }));
  }

  /** Committed offsets; GROUP_NOT_EMPTY if there are members. Only named topics may be a new group's. */
  async #committedOfEmpty(
    { group, topics }: ResetGroupOffsetsRequest,
    deadlineMs: number,
  ): Promise<ReadonlyMap<string, CommittedPartition>> {
    let known: GroupRecord | undefined;
    try {
      known = await this.#deps.link.call('describeGroup', group, deadlineMs);
    } catch (thrown) {
      const error = BrokerError.from(thrown);
      if (error.code !== 'UNKNOWN_GROUP' || topics.length === 0) throw error;
    }
    const members = known?.members.length ?? 0;
    if (members > 0) {
      throw new BrokerError('GROUP_NOT_EMPTY', `group ${group} has ${members} members`);
    }
    return new Map((known?.committed ?? []).map((one) => [keyOf(one), one]));
  }

  #partitionsToReset(
    topics: readonly TopicSlots[],
    committed: ReadonlyMap<string, CommittedPartition>,
  ): TopicPartition[] {
    const image = this.#deps.view.image();
    if (topics.length === 0) {
      return [...committed.values()].map(({ topic, partition }) => ({ topic, partition }));
    }
    const wanted = new Map<string, TopicPartition>();
    for (const { topic: name, topicId, partitions } of topics) {
      const topic = topicId === undefined ? name : (image.topicsById.get(topicId)?.name ?? name);
      const found = findPartition(image, { topic, partition: 0 });
      if (found.kind === 'rejected') throw new BrokerError(found.code, found.message);
      const numbers = partitions.length > 0 ? partitions : [...found.topic.partitions.keys()];
      for (const partition of numbers) {
        const at = { topic, partition };
        wanted.set(keyOf(at), at);
      }
    }
    return [...wanted.values()];
  }

  /** Times of the first records that the group has yet to read, where there are any. */
  async #timesOfNext(
    partitions: readonly GroupPartition[],
    deadlineMs: number,
  ): Promise<Map<string, number>> {
    const queries = partitions.flatMap(({ topic, partition, ...known }): OffsetQuery[] => {
      if (known.lagRecords < 1) return [];
      const at = { kind: 'record', offset: Math.max(0, known.committedOffset) } as const;
      return [{ topic, partition, at }];
    });
    const times = new Map<string, number>();
    if (queries.length === 0) return times;
    const answers = await this.#deps.admin.listOffsets(
      { queries, linearizable: false },
      { deadlineMs },
    );
    for (const one of answers) {
      const { answer } = one;
      if (answer instanceof BrokerError || answer.offset < 0) continue;
      times.set(keyOf(one), answer.timestampMs);
    }
    return times;
  }

  async #offsetsAt(
    partitions: readonly TopicPartition[],
    at: OffsetAt,
    deadlineMs: number,
  ): Promise<Map<string, OffsetFound | BrokerError>> {
    const queries = partitions.map(({ topic, partition }) => ({ topic, partition, at }));
    const answers = await this.#deps.admin.listOffsets(
      { queries, linearizable: false },
      { deadlineMs },
    );
    return new Map(answers.map((answer) => [keyOf(answer), answer.answer]));
  }

  async #ends(
    partitions: readonly TopicPartition[],
    deadlineMs: number,
  ): Promise<Map<string, Ends>> {
    const [starts, ends] = await Promise.all([
      this.#offsetsAt(partitions, { kind: 'earliest' }, deadlineMs),
      this.#offsetsAt(partitions, { kind: 'latest' }, deadlineMs),
    ]);
    const both = new Map<string, Ends>();
    for (const at of partitions) {
      const key = keyOf(at);
      both.set(key, endsOf(starts.get(key) ?? NO_ANSWER, ends.get(key) ?? NO_ANSWER));
    }
    return both;
  }
}

const NO_ANSWER = new BrokerError('INTERNAL', 'no answer');

function endsOf(start: OffsetFound | BrokerError, end: OffsetFound | BrokerError): Ends {
  if (start instanceof BrokerError) return start;
  if (end instanceof BrokerError) return end;
  return { start: start.offset, end: Math.max(start.offset, end.offset) };
}

function resetOffset(
  to: ResetGroupOffsetsRequest['to'],
  previousOffset: number,
  found: { readonly ends: Ends | undefined; readonly time: OffsetFound | BrokerError | undefined },
): number | BrokerError {
  const { ends, time } = found;
  if (ends === undefined) return NO_ANSWER;
  if (ends instanceof BrokerError) return ends;
  const within = (offset: number): number => Math.min(ends.end, Math.max(ends.start, offset));
  switch (to.kind) {
    case 'earliest':
      return ends.start;
    case 'latest':
      return ends.end;
    case 'offset':
      return within(to.offset);
    case 'shift':
      if (previousOffset < 0) {
        return new BrokerError('INVALID_ARGUMENT', 'there is no committed offset to shift');
      }
      return within(previousOffset + to.by);
    case 'timestamp':
      if (time === undefined) return NO_ANSWER;
      if (time instanceof BrokerError) return time;
      return time.offset < 0 ? ends.end : within(time.offset);
  }
}

type Known = Omit<
  GroupPartition,
  'logStartOffset' | 'highWatermark' | 'lagRecords' | 'lagMs' | 'error'
>;

/** Everything assigned or committed, by topic and number. */
function partitionsOf({ members, committed }: GroupRecord): Known[] {
  const all = new Map<string, Known>();
  const put = (at: CommittedPartition): void => {
    const { topic, topicId, partition, offset, metadata, commitTimeMs } = at;
    const place = { topic, topicId, partition, memberId: '' };
    all.set(keyOf(at), { ...place, committedOffset: offset, metadata, commitTimeMs });
  };
  for (const one of committed) put(one);
  for (const { memberId, assigned, revoking } of members) {
    for (const { topic, topicId, partitions } of [...assigned, ...revoking]) {
      for (const partition of partitions) {
        if (topicId === undefined) continue;
        const at = { topic, topicId, partition, offset: -1, metadata: '', commitTimeMs: 0 };
        if (!all.has(keyOf(at))) put(at);
        const known = all.get(keyOf(at));
        if (known !== undefined) all.set(keyOf(at), { ...known, memberId });
      }
    }
  }
  return [...all.values()].sort(
    (a, b) => compareStrings(a.topic, b.topic) || a.partition - b.partition,
  );
}

function withEnds(known: Known, ends: Ends | undefined): GroupPartition {
  const unknown = { logStartOffset: -1, highWatermark: -1, lagRecords: -1, lagMs: -1 };
  if (ends === undefined) return { ...known, ...unknown, error: undefined };
  if (ends instanceof BrokerError) return { ...known, ...unknown, error: ends };
  const next = Math.max(known.committedOffset, ends.start);
  const lagRecords = Math.max(0, ends.end - next);
  return {
    ...known,
    logStartOffset: ends.start,
    highWatermark: ends.end,
    lagRecords,
    lagMs: lagRecords === 0 ? 0 : -1,
    error: undefined,
  };
}
