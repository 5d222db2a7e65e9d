import { hexOf } from '../base/bytes.js';
import type { BrokerRegistration } from '../metadata/command.js';
import { BrokerError } from '../model/errors.js';
import type { BrokerId } from '../model/ids.js';
import type { BrokerIdentity, BrokerStore } from '../ports/log-store.js';
import type { Logger } from '../ports/telemetry.js';
import type { PeerAddress, PeerCaller } from '../ports/transport.js';
import type { World } from '../ports/world.js';
import { Backoff, sleep } from './deadline.js';
import {
  FORMATION_OPS,
  type Admission,
  type FormationOrder,
  type FormationStatus,
} from './formation-ops.js';
import { callPeer, handlePeer, type PeerOp } from './peer-op.js';
import type { BootstrapOptions, BrokerSelf } from './types.js';

const CALL_MS = 2_000;
/** Founders start together: their processes take longer to come up than anything that follows. */
const LOOK_FIRST_MS = 50;
const LOOK_LAST_MS = 400;
const JOIN_MS = 10_000;

export interface FormationDeps {
  readonly self: BrokerSelf;
  readonly bootstrap: BootstrapOptions;
  readonly world: World;
  readonly peers: PeerCaller;
  readonly store: BrokerStore;
  readonly log: Logger;
  /** Asked of a broker that is part of a cluster: admits the newcomer. */
  admit(newcomer: BrokerRegistration): Promise<Admission>;
  /** This broker was admitted; here is where the others are. */
  admitted(admission: Admission): void;
}

/**
 * How a broker gets its identity, once in the life of its data directory.
 *
 * Founders form a cluster in two phases under the lowest of them. First everyone must answer that it
 * is empty, or has noted this very cluster; the coordinator notes a new cluster id and has all note
 * it. Only when all have, they are told to begin, so no Raft group runs before every founder is bound
 * to the cluster for good. A crash anywhere leaves notes from which the next start goes on. Once any
 * founder has begun, all had notes: one that answers "empty" then has lost its directory and is
 * refused, since its votes are lost with it.
 *
 * Everyone else joins: a seed has it registered and tells it the cluster's id.
 */
export class Formation {
  readonly #deps: FormationDeps;
  readonly #directoryId: string;
  #isStopped = false;
  /** Why this broker is not part of a cluster yet, for people. */
  #waitingFor = '';
  /** Ends the pause between two looks. */
  #wake: (() => void) | undefined;
  /** Founders that did not answer when last looked at. */
  #silent: ReadonlySet<BrokerId> = new Set();

