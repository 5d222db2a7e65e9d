import { InvariantError, invariant } from '../base/assert.js';
import type { Slots } from '../base/slots.js';
import { sameDurability, type Durability } from '../model/durability.js';
import { BrokerError } from '../model/errors.js';
import type { BrokerId, LogIndex, RaftGroupId } from '../model/ids.js';
import { logIndex } from '../model/ids.js';
import type { IndexRange, LogEntry, RewrittenPayload } from '../model/log-entry.js';
import type { Membership } from '../model/membership.js';
import type { BrokerStore, LoadedReplica, LogStore, ReplicaSpec } from '../ports/log-store.js';
import type { Logger } from '../ports/telemetry.js';
import type { Cancel } from '../ports/world.js';
import { CommitConflictError } from '../raft/commit-conflict.js';
import type { RaftStatus } from '../raft/io.js';
import type { PreVoteRequest } from '../raft/message.js';
import type { CreateRaftNode } from '../raft/raft-node.js';
import { MembershipHistory } from './membership-history.js';
import { campaignRank } from './leadership.js';
import type { DriverHost } from './driver-host.js';
import { RaftGroupDriver } from './raft-group-driver.js';
import type { ProposalObserver, ProposeOutcome, RaftGroup, RaftGroupOwner } from './raft-group.js';

const UNAVAILABLE: ProposeOutcome = { accepted: false, reason: 'unavailable', leader: undefined };

/** Multiples of it leave no two groups close together: the golden section. */
const SPREAD = 0.618_033_988_749_895;
/** The first of the readings of a log comes within this part of the time between them. */
const SCRUBS_FIRST_SHARE = 12;

/** What a replica needs of the host it lives in. */
export interface ReplicaHost extends DriverHost<RaftGroupDriver> {
  readonly store: BrokerStore;
  readonly createNode: CreateRaftNode;
  /** Bounds how many replicas open side by side. */
  readonly openSlots: Slots;
  /** Few replicas are verified at a time: it costs disk and a core. */
  readonly verifySlots: Slots;
  /** What came for a replica that was not open yet. */
  takeEarly(group: RaftGroupId): readonly PreVoteRequest[];
  driverEnded(driver: RaftGroupDriver): void;
  replicaStopped(group: RaftGroupId, error: unknown): void;
}

export interface ReplicaOptions {
  readonly spec: ReplicaSpec;
  readonly owner: RaftGroupOwner;
  /** Who should lead, where that is known. */
  readonly preferredLeader: BrokerId | undefined;
  readonly durability: Durability;
  readonly tellsCommitAtOnce: boolean;
  readonly log: Logger;
}

/**
 * One Raft group on this broker through all its lives: opens its store, gives it to a driver, and
 * when that life ends by an error, fences the replica and opens it anew after a while. A bug of ours
 * stops it for good instead: a stopped replica costs liveness, a wrong one data.
 *
 * Invariants: at most one driver at a time, and none before the last one's store was closed; `close`
 * may be called at any time and any number of times.
 */
export class RaftReplica implements RaftGroup {
  readonly id: RaftGroupId;
  readonly #host: ReplicaHost;
  readonly #spec: ReplicaSpec;
  readonly #owner: RaftGroupOwner;
  readonly #preferredLeader: BrokerId | undefined;
  readonly #tellsCommitAtOnce: boolean;
  readonly #log: Logger;
  #durability: Durability;
  /** Entries were written here without a sync, in this life or an earlier one. */
  #wasUnsynced = false;
  #driver: RaftGroupDriver | undefined;
  #isClosing = false;
  #closed: Promise<void> | undefined;
  /** The opening, or the closing after an error, that is under way; never rejects. */
  #busy: Promise<void> = Promise.resolve();
  #failures = 0;
  #isToldFenced = false;
  #openedMs = 0;
  #cancelReopen: Cancel | undefined;

  constructor(host: ReplicaHost, options: ReplicaOptions) {
    const { spec, log } = options;
    this.id = spec.groupId;
    this.#host = host;
    this.#spec = spec;
    this.#owner = options.owner;
    this.#preferredLeader = options.preferredLeader;
    this.#tellsCommitAtOnce = options.tellsCommitAtOnce;
    this.#durability = options.durability;
    this.#log = log.child({ raftGroup: spec.groupId });
  }

