import { BUILT_IN_ASSIGNORS } from '../metadata/assignors/assignors.js';
import type { BrokerRegistration } from '../metadata/command.js';
import { METADATA_GROUP } from '../model/ids.js';
import { BrokerError } from '../model/errors.js';
import type { BrokerIdentity } from '../ports/log-store.js';
import type { MultiRaft } from '../host/raft-group.js';
import type { Logger } from '../ports/telemetry.js';
import { AddressBook } from './address-book.js';
import { ClusterAdmin } from './admin-service.js';
import { ControllerLink } from './controller-link.js';
import { Controller } from './controller.js';
import { GroupAdmin } from './group-admin.js';
import { GroupCoordinator } from './group-coordinator.js';
import { Formation } from './formation.js';
import type { Admission } from './formation-ops.js';
import { LeaderBalancer } from './leader-balancer.js';
import { GossipLeaderTable } from './leader-table.js';
import { MetadataReplica } from './metadata-replica.js';
import { PublishedMetadata } from './metadata-view.js';
import { Mover } from './mover.js';
import { PartitionService } from './partition-service.js';
import { Reconciler } from './reconciler.js';
import { BrokerSession } from './session.js';
import type {
  Broker,
  BrokerHealth,
  BrokerOptions,
  BrokerServices,
  PartitionFloor,
} from './types.js';
import { Watermarks } from './watermarks.js';

const LEADER_EXCHANGE_MS = 2_000;
const ADMISSION_MS = 8_000;

/** Everything that exists once the broker knows which cluster it is part of. */
interface Member {
  readonly identity: BrokerIdentity;
  readonly multiRaft: MultiRaft;
  readonly floor: PartitionFloor;
  readonly replica: MetadataReplica;
  readonly controller: Controller;
  readonly coordinator: GroupCoordinator;
  readonly leaders: GossipLeaderTable;
  readonly link: ControllerLink;
  readonly session: BrokerSession;
  readonly reconciler: Reconciler;
  readonly mover: Mover;
  readonly balancer: LeaderBalancer;
  readonly services: BrokerServices;
}

export function createBroker(options: BrokerOptions): Broker {
  return new MillraceBroker(options);
}

/**
 * One broker: wires the services of this floor and knows the order in which they start and stop.
 *
 * Start: identity (formed, joined or found) → metadata group → partitions → session, reconciler.
 * Stop: no new work → leaderships handed over → partitions → Raft. The store and the transport were
 * opened by the caller, who closes them afterwards.
 */
class MillraceBroker implements Broker {
  readonly #options: BrokerOptions;
  readonly #log: Logger;
  readonly #book: AddressBook;
  readonly #formation: Formation;
  #member: Member | undefined;
  #broken: BrokerError | undefined;
  #stopping: Promise<void> | undefined;