  constructor(deps: FormationDeps) {
    this.#deps = deps;
    this.#directoryId = deps.store.identity()?.directoryId ?? hexOf(deps.world.random.bytes(16));
    const { peers } = deps;
    handlePeer(peers, FORMATION_OPS.status, (_, from) => {
      // Whoever asks is up: look again now, not when the pause is over.
      if (from !== undefined && this.#silent.has(from)) this.#wake?.();
      return Promise.resolve(this.#status());
    });
    handlePeer(peers, FORMATION_OPS.prepare, (order) => this.#prepare(order));
    handlePeer(peers, FORMATION_OPS.confirm, (order) => this.#confirm(order));
    handlePeer(peers, FORMATION_OPS.join, (newcomer) => this.#admit(newcomer));
  }

  get waitingFor(): string {
    return this.#waitingFor;
  }

  stop(): void {
    this.#isStopped = true;
    this.#wake?.();
  }

  /** Resolves with the final identity; rejects if this broker can never be part of the cluster. */
  async identity(): Promise<BrokerIdentity> {
    const { store, bootstrap, self } = this.#deps;
    const known = store.identity();
    if (known !== undefined && known.brokerId !== self.id) {
      throw new BrokerError(
        'BROKER_ID_TAKEN',
        `the data directory belongs to broker ${known.brokerId}, not ${self.id}`,
      );
    }
    if (known?.isFormed === true) {
      await this.#refuseStrangeSeeds(known);
      return known;
    }
    const isJoining =
      known === undefined ? bootstrap.founders.length === 0 : known.founders.length === 0;
    if (isJoining) return this.#join();
    return this.#form();
  }

  // ---- Founding ----

  async #form(): Promise<BrokerIdentity> {
    const founders = this.#founders();
    if (!founders.includes(this.#deps.self.id)) {
      throw new BrokerError(
        'INVALID_ARGUMENT',
        `broker ${this.#deps.self.id} is not among the founders ${founders.join(', ')}`,
      );
    }
    const isCoordinator = founders[0] === this.#deps.self.id;
    const backoff = new Backoff(LOOK_FIRST_MS, LOOK_LAST_MS);
    while (!this.#isStopped) {
      const formed = this.#formedIdentity();
      if (formed !== undefined) return formed;
      if (!(await this.#round(isCoordinator))) await this.#pause(backoff.nextMs());
    }
    throw new BrokerError('SHUTTING_DOWN', 'stopped before the cluster was formed');
  }

  /** One look at everyone, and as the coordinator one attempt. True: the identity is final. */
  async #round(isCoordinator: boolean): Promise<boolean> {
    const others = this.#others();
    const answers = await Promise.all(
      others.map((peer) => this.#ask(peer, FORMATION_OPS.status, undefined)),
    );
    const statuses: FormationStatus[] = [];
    for (const answer of answers) if (!(answer instanceof BrokerError)) statuses.push(answer);
    this.#refuseWhatCannotBe(statuses);
    if (await this.#followThoseWhoBegan(statuses)) return true;
    const silent = others.filter((_, at) => answers[at] instanceof BrokerError);
    this.#silent = new Set(silent.map((peer) => peer.id));
    if (silent.length > 0) {
      this.#wait(`founding brokers ${silent.map(describePeer).join(', ')} do not answer yet`);
      return false;
    }
    if (isCoordinator) return this.#lead();
    this.#wait(`broker ${this.#founders()[0]} to form the cluster`);
    return false;
  }

  async #lead(): Promise<boolean> {
    const identity = await this.#note({
      clusterId: this.#deps.store.identity()?.clusterId ?? hexOf(this.#deps.world.random.bytes(16)),
      founders: this.#founders(),
    });
    const order: FormationOrder = { clusterId: identity.clusterId, founders: identity.founders };
    if (!(await this.#tellAll(FORMATION_OPS.prepare, order))) return false;
    if (!(await this.#tellAll(FORMATION_OPS.confirm, order))) return false;
    await this.#deps.store.saveIdentity({ ...identity, isFormed: true });
    this.#deps.log.info({ ...order }, 'formed the cluster');
    return true;
  }

  async #tellAll(op: PeerOp<FormationOrder, boolean>, order: FormationOrder): Promise<boolean> {
    const others = this.#others();
    const answers = await Promise.all(others.map((peer) => this.#ask(peer, op, order)));
    const refusal = answers.find(
      (answer): answer is BrokerError =>
        answer instanceof BrokerError && FINAL_REFUSALS.includes(answer.code),
    );
    if (refusal !== undefined) throw refusal;
    const failed = others.filter((_, at) => answers[at] !== true);
    if (failed.length === 0) return true;
    this.#wait(`founding brokers ${failed.map(describePeer).join(', ')} to take part`);
    return false;
  }

  #refuseWhatCannotBe(statuses: readonly FormationStatus[]): void {
    const mine = this.#deps.store.identity();
    const founders = this.#founders();
    for (const status of statuses) {
      if (mine === undefined && status.state === 'formed') {
        throw new BrokerError(
          'BROKER_ID_TAKEN',
          `broker ${status.brokerId} already runs in cluster ${status.clusterId}, but this broker's ` +
            'data directory is empty. A broker that lost its directory comes back under a new id, ' +
            'through seeds',
        );
      }
      if (mine !== undefined && status.state !== 'empty' && status.clusterId !== mine.clusterId) {
        throw new BrokerError(
          'WRONG_CLUSTER',
          `broker ${status.brokerId} belongs to cluster ${status.clusterId}, this one to ${mine.clusterId}`,
        );
      }
      if (status.founders.join() !== founders.join()) {
        throw new BrokerError(
          'INVALID_ARGUMENT',
          `founders differ: broker ${status.brokerId} has ${status.founders.join(', ') || 'none'}, ` +
            `this one has ${founders.join(', ')}`,
        );
      }
    }
  }

  /** That one founder was told to begin proves that all had noted the cluster. */
  async #followThoseWhoBegan(statuses: readonly FormationStatus[]): Promise<boolean> {
    const mine = this.#deps.store.identity();
    if (mine === undefined || !statuses.some((status) => status.state === 'formed')) return false;
    for (const status of statuses) {
      if (status.state !== 'empty') continue;
      this.#deps.log.error(
        { brokerId: status.brokerId },
        'a founding broker came back with an empty data directory: it needs a new id',
      );
    }
    await this.#deps.store.saveIdentity({ ...mine, isFormed: true });
    return true;
  }

  // ---- Answers to the coordinator ----

  #status(): FormationStatus {
    const identity = this.#deps.store.identity();
    return {
      brokerId: this.#deps.self.id,
      directoryId: this.#directoryId,
      state: identity === undefined ? 'empty' : identity.isFormed ? 'formed' : 'prepared',
      clusterId: identity?.clusterId ?? '',
      founders: this.#founders(),
    };
  }

  async #prepare(order: FormationOrder): Promise<boolean> {
    this.#checkOrder(order);
    await this.#note(order);
    return true;
  }

  async #confirm(order: FormationOrder): Promise<boolean> {
    this.#checkOrder(order);
    const identity = this.#deps.store.identity();
    if (identity === undefined) {
      throw new BrokerError(
        'BROKER_ID_TAKEN',
        `broker ${this.#deps.self.id} was told to begin, but its data directory is empty`,
      );
    }
    if (!identity.isFormed) {
      await this.#deps.store.saveIdentity({ ...identity, isFormed: true });
      this.#deps.log.info({ clusterId: identity.clusterId }, 'is part of a new cluster');
    }
    this.#wake?.();
    return true;
  }

  #checkOrder(order: FormationOrder): void {
    const identity = this.#deps.store.identity();
    if (identity !== undefined && identity.clusterId !== order.clusterId) {
      throw new BrokerError(
        'WRONG_CLUSTER',
        `broker ${this.#deps.self.id} belongs to cluster ${identity.clusterId}, not ${order.clusterId}`,
      );
    }
    if (this.#founders().join() !== order.founders.join()) {
      throw new BrokerError(
        'INVALID_ARGUMENT',
        `founders differ: broker ${this.#deps.self.id} has ` +
          `${this.#founders().join(', ') || 'none'}, not ${order.founders.join(', ')}`,
      );
    }
  }

  async #note(order: FormationOrder): Promise<BrokerIdentity> {
    const known = this.#deps.store.identity();
    if (known !== undefined) return known;
    const identity: BrokerIdentity = {
      clusterId: order.clusterId,
      brokerId: this.#deps.self.id,
      directoryId: this.#directoryId,
      founders: order.founders,
      isFormed: false,
    };
    await this.#deps.store.saveIdentity(identity);
    return identity;
  }

  /**
   * Who is pointed at a cluster through seeds must not go on in another one instead, as a broker that
   * is a majority by itself could. Seeds that do not answer say nothing; one of this cluster is enough,
   * and no other is waited for then.
   */
  async #refuseStrangeSeeds({ clusterId }: BrokerIdentity): Promise<void> {
    const seeds = this.#deps.bootstrap.seeds.filter((seed) => seed.id !== this.#deps.self.id);
    const strangers: string[] = [];
    await new Promise<void>((resolve, reject) => {
      const looks = seeds.map(async (seed) => {
        const answer = await this.#ask(seed, FORMATION_OPS.status, undefined);
        if (answer instanceof BrokerError) {
          if (answer.code === 'WRONG_CLUSTER') strangers.push(answer.message);
        } else if (answer.clusterId === clusterId) {
          resolve();
        } else if (answer.state === 'formed') {
          const theirs = `broker ${answer.brokerId} is of cluster ${answer.clusterId}`;
          strangers.push(`${theirs}; this data directory is of ${clusterId}`);
        }
      });
      Promise.all(looks)
        .then(() => {
          if (strangers.length === 0) resolve();
          else reject(new BrokerError('WRONG_CLUSTER', strangers.join('; ')));
        })
        .catch(reject);
    });
  }

  // ---- Joining ----

  async #join(): Promise<BrokerIdentity> {
    const { self, bootstrap, world } = this.#deps;
    if (bootstrap.seeds.length === 0) {
      throw new BrokerError(
        'INVALID_ARGUMENT',
        'an empty data directory needs founders to form a cluster with, or seeds to join one',
      );
    }
    const newcomer: BrokerRegistration = {
      id: self.id,
      directoryId: this.#directoryId,
      address: self.address,
      rack: self.rack,
      replicasMax: self.replicasMax,
    };
    const backoff = new Backoff(200, 2_000);
    for (let attempt = 0; !this.#isStopped; attempt += 1) {
      const seed = bootstrap.seeds[attempt % bootstrap.seeds.length];
      if (seed === undefined) break;
      const refusal = await this.#joinThrough(seed, newcomer);
      const formed = this.#formedIdentity();
      if (formed !== undefined) return formed;
      if (refusal !== undefined && FINAL_REFUSALS.includes(refusal.code)) throw refusal;
      this.#wait(`admission by seed ${describePeer(seed)} (${refusal?.message ?? 'not yet'})`);
      await sleep(world.timers, backoff.nextMs());
    }
    throw new BrokerError('SHUTTING_DOWN', 'stopped before the cluster was joined');
  }

