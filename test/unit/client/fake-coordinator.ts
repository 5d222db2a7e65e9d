import type { MembershipHandlers, MembershipLink } from '../../../src/client/connection.js';
import type {
  JoinRequest,
  MemberAssignment,
  MemberRequest,
  TopicPartitions,
} from '../../../src/client/group-types.js';
import { BrokerError, type ErrorCode } from '../../../src/model/errors.js';
import type { VirtualWorld } from './virtual-world.js';

interface FakeMember {
  id: string;
  readonly join: JoinRequest;
  epoch: number;
  /** Partition: the epoch in which it was given. */
  readonly assigned: Map<number, number>;
  readonly revoking: Map<number, number>;
  target: Set<number>;
  link: FakeMembershipLink | undefined;
  isAway: boolean;
  version: number;
  /** The last assignment and epoch sent on the link. */
  told: string;
  expiry: (() => void) | undefined;
  /** A target was computed since it joined: until then its epoch is 0. */
  isPlanned: boolean;
}

/**
 * A coordinator of one group over the partitions of one topic, with the rules of the real one: member
 * epochs, incremental reconciliation, a lock per partition, sessions, static members. Its state
 * outlives the broker it runs on; sessions begin anew on the next one.
 */
export class FakeCoordinator {
  readonly members = new Map<string, FakeMember>();
  groupEpoch = 0;
  heartbeatMs = 500;
  /** How long a target takes to compute for a newcomer. */
  planMs = 1;
  /** Refuses the next join with this. */
  refusal: BrokerError | undefined;
  /** Takes requests and says nothing. */
  isMute = false;
  /** Hears nothing of these members. */
  readonly deafTo = new Set<string>();
  readonly requests: MemberRequest[] = [];
  private readonly world: VirtualWorld;
  private readonly topic: () => { readonly topic: string; readonly topicId: string };
  private readonly partitions: () => number;

  constructor(
    world: VirtualWorld,
    topic: () => { readonly topic: string; readonly topicId: string },
    partitions: () => number,
  ) {
    this.world = world;
    this.topic = topic;
    this.partitions = partitions;
  }

  /** Who holds the partition, may hold it, or has yet to release it. */
  ownerOf(partition: number): string | undefined {
    for (const m of this.members.values()) {
      if (m.assigned.has(partition) || m.revoking.has(partition)) return m.id;
    }
    return undefined;
  }

  /** Undefined: the commit is taken. */
  refusalOf(memberId: string, epoch: number, partition: number): ErrorCode | undefined {
    const member = this.members.get(memberId);
    if (member === undefined) return 'UNKNOWN_MEMBER';
    if (epoch > member.epoch) return 'FENCED_MEMBER_EPOCH';
    const given = member.assigned.get(partition) ?? member.revoking.get(partition);
    return given === undefined || given > epoch ? 'STALE_MEMBER_EPOCH' : undefined;
  }

  /** The next coordinator: everyone's session starts afresh. */
  failOver(): void {
    for (const m of this.members.values()) {
      m.link = undefined;
      this.renew(m);
    }
  }

  handle(link: FakeMembershipLink, request: MemberRequest): void {
    this.requests.push(request);
    const member = [...this.members.values()].find((m) => m.link === link);
    const memberId = request.kind === 'join' ? request.memberId : (member?.id ?? '');
    if (this.isMute || this.deafTo.has(memberId)) return;
    if (request.kind === 'join') {
      this.join(link, request);
      return;
    }
    if (member === undefined) {
      link.end(new BrokerError('UNKNOWN_MEMBER', 'not a member'));
      return;
    }
    this.renew(member);
    if (request.kind === 'leave') {
      if (request.isTemporary) member.isAway = true;
      else this.remove(member);
      this.answer(member, link, request.sequence);
      member.link = undefined;
      return;
    }
    if (request.owned !== undefined && request.assignmentVersion === member.version) {
      this.release(member, numbersOf(request.owned));
    }
    this.answer(member, link, request.sequence);
    this.pushAll();
  }

