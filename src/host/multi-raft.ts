import { invariant } from '../base/assert.js';
import { Slots } from '../base/slots.js';
import { FSYNC } from '../model/durability.js';
import { BrokerError } from '../model/errors.js';
import type { BrokerId, RaftGroupId } from '../model/ids.js';
import type { BrokerStore, ReplicaSpec } from '../ports/log-store.js';
import type { Logger } from '../ports/telemetry.js';
import type { PeerMessage, SnapshotHeader, Transport } from '../ports/transport.js';
import type { Cancel, World } from '../ports/world.js';
import { checkRaftConfig, type RaftConfig } from '../raft/config.js';
import type { Asleep } from '../raft/io.js';
import type { Message, PreVoteRequest, RepairTarget } from '../raft/message.js';
import type { CreateRaftNode } from '../raft/raft-node.js';
import { CommitNotices } from './commit-notices.js';
import { EarlyRequests } from './early-requests.js';
import { hostMetrics, type HostMetrics } from './host-metrics.js';
import { DEFAULT_HOST_TUNING, type HostTuning, type MultiRaftOptions } from './host-options.js';
import { transferTargets } from './leadership.js';
import { Outbox } from './outbox.js';
import type { MultiRaft, RaftGroup, RaftGroupOwner } from './raft-group.js';
import type { RaftGroupDriver } from './raft-group-driver.js';
import { RaftReplica, type ReplicaHost } from './raft-replica.js';
import { RateLimitedLog } from './rate-limited-log.js';
import { RecentBudget } from './recent-budget.js';
import { Sleepers } from './sleepers.js';
import { SnapshotSender } from './snapshot-sender.js';

/** More than one, so that a disk that hangs for one replica does not keep all others unverified. */
const VERIFIED_AT_ONCE = 2;

export function createMultiRaft(options: MultiRaftOptions): MultiRaft {
  return new MultiRaftHost(options);
}

/**
 * All Raft groups of one broker on one ticker. What happens to a group marks it dirty; one deferred
 * turn collects what all dirty groups want, so that messages to one peer leave together, however many
 * groups they come from. Disk work of each group runs on its own: nothing here waits for a store.
 *
 * Invariants: at most one turn is scheduled; a group's error ends that group's life and no other's.
 */
class MultiRaftHost implements MultiRaft, ReplicaHost {
  readonly self: BrokerId;
  readonly world: World;
  readonly tuning: HostTuning;
  readonly metrics: HostMetrics;
  readonly store: BrokerStore;
  readonly createNode: CreateRaftNode;
  readonly config: RaftConfig;
  readonly openSlots: Slots;
  readonly verifySlots = new Slots(VERIFIED_AT_ONCE);
  readonly #options: MultiRaftOptions;
  readonly #transport: Transport;
  readonly #log: Logger;
  readonly #warnings: RateLimitedLog;
  readonly #snapshots: SnapshotSender;
  readonly #recent: RecentBudget;
  readonly #replicas = new Map<RaftGroupId, RaftReplica>();
  /** Closing or being deleted; an open of the same group waits for it. */
  readonly #ending = new Map<RaftGroupId, Promise<void>>();
  readonly #outbox = new Outbox();
  readonly #early: EarlyRequests;
  readonly #sleepers: Sleepers;
  readonly #commitNotices: CommitNotices<RaftGroupDriver>;
  #dirty = new Set<RaftGroupDriver>();
  #isTurnScheduled = false;
  #state: 'new' | 'running' | 'stopped' = 'new';
  #stopped: Promise<void> | undefined;
  #cancelTicker: Cancel | undefined;
  #tickDueMs = 0;
  #isLateTickPending = false;
  /** For longer than an election timeout, and its leaders have not been told yet. */
  #stoodStill = false;
  #ticksToReport = 0;