  /** The identity is noted before the cluster hears of it: a crash in between must not change it. */
  async #joinThrough(
    seed: PeerAddress,
    newcomer: BrokerRegistration,
  ): Promise<BrokerError | undefined> {
    const { self, store, log } = this.#deps;
    const status = await this.#ask(seed, FORMATION_OPS.status, undefined);
    if (status instanceof BrokerError) return status;
    if (status.state !== 'formed') {
      return new BrokerError('BROKER_UNAVAILABLE', 'the seed is not part of a cluster itself yet');
    }
    const { clusterId } = status;
    const known = store.identity();
    if (known !== undefined && known.clusterId !== clusterId) {
      return new BrokerError(
        'WRONG_CLUSTER',
        `this broker's data directory belongs to cluster ${known.clusterId}, the seed's is ${clusterId}`,
      );
    }
    const identity: BrokerIdentity = {
      clusterId,
      brokerId: self.id,
      directoryId: this.#directoryId,
      founders: [],
      isFormed: false,
    };
    await store.saveIdentity(identity);
    const admission = await this.#ask(seed, FORMATION_OPS.join, newcomer, JOIN_MS);
    if (admission instanceof BrokerError) return admission;
    await store.saveIdentity({ ...identity, isFormed: true });
    log.info({ clusterId }, 'joined a cluster');
    this.#deps.admitted(admission);
    return undefined;
  }

  async #admit(newcomer: BrokerRegistration): Promise<Admission> {
    const identity = this.#formedIdentity();
    if (identity === undefined) {
      throw new BrokerError('BROKER_UNAVAILABLE', 'the seed is not part of a cluster itself yet');
    }
    return this.#deps.admit(newcomer);
  }

  // ---- Helpers ----

  /** What the stored identity says wins over the configuration. */
  #founders(): BrokerId[] {
    const stored = this.#deps.store.identity()?.founders;
    const ids = stored ?? this.#deps.bootstrap.founders.map((peer) => peer.id);
    return [...new Set(ids)].sort((a, b) => a - b);
  }

  #others(): PeerAddress[] {
    const { self, bootstrap } = this.#deps;
    return bootstrap.founders.filter((peer) => peer.id !== self.id);
  }

  #formedIdentity(): BrokerIdentity | undefined {
    const identity = this.#deps.store.identity();
    return identity?.isFormed === true ? identity : undefined;
  }

  async #pause(delayMs: number): Promise<void> {
    if (this.#isStopped || this.#formedIdentity() !== undefined) return;
    await new Promise<void>((resolve) => {
      const cancel = this.#deps.world.timers.after(delayMs, resolve);
      this.#wake = (): void => {
        cancel();
        resolve();
      };
    });
    this.#wake = undefined;
  }

  async #ask<Request, Answer>(
    peer: PeerAddress,
    op: PeerOp<Request, Answer>,
    request: Request,
    deadlineMs = CALL_MS,
  ): Promise<Answer | BrokerError> {
    try {
      return await callPeer(this.#deps.peers, peer, op, request, deadlineMs);
    } catch (error) {
      return BrokerError.from(error);
    }
  }

  #wait(reason: string): void {
    if (reason === this.#waitingFor) return;
    this.#waitingFor = reason;
    this.#deps.log.info({ reason }, 'waits to be part of a cluster');
  }
}

const FINAL_REFUSALS: readonly string[] = ['WRONG_CLUSTER', 'BROKER_ID_TAKEN', 'INVALID_ARGUMENT'];

function describePeer(peer: PeerAddress): string {
  return `${peer.id} (${peer.host}:${peer.port})`;
}
