import { InvariantError, invariant } from '../base/assert.js';
import type { Durability } from '../model/durability.js';
import { BrokerError } from '../model/errors.js';
import type { BrokerId, LogIndex, RaftGroupId, Term } from '../model/ids.js';
import type { IndexRange, LogEntry, RewrittenPayload } from '../model/log-entry.js';
import type { LogStore } from '../ports/log-store.js';
import type { Logger } from '../ports/telemetry.js';
import type { SnapshotHeader } from '../ports/transport.js';
import type {
  Persist,
  ProposeResult,
  RaftEvent,
  RaftStatus,
  Ready,
  Role,
  RoleChange,
} from '../raft/io.js';
import type { Message } from '../raft/message.js';
import type { RaftNode } from '../raft/raft-node.js';
import { Applier } from './applier.js';
import { DiskWatch } from './disk-watch.js';
import type { DriverHost, DriverStart } from './driver-host.js';
import { GroupRequests } from './group-requests.js';
import { Idleness } from './idleness.js';
import { logRoleChange, transferTargets } from './leadership.js';
import { LogReader } from './log-reader.js';
import { LogUpkeep } from './log-upkeep.js';
import type { Outbox } from './outbox.js';
import { PersistTracker } from './persist-tracker.js';
import { PrefixMover } from './prefix-mover.js';
import { Proposals } from './proposals.js';
import type { ProposalObserver, ProposeOutcome, RaftGroupOwner } from './raft-group.js';
import { SnapshotIntake, type IncomingSnapshot } from './snapshot-intake.js';
import { Waiters } from './waiters.js';

const TICK = { kind: 'tick' } as const;
const WAKE = { kind: 'wake' } as const;
const TELL_COMMIT = { kind: 'tellCommit' } as const;
const STALLED = { kind: 'stalled' } as const;

/**
 * One life of one replica: feeds its core, carries out what the core wants, has applied what is committed.
 * It begins with an open store and ends with the first error or with close; a fenced replica that
 * comes back gets a new driver.
 *
 * Invariants: every committed entry is applied once, in order; persists complete in the order of their
 * tickets; after the end nothing is stepped, applied or sent.
 */
export class RaftGroupDriver {
  readonly id: RaftGroupId;
  readonly requests: GroupRequests;
  readonly upkeep: LogUpkeep;
  readonly reader: LogReader;
  readonly prefix: PrefixMover;
  readonly applier: Applier;
  readonly #host: DriverHost<RaftGroupDriver>;
  readonly #node: RaftNode;
  readonly #store: LogStore;
  readonly #owner: RaftGroupOwner;
  readonly #log: Logger;
  readonly #failed: (error: unknown, isBug: boolean) => void;
  readonly #proposals = new Proposals();
  readonly #persists = new PersistTracker();
  readonly #waiters: Waiters;
  readonly #disk: DiskWatch;
  readonly #idleness: Idleness;
  readonly #incoming = new SnapshotIntake();
  readonly #tellsCommitAtOnce: boolean;
  #phase: 'running' | 'closing' | 'ended' = 'running';
  #role: Role = 'follower';
  #term: Term;
  #durability: Durability['kind'] = 'fsync';

