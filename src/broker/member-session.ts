import {
  slotKey,
  slotKeys,
  type GroupMember,
  type HeldSlot,
  type Slot,
} from '../metadata/consumer-group.js';
import type { MetadataImage } from '../metadata/image.js';
import type { BrokerError } from '../model/errors.js';
import { Timeout } from './deadlines.js';
import type { MemberAssignment, ParticipateResponse } from './group-types.js';
import { namedSlots } from './topic-slots.js';

/** The stream that a member is on. */
export interface MemberStream {
  readonly clientHost: string;
  /** The member takes what is sent. */
  readonly isFlowing: boolean;
  session: MemberSession | undefined;
  send(response: ParticipateResponse): void;
  end(error: BrokerError | undefined): void;
}

const HEARTBEAT_MS_MAX = 3_000;

const giftKey = (slot: HeldSlot): string => `${slotKey(slot)}@${slot.epoch}`;

/**
 * What the coordinator knows of a member beyond the replicated state: when it was heard, the stream it
 * is on, and what it was told there. Begun afresh with every coordinator, with full timeouts.
 *
 * Invariants: `version` numbers the assignments sent on the present stream; a partition counts as
 * released only if the member told what it holds after it had taken in an assignment without it.
 */
export class MemberSession extends Timeout {
  readonly group: string;
  readonly memberId: string;
  readonly #due: (session: MemberSession) => void;
  stream: MemberStream | undefined;
  clientHost = '';
  heardAtMs: number;
  /** Its eviction is on its way. */
  isEnding = false;
  /** Why it is evicted; what its stream is told. */
  endReason = '';
  /** What it last told that it holds, on the present stream. */
  owned: readonly Slot[] = [];
  version = 0;

  /** Partitions to release, by gift, and since when. */
  #revokingSince = new Map<string, number>();
  /** First version that told of each. */
  #revokedIn = new Map<string, number>();
  #sent: GroupMember | undefined;

  constructor(options: {
    readonly group: string;
    readonly memberId: string;
    readonly nowMs: number;
    readonly due: (session: MemberSession) => void;
  }) {
    super();
    this.group = options.group;
    this.memberId = options.memberId;
    this.heardAtMs = options.nowMs;
    this.#due = options.due;
  }

  override timedOut(): void {
    this.#due(this);
  }

  attach(stream: MemberStream, owned: readonly Slot[]): void {
    this.stream = stream;
    this.clientHost = stream.clientHost;
    this.owned = owned;
    this.version = 0;
    this.#sent = undefined;
    this.#revokedIn = new Map();
    stream.session = this;
  }

  detach(): void {
    if (this.stream !== undefined) this.stream.session = undefined;
    this.stream = undefined;
  }

  /** The member's replicated state may have changed. */
  follow(member: GroupMember, nowMs: number): void {
    if (member.revoking.length === 0 && this.#revokingSince.size === 0) return;
    const before = this.#revokingSince;
    this.#revokingSince = new Map(
      member.revoking.map((slot) => [giftKey(slot), before.get(giftKey(slot)) ?? nowMs]),
    );
  }

  /** Since when the longest revoked partition is to be released; undefined: there is none. */
  revokingSinceMs(): number | undefined {
    let first: number | undefined;
    for (const since of this.#revokingSince.values()) {
      if (first === undefined || since < first) first = since;
    }
    return first;
  }

  /** A member that had taken in `version` knew that the partition was to be released. */
  knewOfRevoking(slot: HeldSlot, version: number): boolean {
    const told = this.#revokedIn.get(giftKey(slot));
    return told !== undefined && told <= version;
  }

  /** There is something that the member should hear of at once. */
  hasNews(member: GroupMember): boolean {
    return this.#sent !== undefined && this.#sent.assigned !== member.assigned;
  }

  /** The response to a request, or with sequence 0 a push. */
  respond(
    member: GroupMember,
    at: {
      readonly sequence: number;
      readonly image: MetadataImage;
      readonly assignmentEpoch: number;
    },
  ): ParticipateResponse {
    return {
      sequence: at.sequence,
      memberId: member.memberId,
      memberEpoch: member.epoch,
      assignment: this.#assignment(member, at),
      heartbeatIntervalMs: heartbeatMs(member),
    };
  }

  #assignment(
    member: GroupMember,
    { image, assignmentEpoch }: { readonly image: MetadataImage; readonly assignmentEpoch: number },
  ): MemberAssignment | undefined {
    const before = this.#sent;
    this.#sent = member;
    if (before?.assigned === member.assigned && before.target === member.target) return undefined;
    this.version += 1;
    const told = this.#revokedIn;
    this.#revokedIn = new Map(
      member.revoking.map((slot) => [giftKey(slot), told.get(giftKey(slot)) ?? this.version]),
    );
    const held = slotKeys(member.assigned);
    return {
      version: this.version,
      partitions: namedSlots(image, member.assigned),
      pending: namedSlots(
        image,
        member.target.filter((slot) => !held.has(slotKey(slot))),
      ),
      targetEpoch: assignmentEpoch,
    };
  }
}

function heartbeatMs({ profile }: GroupMember): number {
  return Math.min(HEARTBEAT_MS_MAX, Math.floor(profile.sessionTimeoutMs / 3));
}