  /** Drops a member that was silent for too long. */
  evict(memberId: string): void {
    const member = this.members.get(memberId);
    if (member === undefined) return;
    const { link } = member;
    this.remove(member);
    link?.end(new BrokerError('UNKNOWN_MEMBER', 'evicted'));
  }

  private join(link: FakeMembershipLink, request: JoinRequest): void {
    const { refusal } = this;
    this.refusal = undefined;
    if (refusal !== undefined) {
      link.end(refusal);
      return;
    }
    const code = this.admit(link, request);
    if (code !== undefined) {
      link.end(new BrokerError(code, code));
      return;
    }
    const member = this.members.get(request.memberId)!;
    this.renew(member);
    this.answer(member, link, request.sequence);
    this.pushAll();
  }

  /** Makes the link the member's, or says why not. */
  private admit(link: FakeMembershipLink, request: JoinRequest): ErrorCode | undefined {
    const { memberId, memberEpoch, instanceId } = request;
    let member = this.members.get(memberId);
    if (memberEpoch > 0) {
      if (member === undefined) return 'UNKNOWN_MEMBER';
      const owned = numbersOf(request.owned);
      const isOurs = owned.every((p) => member?.assigned.has(p) || member?.revoking.has(p));
      if (memberEpoch > member.epoch || !isOurs) return 'FENCED_MEMBER_EPOCH';
      attach(member, link);
      this.release(member, owned);
      return undefined;
    }
    const former = [...this.members.values()].find(
      (m) => instanceId !== '' && m.join.instanceId === instanceId && m.id !== memberId,
    );
    if (former !== undefined) {
      if (former.link !== undefined && !former.isAway) return 'UNRELEASED_INSTANCE_ID';
      this.members.delete(former.id);
      former.expiry?.();
      former.id = memberId;
      this.members.set(memberId, former);
      attach(former, link);
      return undefined;
    }
    if (member !== undefined) this.remove(member);
    member = {
      ...{ id: memberId, join: request, epoch: 0, target: new Set() },
      ...{ assigned: new Map(), revoking: new Map(), link, isAway: false },
      ...{ version: 0, told: '', expiry: undefined, isPlanned: false },
    };
    this.members.set(memberId, member);
    // The next target takes a moment; until then the member has no place.
    this.world.timers.after(this.planMs, () => {
      this.rebalance();
      this.pushAll();
    });
    return undefined;
  }

  private renew(member: FakeMember): void {
    member.expiry?.();
    member.expiry = this.world.timers.after(member.join.sessionTimeoutMs, () =>
      this.evict(member.id),
    );
  }

  private remove(member: FakeMember): void {
    member.expiry?.();
    this.members.delete(member.id);
    this.rebalance();
    this.pushAll();
  }

  private release(member: FakeMember, owned: readonly number[]): void {
    for (const p of [...member.revoking.keys()]) {
      if (!owned.includes(p)) member.revoking.delete(p);
    }
    this.advance();
  }