  constructor(host: DriverHost<RaftGroupDriver>, start: DriverStart) {
    this.id = start.id;
    this.#host = host;
    this.#node = start.node;
    this.#store = start.store;
    this.#owner = start.owner;
    this.#log = start.log;
    this.#failed = start.failed;
    this.#tellsCommitAtOnce = start.tellsCommitAtOnce;
    this.#waiters = new Waiters(host.world.timers);
    const { node, store, log, memberships } = start;
    const { tuning, metrics } = host;
    const { clock } = host.world;
    const step = (run: () => void): void => this.#stepGuarded(run);
    const fail = (error: unknown): void => this.fail(error);
    const waiters = this.#waiters;
    this.requests = new GroupRequests({ node, clock, waiters, memberships, step });
    this.reader = new LogReader(node, store, start.snapshot, fail);
    this.upkeep = new LogUpkeep({
      ...{ store, log, reader: this.reader, failed: fail },
      verifications: metrics.verifications,
    });
    this.applier = new Applier({
      ...{ life: this, node, store, memberships, waiters, metrics, tuning },
      owner: start.owner,
      applied: start.applied,
      proposals: this.#proposals,
      arrived: () => host.markDirty(this),
      failed: fail,
    });
    this.prefix = new PrefixMover({
      ...{ life: this, node, store, memberships, step },
      reader: this.reader,
      applier: this.applier,
      durability: () => this.#durability,
    });
    this.#disk = new DiskWatch({
      persists: this.#persists,
      clock,
      diskStallMs: tuning.diskStallMs,
      heir: () => this.#heir(),
      handOver: (to) => this.#node.step({ kind: 'transferLeadership', to }),
      log,
    });
    this.#idleness = new Idleness({
      node,
      quiesceAfterTicks: tuning.quiesceAfterTicks,
      changed: (asleep) => host.sleepChanged(this, asleep),
    });
    this.#term = node.status().term;
  }

  // What it tells.

  get isRunning(): boolean {
    return this.#phase === 'running';
  }
  get isLeader(): boolean {
    return this.#role === 'leader';
  }
  get isLeaderReady(): boolean {
    return this.isLeader && this.applier.ownTermFrom?.term === this.#term;
  }
  /** Needs no ticks. */
  get isAsleep(): boolean {
    return this.#idleness.isAsleep;
  }
  /** The machine stands where the log does: no snapshot is on its way into it. */
  get maySaveState(): boolean {
    return !this.#incoming.isBusy;
  }
  get term(): Term {
    return this.#term;
  }
  get proposalsPending(): number {
    return this.#proposals.size;
  }
  status(): RaftStatus {
    return this.#node.status();
  }
  recent(range: IndexRange, bytesMax: number): readonly LogEntry[] | undefined {
    return this.#node.recent(range, bytesMax);
  }
  recentBytes(): number {
    return this.#node.recentBytes();
  }
  trimRecent(bytesMax: number): void {
    this.#node.trimRecent(bytesMax);
  }

  /** Replaces payloads on disk; what was in memory of them is read from there afterwards. */
  async rewrite(payloads: readonly RewrittenPayload[]): Promise<void> {
    const last = payloads.at(-1);
    if (last === undefined) return;
    invariant(last.index <= this.applier.applied, 'only what is applied is rewritten', {
      ...last,
    });
    await this.upkeep.rewrite(payloads);
    if (!this.isRunning) return;
    this.#node.trimRecent(0, last.index);
    this.#host.markDirty(this);
  }

  // What it hears. The caller guards these: what they throw ends this life.

  tick(): void {
    this.#node.step(TICK);
    this.requests.checkTransfers();
    if (this.isLeader) this.#lead();
    if (this.#node.hasReady()) this.#host.markDirty(this);
  }

  #lead(): void {
    this.#disk.check();
    if (this.#idleness.tick()) this.#host.markDirty(this);
  }

  /** Unless something that went to its followers meanwhile has. */
  tellCommit(): void {
    if (this.isRunning && this.#node.owesCommit) this.#step(TELL_COMMIT);
  }

  wake(): void {
    this.#stepGuarded(() => this.#node.step(WAKE));
  }

  /** The host stood still for longer than an election timeout. */
  stalled(): void {
    this.#step(STALLED);
  }

  pulseLapsed(peer: BrokerId): void {
    this.#guard(() => this.connectionLost(peer));
  }

  #heir(): BrokerId | undefined {
    const mayLead = (id: BrokerId): boolean => this.#host.mayLead(id);
    return transferTargets(this.#node.status(), this.id, { mayLead, elseAnyone: true })[0];
  }

  receive(message: Message): void {
    this.#step({ kind: 'message', message });
  }

  peerUnreachable(peer: BrokerId): void {
    this.#node.step({ kind: 'peerUnreachable', peer });
    if (this.#node.hasReady()) this.#host.markDirty(this);
  }

  campaignIn(ticks: number): void {
    this.#step({ kind: 'campaign', inTicks: ticks });
  }

  connectionLost(peer: BrokerId): void {
    const { membership } = this.#node.status();
    const { voters, votersOutgoing, learners, learnersNext } = membership;
    const lists = [voters, votersOutgoing, learners, learnersNext];
    if (!lists.some((ids) => ids.includes(peer))) return;
    this.#step({ kind: 'connectionLost', peer });
  }

  /** Resolves once the snapshot is installed or refused; rejects if the sender should try again. */
  receiveSnapshot(from: BrokerId, header: SnapshotHeader, state: Uint8Array): Promise<void> {
    if (this.#incoming.isBusy) {
      return Promise.reject(new BrokerError('THROTTLED', 'another snapshot is being installed'));
    }
    const { term, meta: snapshot, repairTarget } = header;
    const done = this.#incoming.offer({ meta: snapshot, state });
    this.#stepGuarded(() =>
      this.#node.step({ kind: 'snapshotReceived', from, term, snapshot, repairTarget }),
    );
    return done;
  }

  snapshotReported(peer: BrokerId, lastIndex: LogIndex, ok: boolean): void {
    this.#stepGuarded(() => this.#node.step({ kind: 'snapshotReported', peer, lastIndex, ok }));
  }

  /** A store opens with `fsync`; from the next write on. */
  setDurability(durability: Durability): void {
    if (durability.kind === 'fsync' && this.#durability === 'fsync') return;
    this.#durability = durability.kind;
    this.#store.setDurability(durability).catch((error: unknown) => this.fail(error));
  }

  propose(
    proposal: { readonly kind: 'batch' | 'command'; readonly payload: Uint8Array },
    observer: ProposalObserver,
  ): ProposeOutcome {
    // Followers alone can commit, so that only this bounds what waits for a slow disk here.
    if (this.#persists.bytes >= this.#host.config.uncommittedBytesMax) {
      return { accepted: false, reason: 'tailFull', leader: this.#host.self };
    }
    const timeMs = this.#host.world.clock.nowMs();
    const { kind, payload } = proposal;
    let result: ProposeResult;
    try {
      result = this.#node.propose([{ kind, payload, timeMs }]);
    } catch (error) {
      // Nothing of it reaches disk or peers: this life ends before its core is asked again.
      this.fail(error, true);
      return { accepted: false, reason: 'unavailable', leader: undefined };
    }
    if (!result.accepted) return result;
    // An earlier term's proposals are lost if the role change has not come out of the core yet.
    if (result.first.term !== this.#term) {
      this.#proposals.failExceptTerm(result.first.term, this.applier.next);
    }
    this.#proposals.add(result.first, observer);
    this.#host.markDirty(this);
    return { accepted: true, id: result.first, timeMs: result.timeMs };
  }

  // The turn: collect what the core wants, then apply.

  hasWork(): boolean {
    if (this.#phase !== 'running') return false;
    return this.#node.hasReady() || this.applier.hasWork;
  }

  collect(outbox: Outbox): void {
    if (this.#phase !== 'running') return;
    if (this.#tellsCommitAtOnce && this.#node.owesCommit) this.#node.step(TELL_COMMIT);
    if (this.#node.hasReady()) this.#carryOut(this.#node.ready(), outbox);
    // Whoever heard of it may have closed this replica.
    if (this.isRunning) {
      if (this.#node.owesCommit) this.#host.commitOwed(this);
      this.#idleness.notice();
    }
    this.#incoming.dropUnlessStarted();
  }

  #carryOut(ready: Ready, outbox: Outbox): void {
    if (ready.persists.length > 0 || ready.barriersReached.length > 0) this.#idleness.end();
    for (const write of ready.persists) this.#startPersist(write);
    for (const message of ready.messages) outbox.add(message.to, { group: this.id, message });
    if (ready.committed !== undefined) this.applier.committed(ready.committed);
    if (ready.roleChange !== undefined) this.#roleChanged(ready.roleChange);
    for (const { token, index } of ready.barriersReached) {
      this.#waiters.barrierReached(token, index, this.applier.applied);
    }
    for (const token of ready.barriersFailed) this.#waiters.barrierFailed(token);
    for (const { peer, from, bytesMax } of ready.catchUpReads) {
      this.#catchUpRead(peer, from, bytesMax);
    }
    for (const { peer, repairTarget } of ready.snapshotsToSend) {
      this.#host.sendSnapshot(this, peer, repairTarget);
    }
  }

  #roleChanged(change: RoleChange): void {
    const { role, term, leader, mayHaveLost } = change;
    const before = { role: this.#role, term: this.#term };
    const won = role === 'leader' && (before.role !== 'leader' || before.term !== term);
    this.#role = role;
    this.#term = term;
    if (won) this.#host.metrics.electionsWon.add(1);
    if (role === 'candidate') this.#host.metrics.campaigns.add(1);
    this.#proposals.failExceptTerm(role === 'leader' ? term : undefined, this.applier.next);
    if (before.role === 'leader' && (role !== 'leader' || won)) {
      this.#waiters.steppedDown(this.applier.next, this.applier.applied);
    }
    if (leader !== undefined && leader !== this.#host.self) this.#waiters.transferEnded(leader);
    if (mayHaveLost === true) this.#host.metrics.recoveries.add(1);
    logRoleChange(this.#log, change, this.#node.status().last.index);
    this.#owner.roleChanged(change);
  }

  // Persisting.

  #startPersist(write: Persist): void {
    const install = write.install && this.#incoming.start(write.install);
    if (install !== undefined) this.applier.installing(install);
    this.#persists.started(write, this.#host.world.clock.monotonicMs());
    this.#store.persist(write, install?.state).then(
      () => this.#guard(() => this.#persisted(write, install)),
      (error: unknown) => this.fail(error),
    );
  }

  #persisted(write: Persist, install: IncomingSnapshot | undefined): void {
    this.#persists.finished(write.ticket, this.#host.world.clock.monotonicMs());
    if (install !== undefined) {
      this.reader.prefixMoved(install.meta);
      this.applier.restore(install);
    }
    this.#node.step({ kind: 'persisted', ticket: write.ticket });
    if (install !== undefined) this.#installed(install);
    const last = write.append?.entries[write.append.entries.length - 1];
    if (last !== undefined) this.#proposals.persisted(last);
    this.applier.saveStateWhenDue();
    if (this.#phase === 'running') this.#host.markDirty(this);
  }

  #installed(install: IncomingSnapshot): void {
    const { index } = install.meta.last;
    this.#host.metrics.snapshotsInstalled.add(1);
    this.#log.info({ index, term: this.#term }, 'installed a snapshot');
    this.#incoming.finish();
    this.applier.tellApplied();
  }

  // Reading.

  #catchUpRead(peer: BrokerId, from: LogIndex, bytesMax: number): void {
    const term = this.#term;
    this.reader.slice(from, bytesMax).then(
      (slice) =>
        this.#stepGuarded(() => {
          const isStale = !this.isLeader || this.#term !== term || slice === undefined;
          this.#node.step(
            isStale ? { kind: 'readFailed', peer } : { kind: 'entriesRead', peer, slice },
          );
        }),
      // The store's own errors have fenced this replica already.
      (error: unknown) => {
        if (this.isLeader && this.#term === term) this.fail(error);
      },
    );
  }

  // The end.

  /**
   * Ends this life by an error: everything that waits fails, nothing more is done. Idempotent.
   * What code of ours threw is a bug, and not retried; what a store rejected with is an operating error.
   */
  fail(error: unknown, isBug = error instanceof InvariantError): void {
    if (this.#phase === 'ended') return;
    const wasClosing = this.#phase === 'closing';
    this.#end(new BrokerError('REPLICA_FENCED', 'the replica failed', {}, { cause: error }));
    if (!wasClosing) this.#failed(error, isBug);
  }

  /** Stops, saves the machine's state if asked to and if it is safe, and closes the store. */
  async close(options: { readonly saveState: boolean }): Promise<void> {
    if (this.#phase === 'running') {
      this.#phase = 'closing';
      this.upkeep.stop();
      this.#failAllWaiting(new BrokerError('BROKER_UNAVAILABLE', 'the replica was closed'));
      await this.#persists.idle();
      await this.applier.idle();
      if (options.saveState) await this.#saveFinalCheckpoint();
    }
    this.#end(new BrokerError('BROKER_UNAVAILABLE', 'the replica was closed'));
    await this.#store.close();
  }

  async #saveFinalCheckpoint(): Promise<void> {
    if (this.#phase !== 'closing') return;
    try {
      await this.applier.saveLastState();
    } catch (error) {
      this.#log.warn({ error }, 'could not save a checkpoint while closing');
    }
  }

  #end(reason: BrokerError): void {
    this.#phase = 'ended';
    this.upkeep.stop();
    this.#persists.end();
    this.#incoming.fail(reason);
    try {
      this.#failAllWaiting(reason);
    } catch (error) {
      this.#log.error({ error }, 'a proposer failed on hearing that its proposal did');
    }
  }

  #failAllWaiting(reason: BrokerError): void {
    this.#proposals.failAll();
    this.#waiters.endAll(reason);
  }

  #step(event: RaftEvent): void {
    this.#node.step(event);
    this.#host.markDirty(this);
  }

  /** Has the core do something outside the turn. */
  #stepGuarded(run: () => void): void {
    this.#guard(() => {
      run();
      this.#host.markDirty(this);
    });
  }

  /** Runs a step from outside the turn: what it throws ends this life. */
  #guard(step: () => void): void {
    if (this.#phase === 'ended') return;
    try {
      step();
    } catch (error) {
      this.fail(error, true);
    }
  }
}
