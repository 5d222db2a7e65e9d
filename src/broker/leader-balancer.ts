import type { MetadataImage } from '../metadata/image.js';
import { BrokerError } from '../model/errors.js';
import type { BrokerId, RaftGroupId } from '../model/ids.js';
import type { Logger } from '../ports/telemetry.js';
import type { Cancel, World } from '../ports/world.js';
import { rightfulLeader } from './transfer-target.js';
import type { BrokerSettings, LeaderTable, MetadataView, PartitionHost } from './types.js';

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
 * Hands partitions led here back to their rightful leaders, one after another, once everything has
 * been quiet: placement spreads preferred leaders evenly, so this is what spreads the load again
 * after failovers. A round goes through all partitions: a broker that came up first may lead
 * thousands in the others' stead, and bounds the whole cluster's speed until they have them.
 *
 * Invariant: nothing moves while a broker is fenced, or within two rounds of a change among brokers.
 */
export class LeaderBalancer {
  readonly #deps: LeaderBalancerDeps;
  #quietSinceMs: number;
  #isRunning = false;
  #isStopped = false;
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
    this.#isStopped = true;
    for (const cancel of this.#cancels) cancel();
    this.#cancels = [];
  }

  #disturbed(): void {
    this.#quietSinceMs = this.#deps.world.clock.monotonicMs();
  }

  #round(): void {
    if (this.#isRunning || !this.#isQuiet()) return;
    this.#isRunning = true;
    this.#handBack()
      .catch((error: unknown) => {
        this.#deps.log.debug({ err: BrokerError.from(error) }, 'a leadership stayed');
        this.#disturbed();
      })
      .finally(() => {
        this.#isRunning = false;
      })
      .catch(() => undefined);
  }

  #isQuiet(): boolean {
    const { world, view, settings } = this.#deps;
    const quietMs = world.clock.monotonicMs() - this.#quietSinceMs;
    if (this.#isStopped || quietMs < settings.leaderBalanceMs) return false;
    for (const broker of view.image().brokers.values()) if (broker.isFenced) return false;
    return true;
  }

  async #handBack(): Promise<void> {
    const { host, view, log } = this.#deps;
    for (const groupId of host.list()) {
      const to = this.#rightfulLeader(view.image(), groupId);
      if (to === undefined) continue;
      if (!this.#isQuiet()) return;
      await host.group(groupId)?.transferLeadership(to, TRANSFER_MS);
      log.debug({ groupId, to }, 'handed a leadership back');
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