  /** Sticky and balanced: whoever has more than their share gives up the highest. */
  private rebalance(): void {
    this.groupEpoch += 1;
    const members = [...this.members.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
    const count = this.partitions();
    const free = new Set(Array.from({ length: count }, (_, p) => p));
    for (const [i, m] of members.entries()) {
      const share = Math.floor(count / members.length) + (i < count % members.length ? 1 : 0);
      const kept = [...m.assigned.keys()].sort((a, b) => a - b).slice(0, share);
      m.target = new Set(kept);
      for (const p of kept) free.delete(p);
    }
    for (const [i, m] of members.entries()) {
      const share = Math.floor(count / members.length) + (i < count % members.length ? 1 : 0);
      for (const p of [...free].slice(0, share - m.target.size)) {
        m.target.add(p);
        free.delete(p);
      }
    }
    for (const m of members) {
      m.isPlanned = true;
      for (const [p, epoch] of [...m.assigned]) {
        if (m.target.has(p)) continue;
        m.assigned.delete(p);
        m.revoking.set(p, epoch);
      }
    }
    this.advance();
  }

  private advance(): void {
    for (const m of this.members.values()) {
      if (m.revoking.size > 0 || !m.isPlanned) continue;
      m.epoch = this.groupEpoch;
      for (const p of m.target) {
        if (this.ownerOf(p) === undefined) m.assigned.set(p, m.epoch);
      }
    }
  }

  private pushAll(): void {
    for (const m of this.members.values()) {
      if (m.link !== undefined && m.told !== toldOf(m)) this.answer(m, m.link, 0);
    }
  }

  private answer(member: FakeMember, link: FakeMembershipLink, sequence: number): void {
    const told = toldOf(member);
    const isNews = member.told !== told;
    member.told = told;
    if (isNews) member.version += 1;
    const list = (of: Iterable<number>): TopicPartitions[] => {
      const partitions = [...of].sort((a, b) => a - b);
      return partitions.length === 0 ? [] : [{ ...this.topic(), partitions }];
    };
    const assignment: MemberAssignment = {
      version: member.version,
      partitions: list(member.assigned.keys()),
      pending: list([...member.target].filter((p) => !member.assigned.has(p))),
      targetEpoch: this.groupEpoch,
    };
    link.reply({
      sequence,
      memberId: member.id,
      memberEpoch: member.epoch,
      heartbeatIntervalMs: this.heartbeatMs,
      assignment: isNews ? assignment : undefined,
    });
  }
}

function attach(member: FakeMember, link: FakeMembershipLink): void {
  member.link = link;
  member.isAway = false;
  member.version = 0;
  member.told = '';
}

function toldOf(m: FakeMember): string {
  const pending = [...m.target].filter((p) => !m.assigned.has(p)).length;
  return `${m.epoch}:${[...m.assigned.keys()].sort((a, b) => a - b).join()}:${pending}`;
}

function numbersOf(owned: readonly TopicPartitions[]): number[] {
  return owned.flatMap((t) => [...t.partitions]);
}

/** What a link asks its cluster. */
export interface MembershipHost {
  readonly world: VirtualWorld;
  readonly coordinator: FakeCoordinator;
  isDown(broker: number): boolean;
  /** Undefined: this broker coordinates. */
  redirect(broker: number): BrokerError | undefined;
  forgetMembership(link: FakeMembershipLink): void;
}

/** One stream, a millisecond each way, in order. */
export class FakeMembershipLink implements MembershipLink {
  readonly broker: number;
  private readonly host: MembershipHost;
  private readonly handlers: MembershipHandlers;
  private isClosed = false;

  constructor(host: MembershipHost, broker: number, handlers: MembershipHandlers) {
    this.host = host;
    this.broker = broker;
    this.handlers = handlers;
    host.world.timers.after(1, () => {
      if (this.isClosed) return;
      if (host.isDown(broker)) this.end(new BrokerError('BROKER_UNAVAILABLE', 'refused'));
      else handlers.ready();
    });
  }

  send(request: MemberRequest): void {
    this.host.world.timers.after(1, () => {
      if (this.isClosed) return;
      const redirect = this.host.redirect(this.broker);
      if (redirect === undefined) this.host.coordinator.handle(this, request);
      else this.end(redirect);
    });
  }

  reply(response: Parameters<MembershipHandlers['response']>[0]): void {
    this.host.world.timers.after(1, () => {
      if (!this.isClosed) this.handlers.response(response);
    });
  }

  close(): void {
    this.isClosed = true;
    this.host.forgetMembership(this);
    // The coordinator sees the stream end; the member keeps its session.
    for (const m of this.host.coordinator.members.values()) if (m.link === this) m.link = undefined;
  }

  end(error: BrokerError): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.host.forgetMembership(this);
    this.host.world.timers.after(1, () => this.handlers.closed(error));
  }
}
