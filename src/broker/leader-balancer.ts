import type { MetadataImage } from '../metadata/image.js';
import { BrokerError } from '../model/errors.js';
import type { BrokerId, RaftGroupId } from '../model/ids.js';
import type { Logger } from '../ports/telemetry.js';
import type { Cancel, World } from '../ports/world.js';
import { rightfulLeader } from './transfer-target.js';
import type { BrokerSettings, LeaderTable, MetadataView, PartitionHost } from './types.js';

const TRANSFERS_PER_ROUND_MAX = 4;
const TRANSFER_MS = 2_000;

export interface LeaderBalancerDeps {
  readonly self: BrokerId;
  readonly world: World;
  readonly view: MetadataView;
  readonly leaders: LeaderTable;
  readonly host: PartitionHost;
  readonly settings: BrokerSettings;
  readonly log: Logger;
}

/**
 * Hands partitions led here back to their rightful leaders, a few at a time, once everything has
 * been quiet: placement spreads preferred leaders evenly, so this is what spreads the load again
 * after failovers.
 *
 * Invariant: nothing moves while a broker is fenced, or within two rounds of a change among brokers.
 */
export class LeaderBalancer {
  readonly #deps: LeaderBalancerDeps;
  #quietSinceMs: number;
  #isRunning = false;
  #cancels: Cancel[] = [];

  constructor(deps: LeaderBalancerDeps) {
    this.#deps = deps;
    this.#quietSinceMs = deps.world.clock.monotonicMs();
  }

  start(): void {
    const { world, view, settings } = this.#deps;
    if (settings.leaderBalanceMs <= 0) return;
    this.#cancels.push(
      view.onChange((_, delta) => {
        if (delta.brokers.length > 0 || delta.isReset) this.#disturbed();
      }),
      world.timers.every(settings.leaderBalanceMs, () => this.#round()),
    );
  }

  stop(): void {
    for (const cancel of this.#cancels) cancel();
    this.#cancels = [];
  }

  #disturbed(): void {
    this.#quietSinceMs = this.#deps.world.clock.monotonicMs();
  }

  #round(): void {
    const { world, view, settings, log } = this.#deps;
    const quietMs = world.clock.monotonicMs() - this.#quietSinceMs;
    if (this.#isRunning || quietMs < settings.leaderBalanceMs) return;
    const image = view.image();
    for (const broker of image.brokers.values()) if (broker.isFenced) return;
    this.#isRunning = true;
    this.#handBack(image)
      .catch((error: unknown) => {
        log.debug({ err: BrokerError.from(error) }, 'a leadership stayed');
        this.#disturbed();
      })
      .finally(() => {
        this.#isRunning = false;
      })
      .catch(() => undefined);
  }

  async #handBack(image: MetadataImage): Promise<void> {
    const candidates: { groupId: RaftGroupId; to: BrokerId }[] = [];
    for (const groupId of this.#deps.host.list()) {
      if (candidates.length >= TRANSFERS_PER_ROUND_MAX) break;
      const to = this.#rightfulLeader(image, groupId);
      if (to !== undefined) candidates.push({ groupId, to });
    }
    for (const { groupId, to } of candidates) {
      await this.#deps.host.group(groupId)?.transferLeadership(to, TRANSFER_MS);
      this.#deps.log.debug({ groupId, to }, 'handed a leadership back');
    }
  }

  /** The replica that should lead, if this one does in its stead and it could take over at once. */
  #rightfulLeader(image: MetadataImage, groupId: RaftGroupId): BrokerId | undefined {
    const { self, host, leaders } = this.#deps;
    const at = image.groups.get(groupId);
    const partition =
      at === undefined ? undefined : image.topicsById.get(at.topicId)?.partitions[at.partition];
    if (partition?.movingFrom.length !== 0) return undefined;
    const rightful = rightfulLeader(partition.replicas, leaders);
    if (rightful === undefined || rightful === self) return undefined;
    const group = host.group(groupId);
    const status = group?.isLeaderReady() === true ? group.status() : undefined;
    if (status === undefined || status.transferringTo !== undefined) return undefined;
    if (!status.membership.voters.includes(rightful)) return undefined;
    if (!status.peers.every((peer) => peer.isActive && !peer.isRepairing)) return undefined;
    const match = status.peers.find((peer) => peer.id === rightful)?.match;
    return match !== undefined && match >= status.commit ? rightful : undefined;
  }
}