  constructor(options: MultiRaftOptions) {
    checkRaftConfig(options.config);
    this.#options = options;
    this.self = options.self;
    this.world = options.world;
    this.tuning = { ...DEFAULT_HOST_TUNING, ...options.tuning };
    this.metrics = hostMetrics(options.telemetry.metrics);
    this.store = options.store;
    this.createNode = options.createNode;
    this.config = options.config;
    this.openSlots = new Slots(this.tuning.opensInFlightMax);
    this.#transport = options.transport;
    this.#log = options.telemetry.log.child({ module: 'host' });
    this.#warnings = new RateLimitedLog(this.#log, this.world.clock, this.tuning.warnPeriodMs);
    this.#recent = new RecentBudget(this.tuning.recentEntriesBytesMax);
    const patienceMs = options.config.electionTicks * options.tickMs;
    this.#early = new EarlyRequests(this.world.clock, patienceMs);
    this.#sleepers = new Sleepers({
      self: this.self,
      boot: this.world.random.u32(),
      electionTicks: this.config.electionTicks,
      log: this.#log,
    });
    const { world, tuning, metrics } = this;
    this.#commitNotices = new CommitNotices(world.timers, tuning.commitNoticeMs, (driver) =>
      this.#guard(driver, () => driver.tellCommit()),
    );
    const { transport } = options;
    this.#snapshots = new SnapshotSender({ transport, world, tuning, metrics, log: this.#log });
  }

  // MultiRaft.

  start(): void {
    invariant(this.#state === 'new', 'the host is started once');
    this.#state = 'running';
    const { clock, timers } = this.world;
    this.#tickDueMs = clock.monotonicMs() + this.#options.tickMs;
    this.#cancelTicker = timers.every(this.#options.tickMs, () => this.#onTick());
    this.#transport.start({
      messages: (from, messages) => this.#receive(from, messages),
      snapshot: (from, header, state) => this.#receiveSnapshot(from, header, state),
      connectionLost: (peer) => this.#connectionLost(peer),
    });
    this.#scheduleTurn();
  }

  async open(
    spec: ReplicaSpec,
    owner: RaftGroupOwner,
    options: Parameters<MultiRaft['open']>[2] = {},
  ): Promise<RaftGroup> {
    const id = spec.groupId;
    let ending = this.#ending.get(id);
    while (ending !== undefined) {
      await ending.catch(() => undefined);
      ending = this.#ending.get(id);
    }
    if (this.#state === 'stopped') throw new BrokerError('SHUTTING_DOWN', 'the host has stopped');
    invariant(!this.#replicas.has(id), 'a group is opened once', { group: id });
    const replica = new RaftReplica(this, {
      spec,
      owner,
      preferredLeader: options.preferredLeader,
      durability: options.durability ?? FSYNC,
      tellsCommitAtOnce: options.tellsCommitAtOnce ?? false,
      log: this.#log,
    });
    this.#replicas.set(id, replica);
    try {
      await replica.open();
    } catch (error) {
      if (this.#replicas.get(id) === replica) this.#replicas.delete(id);
      throw error;
    }
    return replica;
  }

  async close(groupId: RaftGroupId): Promise<void> {
    await this.#end(groupId, { isDeleted: false });
  }

  async delete(groupId: RaftGroupId): Promise<void> {
    await this.#end(groupId, { isDeleted: true });
  }

  async #end(id: RaftGroupId, { isDeleted }: { readonly isDeleted: boolean }): Promise<void> {
    const before = this.#ending.get(id);
    const replica = this.#replicas.get(id);
    this.#replicas.delete(id);
    const end = async (): Promise<void> => {
      await before?.catch(() => undefined);
      await replica?.close({ saveState: !isDeleted });
      if (isDeleted) await this.store.deleteReplica(id);
    };
    const ending = end().finally(() => {
      if (this.#ending.get(id) === ending) this.#ending.delete(id);
    });
    this.#ending.set(id, ending);
    await ending;
  }

  mayLead(id: BrokerId): boolean {
    return this.#options.mayLead?.(id) ?? true;
  }

  async transferAllLeaderships(
    deadlineMs: number,
    { elseAnyone }: { readonly elseAnyone: boolean },
  ): Promise<void> {
    const untilMs = this.world.clock.monotonicMs() + deadlineMs;
    const led = [...this.#replicas.values()].filter((r) => r.driver?.isLeader === true);
    await Promise.all(led.map((replica) => this.#handOver(replica, { untilMs, elseAnyone })));
  }

  async #handOver(
    replica: RaftReplica,
    { untilMs, elseAnyone }: { readonly untilMs: number; readonly elseAnyone: boolean },
  ): Promise<void> {
    const { driver } = replica;
    if (driver === undefined) return;
    const heirs = { mayLead: (id: BrokerId) => this.mayLead(id), elseAnyone };
    const attemptMs = 2 * this.config.electionTicks * this.#options.tickMs;
    for (const to of transferTargets(driver.status(), replica.id, heirs)) {
      const leftMs = untilMs - this.world.clock.monotonicMs();
      if (leftMs <= 0 || replica.driver?.isLeader !== true) return;
      try {
        await replica.transferLeadership(to, Math.min(leftMs, attemptMs));
        return;
      } catch (error) {
        this.#log.debug({ error, raftGroup: replica.id, to }, 'a leadership stayed here');
      }
    }
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.#state = 'stopped';
    this.#cancelTicker?.();
    this.#commitNotices.stop();
    const ids = new Set([...this.#replicas.keys(), ...this.#ending.keys()]);
    const slots = new Slots(this.tuning.opensInFlightMax);
    await Promise.all([...ids].map((id) => slots.run(() => this.#closeInTime(id))));
  }

  async #closeInTime(id: RaftGroupId): Promise<void> {
    await new Promise<void>((resolve) => {
      const cancel = this.world.timers.after(this.tuning.closeTimeoutMs, () => {
        this.#log.warn({ raftGroup: id }, 'a replica did not close in time and is left behind');
        resolve();
      });
      const failed = (error: unknown): void => {
        this.#log.warn({ error, raftGroup: id }, 'a replica did not close well');
      };
      void this.close(id)
        .catch(failed)
        .finally(() => {
          cancel();
          resolve();
        });
    });
  }

  // What arrives.

  #receive(from: BrokerId, messages: readonly PeerMessage[]): void {
    if (this.#state !== 'running') return;
    for (const { group, message } of messages) {
      if (message.from !== from || message.to !== this.self) {
        this.#warnings.warn({ raftGroup: group, from, message }, 'a message came the wrong way');
      } else if (group === undefined) {
        this.#sleepers.heard(message);
        this.#scheduleTurn();
      } else {
        this.#receiveOne(group, message);
      }
    }
  }

  #receiveOne(group: RaftGroupId, message: Message): void {
    const replica = this.#replicas.get(group);
    const driver = replica?.driver;
    if (driver === undefined) {
      if (this.#early.keep(group, message)) return;
      this.metrics.messagesUnclaimed.add(1);
      // A replica that is fenced or opening is known and will be back.
      if (replica === undefined) {
        const facts = { raftGroup: group, from: message.from };
        this.#warnings.warn(facts, 'a message came for an unknown group');
      }
      return;
    }
    try {
      driver.receive(message);
    } catch (error) {
      driver.fail(error, true);
    }
  }

  async #receiveSnapshot(from: BrokerId, header: SnapshotHeader, state: Uint8Array): Promise<void> {
    const driver = this.#state === 'running' ? this.#driverOf(header.group) : undefined;
    if (driver === undefined) {
      const facts = { group: header.group };
      throw new BrokerError('BROKER_UNAVAILABLE', 'the replica is not serving', facts);
    }
    await driver.receiveSnapshot(from, header, state);
  }

  #connectionLost(peer: BrokerId): void {
    if (this.#state !== 'running') return;
    for (const { driver } of this.#replicas.values()) {
      if (driver !== undefined) this.#guard(driver, () => driver.connectionLost(peer));
    }
  }

  // Time.

  /**
   * A tick that comes far too late says that this process stood still, not that the leaders did: what
   * they sent meanwhile is still in the sockets. Read that first, and count one tick for all missed.
   * Later than an election timeout, others may lead in place of those here: these ask for a quorum anew.
   */
  #onTick(): void {
    const { tickMs } = this.#options;
    const nowMs = this.world.clock.monotonicMs();
    const lateMs = nowMs - this.#tickDueMs;
    this.#tickDueMs = nowMs + tickMs;
    const electionMs = this.config.electionTicks * tickMs;
    if (lateMs > electionMs) this.#stoodStill = true;
    if (this.#isLateTickPending) return;
    if (lateMs <= electionMs / 2) {
      this.#tickAll();
      return;
    }
    this.metrics.ticksLate.add(1);
    this.#warnings.warn({ lateMs: Math.round(lateMs) }, 'the event loop stood still');
    this.#isLateTickPending = true;
    const { timers } = this.world;
    // Twice: bytes are read in one round of the loop and may reach us as messages only in the next.
    timers.defer(() =>
      timers.defer(() => {
        this.#isLateTickPending = false;
        this.#tellStalled();
        this.#tickAll();
      }),
    );
  }

  /** Those that sleep, too: the pulses that keep their followers asleep did not leave. */
  #tellStalled(): void {
    if (!this.#stoodStill || this.#state !== 'running') return;
    this.#stoodStill = false;
    for (const { driver } of this.#replicas.values()) {
      if (driver?.isLeader === true) this.#guard(driver, () => driver.stalled());
    }
  }

  #tickAll(): void {
    if (this.#state !== 'running') return;
    if (this.#sleepers.tick()) this.#scheduleTurn();
    for (const { driver } of this.#replicas.values()) {
      if (driver === undefined || driver.isAsleep) continue;
      try {
        driver.tick();
      } catch (error) {
        driver.fail(error, true);
      }
    }
    this.#ticksToReport -= 1;
    if (this.#ticksToReport <= 0) this.#report();
  }

  #report(): void {
    this.#ticksToReport = Math.ceil(1_000 / this.#options.tickMs);
    let leaders = 0;
    let fenced = 0;
    let applyLag = 0;
    let proposals = 0;
    for (const { driver } of this.#replicas.values()) {
      if (driver === undefined) {
        fenced += 1;
        continue;
      }
      if (driver.isLeader) leaders += 1;
      applyLag = Math.max(applyLag, driver.applier.lag);
      proposals += driver.proposalsPending;
    }
    this.metrics.groups.set(this.#replicas.size);
    this.metrics.leaders.set(leaders);
    this.metrics.asleep.set(this.#sleepers.count);
    this.metrics.fenced.set(fenced);
    this.metrics.applyLagEntries.set(applyLag);
    this.metrics.proposalsPending.set(proposals);
    this.metrics.recentBytes.set(this.#recent.totalBytes);
  }

  // The turn.

  markDirty(driver: RaftGroupDriver): void {
    this.#dirty.add(driver);
    this.#scheduleTurn();
  }

  #scheduleTurn(): void {
    if (this.#isTurnScheduled || this.#state !== 'running') return;
    this.#isTurnScheduled = true;
    this.world.timers.defer(() => this.#turn());
  }

  #turn(): void {
    this.#isTurnScheduled = false;
    if (this.#state !== 'running') return;
    const turn = this.#dirty;
    this.#dirty = new Set();
    for (const driver of turn) this.#guard(driver, () => driver.collect(this.#outbox));
    for (const pulse of this.#sleepers.takePulses()) {
      this.#outbox.add(pulse.to, { group: undefined, message: pulse });
    }
    this.#flush();
    this.#sleepers.judgeHeard();
    this.#applyInTurn(turn);
    for (const driver of turn) if (driver.isRunning) this.#recent.used(driver);
    this.#recent.enforce();
  }

  #flush(): void {
    const sent = this.#outbox.flush(this.#transport, (to, messages) => {
      this.metrics.messagesDropped.add(messages.length);
      for (const group of new Set(messages.map((m) => m.group))) {
        const driver = group === undefined ? undefined : this.#driverOf(group);
        if (driver !== undefined) this.#guard(driver, () => driver.peerUnreachable(to));
      }
    });
    if (sent > 0) this.metrics.messagesSent.add(sent);
  }

  /** Groups that found the turn's budget spent come first in the next one. */
  #applyInTurn(turn: ReadonlySet<RaftGroupDriver>): void {
    let bytesLeft = this.tuning.applyTurnBytesMax;
    const more: RaftGroupDriver[] = [];
    for (const driver of turn) {
      if (driver.applier.hasWork) {
        if (bytesLeft <= 0) {
          this.markDirty(driver);
          continue;
        }
        this.#guard(driver, () => {
          bytesLeft -= driver.applier.applySome(bytesLeft);
        });
      }
      if (driver.hasWork()) more.push(driver);
    }
    for (const driver of more) this.markDirty(driver);
  }

  sendSnapshot(
    driver: RaftGroupDriver,
    peer: BrokerId,
    repairTarget: RepairTarget | undefined,
  ): void {
    this.#snapshots.send(driver, peer, repairTarget);
  }

  takeEarly(group: RaftGroupId): readonly PreVoteRequest[] {
    return this.#early.take(group);
  }

  sleepChanged(driver: RaftGroupDriver, asleep: Asleep | undefined): void {
    this.#sleepers.changed(driver, asleep);
  }

  commitOwed(driver: RaftGroupDriver): void {
    this.#commitNotices.owed(driver);
  }

  driverEnded(driver: RaftGroupDriver): void {
    this.#commitNotices.forget(driver);
    this.#sleepers.forget(driver);
    this.#dirty.delete(driver);
    this.#recent.forget(driver);
  }

  replicaStopped(group: RaftGroupId, error: unknown): void {
    this.metrics.stopped.add(1);
    this.#options.replicaStopped?.(group, error);
  }

  #driverOf(group: RaftGroupId): RaftGroupDriver | undefined {
    return this.#replicas.get(group)?.driver;
  }

  /** What a group's own code throws ends that group's life: a bug, so it is not opened again. */
  #guard(driver: RaftGroupDriver, step: () => void): void {
    try {
      step();
    } catch (error) {
      driver.fail(error, true);
    }
  }
}
