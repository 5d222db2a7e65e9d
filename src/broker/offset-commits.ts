import { invariant } from '../base/assert.js';
import type { Command, OffsetCommitItem } from '../metadata/command.js';
import { decideCommit, type CommitDecision } from '../metadata/decide.js';
import { METADATA_LIMITS } from '../metadata/limits.js';
import type { MetadataState } from '../metadata/metadata-state.js';
import { BrokerError } from '../model/errors.js';
import type { RaftGroupId } from '../model/ids.js';
import { LIMITS } from '../model/limits.js';
import type { World } from '../ports/world.js';
import { CommandBatcher, type BatchApplied } from './command-batcher.js';
import type { CommitAnswer, CommitRequest } from './controller-ops.js';
import type { AppliedCommand } from './propose.js';
import type { Watermarks } from './watermarks.js';

const COMMIT_CHECK_MS = 3_000;
const COMMITS_WAITING_MAX = 200_000;

export interface OffsetCommitsDeps {
  readonly world: Pick<World, 'timers'>;
  readonly state: MetadataState;
  readonly watermarks: Watermarks;
  propose(command: Command): Promise<AppliedCommand>;
}

/**
 * Takes the commits of consumer groups during one leadership of the metadata group: those of one turn
 * share a command, whoever sent them.
 *
 * Invariants: no offset beyond its partition's high watermark is proposed; every offset of a request is
 * answered by itself.
 */
export class OffsetCommits {
  readonly #deps: OffsetCommitsDeps;
  readonly #batcher: CommandBatcher<OffsetCommitItem>;

  constructor(deps: OffsetCommitsDeps) {
    this.#deps = deps;
    this.#batcher = new CommandBatcher<OffsetCommitItem>({
      timers: deps.world.timers,
      what: 'offset commits',
      itemsPerCommandMax: METADATA_LIMITS.commitsPerCommandMax,
      itemsWaitingMax: COMMITS_WAITING_MAX,
      bytesOf: ({ metadata }) => metadata.length * 2 + 48,
      propose: (commits) => this.#propose(commits),
    });
  }

  async commit(request: CommitRequest): Promise<CommitAnswer> {
    const { group, offsets, memberId, memberEpoch, sequence } = request;
    if (offsets.length > LIMITS.offsetCommitsPerRequestMax) {
      throw new BrokerError(
        'INVALID_ARGUMENT',
        `a request commits at most ${LIMITS.offsetCommitsPerRequestMax} offsets`,
      );
    }
    const fence = memberId === '' ? undefined : { memberId, memberEpoch, sequence };
    const decisions = offsets.map((wanted) => decideCommit(this.#deps.state, group, wanted, fence));
    const errors = decisions.map((decision) =>
      decision.kind === 'rejected' ? new BrokerError(decision.code, decision.message) : undefined,
    );
    await this.#refuseBeyondWatermark(decisions, errors);
    const items: OffsetCommitItem[] = [];
    const places: number[] = [];
    decisions.forEach((decision, at) => {
      if (decision.kind === 'rejected' || errors[at] !== undefined) return;
      items.push(decision.item);
      places.push(at);
    });
    if (items.length === 0) return { index: this.#deps.state.version, errors, commitTimeMs: 0 };
    const { index, timeMs, refused } = await this.#batcher.submit(items);
    refused.forEach((rejection, i) => {
      const at = places[i];
      if (rejection !== undefined && at !== undefined) {
        errors[at] = new BrokerError(rejection.code, rejection.message);
      }
    });
    return { index, errors, commitTimeMs: timeMs };
  }

  async #propose(commits: readonly OffsetCommitItem[]): Promise<BatchApplied> {
    const { result, ...at } = await this.#deps.propose({ kind: 'commitOffsets', commits });
    invariant(result.kind === 'offsetsCommitted', 'a commit command commits offsets');
    return { ...at, refused: result.refused };
  }

  async #refuseBeyondWatermark(
    decisions: readonly CommitDecision[],
    errors: (BrokerError | undefined)[],
  ): Promise<void> {
    const wanted = new Map<RaftGroupId, number>();
    for (const decision of decisions) {
      if (decision.kind === 'rejected') continue;
      const { groupId, item } = decision;
      wanted.set(groupId, Math.max(item.offset, wanted.get(groupId) ?? 0));
    }
    const found = await this.#deps.watermarks.atLeast(wanted, COMMIT_CHECK_MS);
    decisions.forEach((decision, at) => {
      if (decision.kind === 'rejected') return;
      const watermark = found.get(decision.groupId);
      if (typeof watermark === 'number') {
        if (decision.item.offset <= watermark) return;
        errors[at] = new BrokerError(
          'OFFSET_OUT_OF_RANGE',
          `offset ${decision.item.offset} lies beyond the high watermark ${watermark}`,
        );
      } else errors[at] = watermark;
    });
  }
}