  constructor(options: BrokerOptions) {
    this.#options = options;
    const { self, peers, bootstrap, telemetry } = options;
    this.#log = telemetry.log.child({ broker: self.id });
    this.#book = new AddressBook(self.id, peers);
    this.#book.configure([...bootstrap.founders, ...bootstrap.seeds]);
    this.#formation = new Formation({
      self,
      bootstrap,
      world: options.world,
      peers,
      store: options.store,
      log: this.#log,
      admit: (newcomer) => this.#admit(newcomer),
      admitted: (admission) => this.#book.configure(admission.peers),
    });
  }

  async start(): Promise<void> {
    try {
      const identity = await this.#formation.identity();
      if (this.#stopping !== undefined) throw stopped();
      const member = this.#assemble(identity);
      this.#member = member;
      member.multiRaft.start();
      await member.replica.open(member.multiRaft, identity.founders);
      if (this.#isStopping()) throw stopped();
      member.leaders.start();
      member.floor.start();
      member.session.start();
      this.#tellIfCrowded();
      member.reconciler.start();
      member.mover.start();
      member.balancer.start();
    } catch (thrown) {
      const error = BrokerError.from(thrown);
      if (error.code !== 'SHUTTING_DOWN') this.#broken = error;
      throw error;
    }
  }

  /** What is here stays, whatever the settings say by now. */
  #tellIfCrowded(): void {
    const { self, store } = this.#options;
    const groups = store.replicas().filter(({ spec }) => spec.groupId !== METADATA_GROUP);
    const { replicasMax = Infinity } = self;
    if (groups.length <= replicasMax) return;
    const facts = { replicas: groups.length, replicasMax };
    this.#log.warn(facts, 'this broker holds more replicas than replicasMemoryBytes has room for');
  }

  services(): BrokerServices | undefined {
    return this.#member?.services;
  }

  health(): BrokerHealth {
    if (this.#broken !== undefined) {
      return { live: false, ready: false, reason: this.#broken.message };
    }
    if (this.#isStopping()) return { live: true, ready: false, reason: 'stopping' };
    const member = this.#member;
    if (member === undefined) {
      return { live: true, ready: false, reason: `waits for ${this.#formation.waitingFor}` };
    }
    if (!member.session.isRegistered) {
      return { live: true, ready: false, reason: 'waits for the metadata leader to register it' };
    }
    const { waitingFor } = member.reconciler;
    if (waitingFor !== '') {
      return { live: true, ready: false, reason: `waits for ${waitingFor}` };
    }
    return { live: true, ready: true, reason: '' };
  }

  stop(options: { readonly drainMs?: number | undefined } = {}): Promise<void> {
    this.#stopping ??= this.#stop(options.drainMs ?? this.#options.settings.drainMs);
    return this.#stopping;
  }

  #isStopping(): boolean {
    return this.#stopping !== undefined;
  }

  async #stop(drainMs: number): Promise<void> {
    this.#formation.stop();
    const member = this.#member;
    if (member === undefined) return;
    member.balancer.stop();
    member.mover.stop();
    member.reconciler.stop();
    await this.#attempt(
      'handing leaderships over',
      member.multiRaft.transferAllLeaderships(drainMs, { elseAnyone: true }),
    );
    member.coordinator.stop();
    member.session.stop();
    member.link.stop();
    await this.#attempt('stopping partitions', member.floor.stop());
    member.replica.stop();
    member.controller.deactivate();
    member.leaders.stop();
    await this.#attempt('stopping Raft', member.multiRaft.stop());
  }

  /** A stop goes on whatever fails on the way. */
  async #attempt(what: string, work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      this.#log.warn({ err: error }, `${what} failed`);
    }
  }

  #assemble(identity: BrokerIdentity): Member {
    const { self, world, peers, store, settings, telemetry, crc32c } = this.#options;
    const { compileExpression } = this.#options;
    const log = this.#log;
    const multiRaft = this.#options.createMultiRaft(identity, (id) => leaders.mayLead(id));
    const book = this.#book;
    const replica: MetadataReplica = new MetadataReplica({
      world,
      settings,
      log,
      learn: (leader, term) => leaders.learn(METADATA_GROUP, leader, term),
      announce: (term) => leaders.announce(METADATA_GROUP, term),
      published: () => {
        const delta = replica.state.takeDelta();
        if (delta !== undefined) book.follow(replica.state);
        view.publish(delta);
        if (delta !== undefined) coordinator.topicsChanged(delta);
        coordinator.groupsChanged(replica.state.consumerGroups.takeChanged());
      },
      becameController: (group, term) => controller.activate(group, term),
      lostController: () => controller.deactivate(),
    });
    const view = new PublishedMetadata(replica.state, world.timers, log);
    const leaders = new GossipLeaderTable({
      self: self.id,
      address: self.address,
      world,
      peers,
      book,
      view,
      log,
      exchangeMs: LEADER_EXCHANGE_MS,
    });
    const floor = this.#options.createPartitionFloor({
      self: self.id,
      world,
      multiRaft,
      store,
      view,
      leaders,
      peers,
      telemetry,
      crc32c,
      settings,
    });
    const { host } = floor;
    const partitions = new PartitionService({ self: self.id, world, peers, leaders, host });
    const watermarks = new Watermarks(host, partitions);
    const { state } = replica;
    const coordinator = new GroupCoordinator({
      self: self.id,
      world,
      state,
      log,
      metrics: telemetry.metrics,
      groupRetentionMs: settings.groupRetentionMs,
      assignors: this.#options.assignors ?? BUILT_IN_ASSIGNORS,
      compileExpression,
      hint: () => leaders.hint(METADATA_GROUP),
    });
    const controller = new Controller({
      self: self.id,
      world,
      state,
      view,
      leaders,
      watermarks,
      groups: coordinator,
      settings,
      log,
    });
    const link = new ControllerLink({
      self: self.id,
      world,
      peers,
      leaders,
      book,
      handlers: controller,
      isGuest: this.#options.bootstrap.seeds.length > 0,
    });
    const admin = new ClusterAdmin({
      self: self.id,
      clusterId: identity.clusterId,
      world,
      view,
      leaders,
      link,
      partitions,
      metadataGroup: () => replica.group,
    });
    const { id, address, rack, replicasMax } = self;
    return {
      identity,
      multiRaft,
      floor,
      replica,
      controller,
      coordinator,
      leaders,
      link,
      session: new BrokerSession({
        registration: { id, directoryId: identity.directoryId, address, rack, replicasMax },
        link,
        world,
        settings,
        log,
        refused: (error) => this.#break(error),
      }),
      reconciler: new Reconciler({
        self: id,
        world,
        view,
        leaders,
        host,
        store,
        link,
        settings,
        log,
      }),
      mover: new Mover({ world, view, leaders, host, link, log }),
      balancer: new LeaderBalancer({ self: id, world, view, leaders, host, settings, log }),
      services: {
        admin,
        produce: floor.produce,
        fetch: floor.fetch,
        groups: new GroupAdmin({ world, view, link, admin, coordinator }),
        view,
        leaders,
        health: () => this.health(),
      },
    };
  }

  #break(error: BrokerError): void {
    this.#log.error({ err: error }, 'this broker cannot be part of the cluster');
    this.#broken = error;
  }

  /** A newcomer came to this broker as its seed. */
  async #admit(newcomer: BrokerRegistration): Promise<Admission> {
    const member = this.#member;
    if (member === undefined) {
      throw new BrokerError('BROKER_UNAVAILABLE', 'the seed is still starting');
    }
    await member.link.call('register', newcomer, ADMISSION_MS);
    const { id, address } = this.#options.self;
    return {
      clusterId: member.identity.clusterId,
      peers: [{ id, host: address.peerHost, port: address.peerPort }, ...this.#book.peers()],
    };
  }
}

function stopped(): BrokerError {
  return new BrokerError('SHUTTING_DOWN', 'stopped while starting');
}