  /** The current life; undefined while fenced, opening or closed. */
  get driver(): RaftGroupDriver | undefined {
    return this.#driver;
  }

  /** Rejects if the replica could not be created; a failed opening is retried instead. */
  async open(): Promise<void> {
    const opening = this.#openFirst();
    this.#busy = opening.catch(() => undefined);
    await opening;
  }

  async #openFirst(): Promise<void> {
    const { store } = this.#host;
    const exists = store.replicas().some((r) => r.spec.groupId === this.id);
    if (!exists) await this.#host.openSlots.run(() => store.createReplica(this.#spec));
    if (!this.#isClosing) await this.#attempt();
  }

  close(options: { readonly saveState: boolean }): Promise<void> {
    this.#closed ??= this.#close(options);
    return this.#closed;
  }

  async #close(options: { readonly saveState: boolean }): Promise<void> {
    this.#isClosing = true;
    this.#cancelReopen?.();
    const driver = this.#driver;
    this.#driver = undefined;
    if (driver !== undefined) {
      this.#host.driverEnded(driver);
      await this.#closeDriver(driver, options);
    }
    await this.#busy;
  }

  async #closeDriver(
    driver: RaftGroupDriver,
    options: { readonly saveState: boolean },
  ): Promise<void> {
    try {
      await driver.close(options);
    } catch (error) {
      this.#log.warn({ error }, 'the store did not close well');
    }
  }

  // Lives.

  async #attempt(): Promise<void> {
    let store: LogStore | undefined;
    try {
      const opened = await this.#host.openSlots.run(() => this.#host.store.openReplica(this.id));
      store = opened.store;
      if (!this.#isClosing) {
        this.#begin(store, opened.loaded);
        return;
      }
    } catch (error) {
      // Only opening the store may fail and be retried; what fails after it is a bug.
      if (!this.#isClosing) {
        this.#tellFenced(error);
        this.#fence(error, store !== undefined || error instanceof InvariantError);
      }
    }
    if (store !== undefined) await this.#closeStore(store);
  }

  #begin(store: LogStore, loaded: LoadedReplica): void {
    const { snapshot } = loaded.raft;
    const applied = this.#restoreMachine(loaded);
    const init = {
      ...loaded.raft,
      self: this.#host.self,
      applied,
      seed: this.#host.world.random.u32(),
      rankSalt: this.id,
    };
    const base = { index: snapshot.last.index, membership: snapshot.membership };
    const driver: RaftGroupDriver = new RaftGroupDriver(this.#host, {
      id: this.id,
      node: this.#host.createNode(init, this.#host.config),
      store,
      owner: this.#owner,
      log: this.#log,
      applied,
      snapshot,
      memberships: new MembershipHistory(base, loaded.raft.memberships, applied),
      tellsCommitAtOnce: this.#tellsCommitAtOnce,
      failed: (error, isBug) => this.#driverFailed(driver, store, error, isBug),
    });
    this.#logOpened(loaded, applied);
    this.#wasUnsynced ||= loaded.wasUnsynced === true;
    this.#applyDurability(driver);
    this.#owner.applied(applied);
    this.#driver = driver;
    this.#isToldFenced = false;
    this.#openedMs = this.#host.world.clock.monotonicMs();
    this.#seekLeader(driver, loaded);
    this.#host.markDirty(driver);
    this.#verifyLater(driver, loaded);
  }

  /**
   * A replica that opens does not wait a whole timeout in silence for a leader that may not be there:
   * voters ask for pre-votes one after another. Where a leader lives, it is heard before, and the others
   * grant nothing. The preferred leader is the first of a new group; later, when a broker may open its
   * replicas before it knows of any preference, the order is one that all know. Who asked before this
   * replica was open knows of no leader either: the first goes ahead of it, any other answers.
   */
  #seekLeader(driver: RaftGroupDriver, { raft }: LoadedReplica): void {
    const { id } = this;
    const { voters } = driver.status().membership;
    const isNew = raft.hardState.term === 0 && raft.last.index === 0;
    const preferredLeader = isNew ? this.#preferredLeader : undefined;
    const rank = campaignRank(voters, this.#host.self, { id, preferredLeader });
    const early = this.#host.takeEarly(id);
    if (rank === undefined) return;
    const isLeaderless = isNew || voters.length === 1 || early.length > 0;
    const first = isLeaderless ? 0 : this.#host.config.heartbeatTicks;
    const jitter = rank === 0 ? 0 : this.#host.world.random.u32() % 2;
    driver.campaignIn(first + 2 * rank + jitter);
    const goesAhead = rank === 0 && !isNew;
    if (!goesAhead) for (const request of early) driver.receive(request);
  }

  #restoreMachine(loaded: LoadedReplica): LogIndex {
    const { machine } = this.#owner;
    const { checkpoint, snapshot } = loaded;
    const base = loaded.raft.snapshot.last.index;
    if (checkpoint !== undefined && checkpoint.index >= base) {
      invariant(checkpoint.index <= loaded.raft.last.index, 'a checkpoint stands on the log', {
        checkpoint: checkpoint.index,
        last: loaded.raft.last.index,
      });
      machine.restore(checkpoint.state, checkpoint.index);
      return checkpoint.index;
    }
    invariant((snapshot?.meta.last.index ?? logIndex(0)) === base, 'the snapshot is complete', {
      base,
    });
    machine.restore(snapshot?.state, base);
    return base;
  }

  #logOpened(loaded: LoadedReplica, applied: LogIndex): void {
    const { last, hardState } = loaded.raft;
    const fields = { last: last.index, term: hardState.term, applied };
    if (loaded.verdict.kind === 'tailLost') {
      this.#host.metrics.tailsLost.add(1);
      this.#log.error(
        { ...fields, reason: loaded.verdict.reason },
        'the replica may have lost acknowledged entries: its peers will repair it',
      );
    } else if (loaded.verdict.kind === 'damaged') {
      this.#log.warn(
        { ...fields, reason: loaded.verdict.reason },
        'the replica was damaged and emptied: its peers will rebuild it',
      );
    } else {
      this.#log.debug({ ...fields, needsRepair: hardState.needsRepair }, 'opened the replica');
    }
  }

  /**
   * At once what did not come to a clean end. All others some time within half a day, each at its own
   * moment: a broker that is restarted every day gets round to it, too.
   */
  #verifyLater(driver: RaftGroupDriver, loaded: LoadedReplica): void {
    const { verifyBytesPerSecondMax, scrubEveryMs } = this.#host.tuning;
    if (verifyBytesPerSecondMax === 0) return;
    const { kind } = loaded.verdict;
    const isUnclean = (kind === 'sound' || kind === 'tailLost') && loaded.wasCleanlyClosed !== true;
    const place = ((this.id + 1) * SPREAD) % 1;
    driver.upkeep.scrub({
      timers: this.#host.world.timers,
      slots: this.#host.verifySlots,
      bytesPerSecondMax: verifyBytesPerSecondMax,
      firstInMs: isUnclean ? 0 : place * (scrubEveryMs / SCRUBS_FIRST_SHARE),
      everyMs: scrubEveryMs,
    });
  }

  #driverFailed(driver: RaftGroupDriver, store: LogStore, error: unknown, isBug: boolean): void {
    this.#host.driverEnded(driver);
    if (this.#driver !== driver) return;
    this.#driver = undefined;
    const ranMs = this.#host.world.clock.monotonicMs() - this.#openedMs;
    if (ranMs >= this.#host.tuning.reopenForgiveMs) this.#failures = 0;
    // The next life opens the store that this one must have let go of.
    if (error instanceof CommitConflictError && this.#wasUnsynced) {
      this.#busy = this.#giveUp(store, error).then(() => this.#fence(error, false));
    } else {
      this.#busy = this.#closeStore(store).then(() => this.#fence(error, isBug));
    }
    this.#tellFenced(error);
  }

  /** Never rejects: what was not noted is noted when the leader contradicts the next life. */
  async #giveUp(store: LogStore, error: CommitConflictError): Promise<void> {
    this.#host.metrics.logsGivenUp.add(1);
    const message =
      'the group went on without committed entries that are here: this log is set aside';
    this.#log.error({ ...error.facts }, message);
    try {
      await store.giveUp();
    } catch (failure) {
      this.#log.warn({ error: failure }, 'could not give the log up');
    }
    await this.#closeStore(store);
  }

  #fence(error: unknown, isBug: boolean): void {
    if (this.#isClosing) return;
    if (isBug) {
      this.#log.error({ error }, 'stopped the replica: an invariant was broken');
      this.#host.replicaStopped(this.id, error);
      return;
    }
    const delayMs = this.#reopenDelayMs();
    this.#failures += 1;
    this.#log.error({ error, retryMs: Math.round(delayMs) }, 'fenced the replica');
    this.#host.metrics.fencings.add(1);
    this.#cancelReopen = this.#host.world.timers.after(delayMs, () => {
      this.#busy = this.#attempt();
    });
  }

  /** Doubles with every failure, up to a maximum; half of it is jitter. */
  #reopenDelayMs(): number {
    const { reopenDelayMinMs, reopenDelayMaxMs } = this.#host.tuning;
    const full = Math.min(reopenDelayMaxMs, reopenDelayMinMs * 2 ** Math.min(this.#failures, 20));
    return full * (0.5 + this.#host.world.random.u32() / 2 ** 33);
  }

  #tellFenced(reason: unknown): void {
    if (this.#isToldFenced) return;
    this.#isToldFenced = true;
    try {
      this.#owner.fenced(reason);
    } catch (error) {
      this.#log.error({ error }, 'the owner failed on hearing that its replica is fenced');
    }
  }

  async #closeStore(store: LogStore): Promise<void> {
    try {
      await store.close();
    } catch (error) {
      this.#log.debug({ error }, 'a failed store did not close well');
    }
  }

  // RaftGroup.

  setDurability(durability: Durability): void {
    if (sameDurability(durability, this.#durability)) return;
    this.#durability = durability;
    if (this.#driver !== undefined) this.#applyDurability(this.#driver);
  }

  /** Before anything else is written in this life, or between two writes of it. */
  #applyDurability(driver: RaftGroupDriver): void {
    if (this.#durability.kind !== 'fsync') this.#wasUnsynced = true;
    driver.setDurability(this.#durability);
  }

  status(): RaftStatus | undefined {
    return this.#driver?.status();
  }

  isLeaderReady(): boolean {
    return this.#driver?.isLeaderReady ?? false;
  }

  propose(
    proposal: { readonly kind: 'batch' | 'command'; readonly payload: Uint8Array },
    observer: ProposalObserver,
  ): ProposeOutcome {
    return this.#driver?.propose(proposal, observer) ?? UNAVAILABLE;
  }

  async readBarrier(deadlineMs: number): Promise<void> {
    await this.#serving().requests.readBarrier(deadlineMs);
  }

  async changeMembership(
    target: Pick<Membership, 'voters' | 'learners'>,
    deadlineMs: number,
  ): Promise<void> {
    await this.#serving().requests.changeMembership(target, deadlineMs);
  }

  async transferLeadership(to: BrokerId, deadlineMs: number): Promise<void> {
    await this.#serving().requests.transferLeadership(to, deadlineMs);
  }

  recent(range: IndexRange, bytesMax: number): readonly LogEntry[] | undefined {
    return this.#driver?.recent(range, bytesMax);
  }

  async read(range: IndexRange, bytesMax: number): Promise<readonly LogEntry[]> {
    return await this.#serving().reader.read(range, bytesMax);
  }

  firstIndex(): LogIndex {
    return this.#driver?.reader.firstIndex ?? logIndex(1);
  }

  async truncatePrefix(last: LogIndex, state: Uint8Array): Promise<void> {
    await this.#serving().prefix.truncate(last, state);
  }

  async baseState(): Promise<{ readonly index: LogIndex; readonly state: Uint8Array } | undefined> {
    const snapshot = await this.#serving().upkeep.snapshot();
    return snapshot && { index: snapshot.meta.last.index, state: snapshot.state };
  }

  async rewrite(payloads: readonly RewrittenPayload[]): Promise<void> {
    await this.#serving().rewrite(payloads);
  }

  async saveNote(note: Uint8Array): Promise<void> {
    await this.#serving().upkeep.saveNote(note);
  }

  async note(): Promise<Uint8Array | undefined> {
    return await this.#serving().upkeep.note();
  }

  async sizeBytes(): Promise<number> {
    return await this.#serving().upkeep.sizeBytes();
  }

  #serving(): RaftGroupDriver {
    if (this.#driver === undefined) {
      throw new BrokerError('BROKER_UNAVAILABLE', 'the replica is not serving', { group: this.id });
    }
    return this.#driver;
  }
}
