import { BrokerError } from '../model/errors.js';
import type { World } from '../ports/world.js';
import type { ClusterView } from './cluster-view.js';
import { partitionsOf, type GroupCallbacks } from './group-callbacks.js';
import { CommitQueue, type CommitTerms } from './group-commits.js';
import type { GroupHoldings, Held, StartOfPartition } from './group-holdings.js';
import type { GroupConsumerOptions, GroupSettings } from './group-options.js';
import type { MemberIdentity } from './group-types.js';
import type { OffsetLookup } from './offset-lookup.js';
import type { OffsetToCommit } from './types.js';

export interface OffsetsDeps {
  readonly view: ClusterView;
  readonly world: World;
  readonly lookup: OffsetLookup;
  readonly callbacks: GroupCallbacks;
  readonly holdings: () => GroupHoldings;
  /** Who commits now. */
  readonly member: () => MemberIdentity;
}

interface Terms extends Omit<CommitTerms, 'member'> {
  /**
   * Who commits; left out: who is in the group when it is this commit's turn. Offsets that were settled
   * before that are committed as whoever held the partitions then: a member that was evicted meanwhile and
   * has come back may hold them again, at a place that another member has taken the group to.
   */
  readonly as?: MemberIdentity | undefined;
}

/**
 * Where a member of a group begins in its partitions, and what of them it commits: what was processed,
 * and only where that has moved. Every commit is told to the application, however it ended.
 *
 * Invariants: commits go out one after the other; at most one that the interval began is not over.
 */
export class GroupOffsets {
  private readonly options: GroupConsumerOptions<unknown, unknown>;
  private readonly settings: GroupSettings;
  private readonly deps: OffsetsDeps;
  private readonly commits: CommitQueue;
  /** The auto-commit that is not over yet. */
  private autoCommit: AbortController | undefined;

  constructor(
    options: GroupConsumerOptions<unknown, unknown>,
    settings: GroupSettings,
    deps: OffsetsDeps,
  ) {
    this.options = options;
    this.settings = settings;
    this.deps = deps;
    this.commits = new CommitQueue(deps.view, deps.world, options.group);
  }

  /** Where the group stands; where it does not yet, where the options say. */
  async startOf(held: readonly Held[]): Promise<readonly StartOfPartition[]> {
    const { lookup } = this.deps;
    const partitions = partitionsOf(held);
    const from = this.options.from ?? 'beginning';
    const starts = await lookup.committedOr(partitions, from, this.options.group);
    const fresh = partitions.flatMap((p, i): OffsetToCommit[] => {
      const start = starts[i];
      return start === undefined || start.isCommitted ? [] : [{ ...p, offset: start.offset }];
    });
    // Or whoever has the partition next would begin at a later end, and skip what came in between.
    if (from === 'end' && this.settings.isAutoCommitting && fresh.length > 0) {
      await this.commit(() => fresh, { deadlineMs: this.settings.requestTimeoutMs });
    }
    const isEnding = this.options.stopAtEnd === true;
    const ends = isEnding ? await lookup.resolve(partitions, 'end', undefined) : [];
    return starts.map(({ offset }, i) => ({ offset, end: isEnding ? (ends[i] ?? 0) : Infinity }));
  }

  /** Next offsets to read; what is in hand counts as processed, unless it is done side by side. */
  handedOutSoFar(): OffsetToCommit[] {
    const holdings = this.deps.holdings();
    return holdings.all().flatMap((held) => {
      const { topic, partition } = held;
      const offset = holdings.isWorking ? holdings.processed(held) : held.cursor?.position;
      return offset === undefined ? [] : { topic, partition, offset };
    });
  }

  /**
   * What was processed and is not committed yet. Of what was dropped while a commit stood in line nobody knows
   * any more what of it is in hand.
   */
  due(among: readonly Held[]): OffsetToCommit[] {
    const holdings = this.deps.holdings();
    return among.flatMap((held) => {
      if (holdings.get(held) !== held) return [];
      const offset = holdings.processed(held);
      if (offset === undefined || offset === held.settled) return [];
      return [{ topic: held.topic, partition: held.partition, offset }];
    });
  }

  /** Nothing happens while an earlier one waits for a coordinator that is away. Never rejects. */
  async commitNowAndThen(): Promise<void> {
    if (this.autoCommit !== undefined) return;
    this.autoCommit = new AbortController();
    const { signal: stop } = this.autoCommit;
    const { requestTimeoutMs: deadlineMs } = this.settings;
    const among = (): readonly Held[] => this.deps.holdings().all();
    await this.commitProcessed(among, { deadlineMs, stop }).catch(ignore);
    this.autoCommit = undefined;
  }

  /** An auto-commit that waits for the coordinator ends: another commit is to take its place. */
  makeWay(): void {
    this.autoCommit?.abort();
  }

  async commitProcessed(among: () => readonly Held[], terms: Terms): Promise<void> {
    if (this.deps.member().memberEpoch === 0) return;
    await this.commit(() => this.due(among()), terms);
  }

  async commit(offsets: () => readonly OffsetToCommit[], { as, ...terms }: Terms): Promise<void> {
    const { callbacks, member } = this.deps;
    const holdings = this.deps.holdings();
    let sent: readonly OffsetToCommit[] | undefined;
    let seeks = new Map<Held, number>();
    const take = (): readonly OffsetToCommit[] => {
      sent = offsets();
      seeks = new Map(holdings.all().map((held) => [held, held.seeks]));
      return sent;
    };
    const each = (tell: (held: Held, offset: number, seeksBefore: number) => void): void => {
      for (const o of sent ?? []) {
        const held = holdings.get(o);
        const seeksBefore = held === undefined ? undefined : seeks.get(held);
        // What came to be held since then began somewhere else.
        if (held !== undefined && seeksBefore !== undefined) tell(held, o.offset, seeksBefore);
      }
    };
    try {
      await this.commits.commit(take, { ...terms, member: () => mustBeIn(as ?? member()) });
    } catch (thrown) {
      const error = BrokerError.from(thrown);
      if (error.outcome === 'unknown')
        each((held, offset, seeksBefore) => holdings.passed(held, offset, seeksBefore));
      callbacks.committed({ offsets: sent ?? offsets(), error });
      throw error;
    }
    if (sent === undefined || sent.length === 0) return;
    each((held, offset, seeksBefore) => holdings.settled(held, offset, seeksBefore));
    callbacks.committed({ offsets: sent, error: undefined });
  }
}

function mustBeIn(member: MemberIdentity): MemberIdentity {
  if (member.memberEpoch > 0) return member;
  throw new BrokerError('UNKNOWN_MEMBER', 'this consumer is not in its group at the moment');
}

/** For a commit of which onCommit hears, and of which the next commit is due again. */
export function ignore(): void {
  // Nothing is left to do.
}
