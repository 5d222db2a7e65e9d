import { slotKeys } from '../../../../src/metadata/consumer-group.js';
import type {
  JoinGroupRequest,
  ParticipateResponse,
  Participation,
  TopicSlots,
} from '../../../../src/broker/group-types.js';
import { slotsOf } from '../../../../src/broker/topic-slots.js';
import type { BrokerError } from '../../../../src/model/errors.js';
import type { Cancel } from '../../../../src/ports/world.js';
import type { TestBrokers } from './test-brokers.js';

const WIRE_MS = 2;
const HEARTBEAT_MS = 500;
const RECONNECT_MS = 50;

/**
 * A member of a consumer group in virtual time, with a wire of a few milliseconds to its broker. It
 * finds the coordinator by asking one broker after another, and goes on when streams break.
 */
export class FakeMember {
  readonly memberId: string;
  private readonly brokers: TestBrokers;
  private readonly join: Partial<JoinGroupRequest>;
  private readonly group: string;
  private readonly cancelBeat: Cancel;
  private stream: { participation: Participation; broker: number } | undefined;
  /** Counts streams: what an earlier one brings is void. */
  private streams = 0;
  private nextBroker = 0;
  private sequence = 0;
  private version = 0;
  private isGone = false;
  /** It neither hears nor says anything, and knows that its session is over after this long. */
  private heardAtMs = 0;
  topics: readonly TopicSlots[] = [];
  epoch = 0;
  /** Partitions that it was given, one entry a gift. */
  gifts = 0;
  readonly errors: BrokerError[] = [];
  /** It answers no more, but still believes in what it holds. */
  isSilent = false;

  constructor(
    brokers: TestBrokers,
    group: string,
    memberId: string,
    join: Partial<JoinGroupRequest> = {},
  ) {
    this.brokers = brokers;
    this.group = group;
    this.memberId = memberId;
    this.join = { sessionTimeoutMs: 6_000, rebalanceTimeoutMs: 6_000, ...join };
    this.cancelBeat = brokers.world.timers.every(HEARTBEAT_MS, () => this.beat());
    this.open();
  }

  get held(): string[] {
    return this.topics.flatMap(({ topic, partitions }) => partitions.map((p) => `${topic}/${p}`));
  }

  get isConnected(): boolean {
    return this.stream !== undefined && this.version > 0;
  }

  /** Gone without a word. */
  kill(): void {
    this.isGone = true;
    this.cancelBeat();
    this.topics = [];
    const { stream } = this;
    this.stream = undefined;
    this.wire(() => stream?.participation.closed());
  }

  leave(): void {
    this.isGone = true;
    this.cancelBeat();
    this.topics = [];
    const { stream } = this;
    const sequence = (this.sequence += 1);
    this.wire(() => stream?.participation.request({ kind: 'leave', sequence, isTemporary: false }));
  }

  private open(): void {
    if (this.isGone) return;
    const ids = [...this.brokers.lives.keys()];
    const broker = ids[this.nextBroker % ids.length] ?? 0;
    this.nextBroker += 1;
    this.streams += 1;
    const life = this.streams;
    this.sequence = 1;
    this.version = 0;
    this.stream = undefined;
    const ifCurrent = (run: () => void) => (): void => {
      if (life === this.streams && !this.isGone && !this.isSilent) run();
    };
    const owned = this.topics;
    const memberEpoch = this.epoch;
    this.wire(() => {
      const services = this.brokers.lives.get(broker)?.broker.services();
      if (services === undefined || this.isGone) {
        this.brokers.world.timers.after(
          RECONNECT_MS,
          ifCurrent(() => this.open()),
        );
        return;
      }
      const participation = services.groups.participate(
        {
          send: (response) => {
            this.wire(ifCurrent(() => this.take(response)));
            return true;
          },
          end: (error) => this.wire(ifCurrent(() => this.ended(error))),
        },
        'test',
      );
      if (life !== this.streams) {
        participation.closed();
        return;
      }
      this.stream = { participation, broker };
      participation.request({
        kind: 'join',
        sequence: 1,
        group: this.group,
        memberId: this.memberId,
        memberEpoch,
        owned,
        instanceId: '',
        rack: '',
        clientId: '',
        subscription: { topics: ['jobs'], pattern: '' },
        assignor: '',
        sessionTimeoutMs: undefined,
        rebalanceTimeoutMs: undefined,
        ...this.join,
      });
    });
  }

  private beat(): void {
    if (this.isGone || this.isSilent) return;
    const { stream } = this;
    if (stream !== undefined && !this.brokers.lives.has(stream.broker)) {
      // The connection is refused: its broker is dead.
      this.open();
      return;
    }
    const nowMs = this.brokers.world.clock.monotonicMs();
    if (this.epoch > 0 && nowMs - this.heardAtMs > (this.join.sessionTimeoutMs ?? 0)) {
      // Others may hold by now what this member held.
      this.epoch = 0;
      this.topics = [];
      this.open();
      return;
    }
    if (this.version === 0 || stream === undefined) return;
    const sequence = (this.sequence += 1);
    const { epoch: memberEpoch, version: assignmentVersion, topics: owned } = this;
    const unchanged = { subscription: undefined, assignor: undefined, rack: undefined };
    this.wire(() =>
      stream.participation.request({
        kind: 'heartbeat',
        sequence,
        memberEpoch,
        assignmentVersion,
        owned,
        ...unchanged,
      }),
    );
  }

  private take(response: ParticipateResponse): void {
    this.heardAtMs = this.brokers.world.clock.monotonicMs();
    this.epoch = response.memberEpoch;
    const { assignment } = response;
    if (assignment === undefined) return;
    this.version = assignment.version;
    const before = new Set(this.held);
    this.topics = assignment.partitions;
    this.gifts += this.held.filter((one) => !before.has(one)).length;
    this.beat();
  }

  private ended(error: BrokerError | undefined): void {
    if (error !== undefined) this.errors.push(error);
    if (error !== undefined && !error.retriable) {
      this.epoch = 0;
      this.topics = [];
    }
    this.brokers.world.timers.after(RECONNECT_MS, () => this.open());
  }

  private wire(run: () => void): void {
    this.brokers.world.timers.after(WIRE_MS, run);
  }
}

/** Partitions that two of the members hold; none, if all is well. */
export function heldTwice(brokers: TestBrokers, members: Iterable<FakeMember>): string[] {
  const seen = new Set<string>();
  const twice: string[] = [];
  const image = [...brokers.lives.values()][0]?.broker.services()?.view.image();
  if (image === undefined) return [];
  for (const member of members) {
    for (const key of slotKeys(slotsOf(image, member.topics))) {
      if (seen.has(key)) twice.push(`${key} (${member.memberId})`);
      seen.add(key);
    }
  }
  return twice;
}
