import { Slots } from '../base/slots.js';
import { BrokerError } from '../model/errors.js';
import type { BrokerId, LogIndex } from '../model/ids.js';
import { logIndex } from '../model/ids.js';
import type { Logger } from '../ports/telemetry.js';
import type { Transport } from '../ports/transport.js';
import type { World } from '../ports/world.js';
import type { HostMetrics } from './host-metrics.js';
import type { HostTuning } from './host-options.js';
import type { RepairTarget } from '../raft/message.js';
import type { RaftGroupDriver } from './raft-group-driver.js';

export interface SnapshotSenderOptions {
  readonly transport: Transport;
  readonly world: World;
  readonly tuning: HostTuning;
  readonly metrics: HostMetrics;
  readonly log: Logger;
}

/**
 * Sends snapshots to lagging peers: one at a time to a peer, a few at a time in all, so that a broker
 * that comes back empty does not take the memory and bandwidth of those that serve.
 *
 * Invariant: every request ends in one report to its driver; a failed one only after a pause, because
 * the core asks again at once.
 */
export class SnapshotSender {
  readonly #options: SnapshotSenderOptions;
  readonly #all: Slots;
  readonly #byPeer = new Map<BrokerId, Slots>();
  /** What is queued or under way. */
  readonly #requested = new Map<RaftGroupDriver, Set<BrokerId>>();

  constructor(options: SnapshotSenderOptions) {
    this.#options = options;
    this.#all = new Slots(options.tuning.snapshotsInFlightMax);
  }

  send(driver: RaftGroupDriver, peer: BrokerId, repairTarget: RepairTarget | undefined): void {
    let peers = this.#requested.get(driver);
    if (peers === undefined) this.#requested.set(driver, (peers = new Set()));
    if (peers.has(peer)) return;
    peers.add(peer);
    let slots = this.#byPeer.get(peer);
    if (slots === undefined) this.#byPeer.set(peer, (slots = new Slots(1)));
    slots
      .run(() => this.#all.run(() => this.#sendNow(driver, peer, repairTarget)))
      .then(
        (sent) => this.#report(driver, peer, sent),
        (error: unknown) => {
          const fields = { error, raftGroup: driver.id, peer };
          if (driver.isLeader) this.#options.log.warn(fields, 'could not send a snapshot');
          const later = (): void => this.#report(driver, peer, undefined);
          this.#options.world.timers.after(this.#options.tuning.snapshotRetryMs, later);
        },
      );
  }

  /** Returns where the snapshot that arrived stands. */
  async #sendNow(
    driver: RaftGroupDriver,
    peer: BrokerId,
    repairTarget: RepairTarget | undefined,
  ): Promise<LogIndex> {
    const snapshot = driver.isRunning ? await driver.upkeep.snapshot() : undefined;
    if (!driver.isRunning || !driver.isLeader) {
      throw new BrokerError('NOT_LEADER', 'leadership went away before the snapshot was sent');
    }
    if (snapshot === undefined) {
      throw new BrokerError('INTERNAL', 'nothing was truncated, so there is no snapshot');
    }
    const { meta } = snapshot;
    const header = { group: driver.id, term: driver.term, meta, repairTarget };
    await this.#options.transport.sendSnapshot(peer, header, snapshot);
    this.#options.metrics.snapshotsSent.add(1);
    return meta.last.index;
  }

  #report(driver: RaftGroupDriver, peer: BrokerId, sent: LogIndex | undefined): void {
    const peers = this.#requested.get(driver);
    peers?.delete(peer);
    if (peers?.size === 0) this.#requested.delete(driver);
    driver.snapshotReported(peer, sent ?? logIndex(0), sent !== undefined);
  }
}
