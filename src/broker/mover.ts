import type { RaftGroup } from '../host/raft-group.js';
import type { PartitionImage } from '../metadata/image.js';
import { BrokerError } from '../model/errors.js';
import type { BrokerId, RaftGroupId } from '../model/ids.js';
import type { Logger } from '../ports/telemetry.js';
import type { Cancel, World } from '../ports/world.js';
import type { ControllerLink } from './controller-link.js';
import { Backoff } from './deadline.js';
import type { LeaderTable, MetadataView, PartitionHost } from './types.js';

const LOOK_MS = 250;
const CHANGE_MS = 10_000;
const TRANSFER_MS = 5_000;
const REPORT_MS = 10_000;
const BARRIER_MS = 5_000;
const MOVES_AT_ONCE_MAX = 8;
/** A newcomer this close behind is whole enough: the joint change waits for the rest. */
const LAG_MAX = 64;

type Status = NonNullable<ReturnType<RaftGroup['status']>>;
/** What became of one step: over, to be looked at again soon, or waiting for a slow peer. */
type Step = 'done' | 'again';

export interface MoverDeps {
  readonly world: World;
  readonly view: MetadataView;
  readonly leaders: LeaderTable;
  readonly host: PartitionHost;
  readonly link: ControllerLink;
  readonly log: Logger;
}

/**
 * Drives the Raft membership of the partitions led here to the replicas that the metadata wants:
 * newcomers are added as learners, catch up, and take their place in one joint change; then the
 * move is reported as complete, and the brokers that are left over delete their replicas.
 *
 * Invariants: one step a group at a time; every step looks afresh at the image and at the group, so a
 * change of leader or of the target in between only means that another step is needed; no step goes by
 * an image from before the target that the group's members come from; a move is complete only when a
 * leader, confirmed after it knew the target, has the members committed: what is left over is deleted then,
 * and an earlier membership, in a deposed leader's log or in a later one's, could still need it.
 */
export class Mover {
  readonly #deps: MoverDeps;
  readonly #running = new Set<RaftGroupId>();
  readonly #waits = new Map<RaftGroupId, { untilMs: number; readonly backoff: Backoff }>();
  #cancel: Cancel | undefined;

  constructor(deps: MoverDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#cancel = this.#deps.world.timers.every(LOOK_MS, () => this.#look());
  }

  stop(): void {
    this.#cancel?.();
  }

  #look(): void {
    const { view, host, world } = this.#deps;
    const { moving } = view.image();
    for (const groupId of this.#waits.keys()) if (!moving.has(groupId)) this.#waits.delete(groupId);
    for (const groupId of moving) {
      if (this.#running.size >= MOVES_AT_ONCE_MAX) return;
      const wait = this.#waits.get(groupId);
      if (wait !== undefined && wait.untilMs > world.clock.monotonicMs()) continue;
      const group = host.group(groupId);
      if (group?.isLeaderReady() !== true || this.#running.has(groupId)) continue;
      this.#running.add(groupId);
      void this.#run(groupId, group);
    }
  }

  /** Never rejects. */
  async #run(groupId: RaftGroupId, group: RaftGroup): Promise<void> {
    try {
      while ((await this.#step(groupId, group)) === 'again');
      this.#waits.delete(groupId);
    } catch (error) {
      const wait = this.#waits.get(groupId) ?? { untilMs: 0, backoff: new Backoff(200, 5_000) };
      wait.untilMs = this.#deps.world.clock.monotonicMs() + wait.backoff.nextMs();
      this.#waits.set(groupId, wait);
      this.#deps.log.debug({ groupId, err: BrokerError.from(error) }, 'a move waits');
    }
    this.#running.delete(groupId);
  }

  async #step(groupId: RaftGroupId, group: RaftGroup): Promise<Step> {
    const ledIn = group.isLeaderReady() ? group.status()?.term : undefined;
    if (ledIn === undefined) return 'done';
    await this.#untilCurrent();
    const partition = this.#partition(groupId);
    const status = group.status();
    if (partition === undefined || partition.movingFrom.length === 0) return 'done';
    if (status === undefined || !group.isLeaderReady()) return 'done';
    // Between two leaderships here another leader may have followed a later target than this image's.
    if (status.term !== ledIn) return 'again';
    const { membership } = status;
    const target = [...partition.replicas].sort((a, b) => a - b);
    if (membership.votersOutgoing.length > 0) throw busy('a joint change is under way');
    if (sameIds(membership.voters, target) && membership.learners.length === 0) {
      await group.readBarrier(BARRIER_MS);
      // Over at once where these are the members already; rejects until they are committed.
      await group.changeMembership({ voters: target, learners: [] }, CHANGE_MS);
      if (group.status()?.term !== ledIn) return 'again';
      const { targetVersion } = partition;
      const move = { groupId, replicas: target, targetVersion };
      await this.#deps.link.call('completeMove', move, REPORT_MS);
      this.#deps.log.info(move, 'completed a move');
      return 'done';
    }
    const newcomers = target.filter((id) => !membership.voters.includes(id));
    if (!sameIds(membership.learners, newcomers)) {
      await group.changeMembership({ voters: membership.voters, learners: newcomers }, CHANGE_MS);
      return 'again';
    }
    const behind = newcomers.find((id) => !isCaughtUp(status, id));
    if (behind !== undefined) throw busy(`broker ${behind} is catching up`);
    if (!target.includes(status.self) && (await this.#maybeHandOver(group, status, target))) {
      return 'done';
    }
    await group.changeMembership({ voters: target, learners: [] }, CHANGE_MS);
    return 'again';
  }

  /**
   * The image here may lag far behind, after a restart or where the metadata leader is out of reach. The
   * target it names may have been replaced, and the group's arrival at the later one be reported: going
   * back to the earlier one would make members of brokers that then delete their replicas.
   */
  async #untilCurrent(): Promise<void> {
    const { link, view } = this.#deps;
    const { index } = await link.call('barrier', undefined, BARRIER_MS);
    await view.waitFor((image) => image.version >= index, BARRIER_MS);
  }

  /** A leader that is to go lets one that stays lead first, so that the group is never without. */
  async #maybeHandOver(
    group: RaftGroup,
    status: Status,
    target: readonly BrokerId[],
  ): Promise<boolean> {
    const heirs = status.peers.filter(
      (peer) =>
        target.includes(peer.id) &&
        status.membership.voters.includes(peer.id) &&
        peer.isActive &&
        !peer.isRepairing,
    );
    const { leaders } = this.#deps;
    const heir = heirs.find((peer) => leaders.mayLead(peer.id)) ?? heirs[0];
    if (heir === undefined) return false;
    await group.transferLeadership(heir.id, TRANSFER_MS);
    return true;
  }

  #partition(groupId: RaftGroupId): PartitionImage | undefined {
    const image = this.#deps.view.image();
    const at = image.groups.get(groupId);
    if (at === undefined) return undefined;
    return image.topicsById.get(at.topicId)?.partitions[at.partition];
  }
}

function isCaughtUp(status: Status, id: BrokerId): boolean {
  const peer = status.peers.find((one) => one.id === id);
  if (peer === undefined) return false;
  return peer.isActive && !peer.isRepairing && peer.match + LAG_MAX >= status.commit;
}

function sameIds(a: readonly BrokerId[], b: readonly BrokerId[]): boolean {
  return a.length === b.length && a.every((id, at) => id === b[at]);
}

function busy(why: string): BrokerError {
  return new BrokerError('THROTTLED', why);
}
