import { expect } from 'chai';
import fc from 'fast-check';

import { phaseOf, slotKeys, type Slot } from '../../../src/metadata/consumer-group.js';
import { decideHeartbeat, decideJoin } from '../../../src/metadata/decide-consumer-group.js';
import type { ApplyResult, Command } from '../../../src/metadata/command.js';
import type { GroupEvent } from '../../../src/metadata/group-event.js';
import { planTarget } from '../../../src/metadata/plan-target.js';
import { MemberSession } from '../../../src/broker/member-session.js';
import type { ParticipateResponse } from '../../../src/broker/group-types.js';
import { slotsOf } from '../../../src/broker/topic-slots.js';
import { brokerId } from '../../../src/model/ids.js';
import { GROUP, GroupLog, holders, profile, topicIdOf } from '../metadata/group-support.js';
import { createTopic, Log } from '../metadata/support.js';

/*
 * Members that hear of their assignments late, the log, and a coordinator that proposes with what it
 * knows at the moment: events are kept back for a while, so that the state moves between decision and
 * apply. After every step: no partition is held by two members in reality, epochs never fall, commits
 * are taken from the real holder and from nobody else who was superseded.
 */

type Step =
  | { readonly kind: 'join'; readonly who: number; readonly instance: boolean }
  | { readonly kind: 'leave' | 'die' | 'hear' | 'beat' | 'resume' | 'expire'; readonly who: number }
  | { readonly kind: 'subscribe'; readonly who: number; readonly mask: number }
  | { readonly kind: 'plan' | 'apply' | 'rebalance' | 'restart' }
  | { readonly kind: 'topic' | 'grow'; readonly which: number }
  | { readonly kind: 'commit'; readonly who: number; readonly partition: number };

const who = fc.nat(4);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('join' as const), who, instance: fc.boolean() }),
  },
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'hear' as const,
        'hear' as const,
        'beat' as const,
        'beat' as const,
        'resume' as const,
      ),
      who,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('leave' as const, 'die' as const, 'expire' as const),
      who,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('subscribe' as const),
      who,
      mask: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'plan' as const,
        'apply' as const,
        'apply' as const,
        'rebalance' as const,
        'rebalance' as const,
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('topic' as const), which: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('grow' as const), which: fc.nat(1) }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('commit' as const), who, partition: fc.nat(3) }),
  },
);

/** A member's process: what it really holds. */
interface Process {
  memberId: string;
  isStatic: boolean;
  epoch: number;
  holds: readonly Slot[];
  /** What was sent and is not yet heard of. */
  inbox: ParticipateResponse[];
  version: number;
  session: MemberSession;
}

/** Remembers its commands, from its first on. */
class RememberedLog extends GroupLog {
  declare private commands: Command[] | undefined;

  override apply(command: Command, timeMs?: number): ApplyResult | undefined {
    (this.commands ??= []).push(command);
    return super.apply(command, timeMs);
  }

  get history(): readonly Command[] {
    return this.commands ?? [];
  }
}

class World {
  readonly log = new RememberedLog({ a: 4, b: 3 });
  readonly processes = new Map<number, Process>();
  /** Decided, not yet applied. */
  queue: GroupEvent[] = [];
  private lives = 0;
  private topicsMade = 0;
  private epochs = new Map<string, number>();
  private groupEpochs: readonly [number, number] = [0, 0];
  readonly names = ['a', 'b'];

  run(one: Step): void {
    switch (one.kind) {
      case 'join':
        this.join(one.who, one.instance);
        break;
      case 'leave':
      case 'die':
      case 'expire':
        this.end(one.who, one.kind);
        break;
      case 'hear':
        this.hear(one.who);
        break;
      case 'beat':
        this.beat(one.who);
        break;
      case 'resume':
        this.resume(one.who);
        break;
      case 'subscribe': {
        const process = this.processes.get(one.who);
        if (process === undefined) break;
        const topics = this.names.filter((_, bit) => (one.mask & (1 << bit)) !== 0);
        this.queue.push(this.memberEvent(process, one.who, false, topics));
        break;
      }
      case 'plan': {
        const group = this.log.state.consumerGroups.get(GROUP);
        const target = group && planTarget(this.log.state, group, () => () => false).target;
        if (target !== undefined) this.queue.push(target);
        break;
      }
      case 'apply':
        this.apply();
        break;
      case 'rebalance':
        this.applyAll();
        this.run({ kind: 'plan' });
        this.applyAll();
        break;
      case 'restart':
        this.restart();
        break;
      case 'topic':
        this.toggleTopic(one.which);
        break;
      case 'grow':
        this.grow(one.which);
        break;
      case 'commit':
        this.commit(one.who, one.partition);
        break;
    }
    this.check();
  }

  private memberEvent(
    process: Process,
    n: number,
    isStart: boolean,
    topics: readonly string[],
    replaces = '',
  ): GroupEvent {
    const instanceId = process.isStatic ? `i${n}` : '';
    const { memberId } = process;
    const about = profile({ topics, instanceId });
    return { kind: 'member', group: GROUP, memberId, replaces, isStart, profile: about };
  }

  private join(n: number, isStatic: boolean): void {
    if (this.processes.has(n)) return;
    this.lives += 1;
    const process: Process = {
      memberId: `m${n}-${this.lives}`,
      isStatic,
      epoch: 0,
      holds: [],
      inbox: [],
      version: 0,
      session: this.session(),
    };
    const group = this.log.state.consumerGroups.get(GROUP);
    // Whoever has the instance id has no process any more, or there would be no room for this one.
    const holder = isStatic ? group?.memberOfInstance(`i${n}`)?.memberId : undefined;
    this.queue.push(this.memberEvent(process, n, true, ['a', 'b'], holder ?? ''));
    this.processes.set(n, process);
  }

  private end(n: number, how: 'leave' | 'die' | 'expire'): void {
    const process = this.processes.get(n);
    if (process === undefined) {
      if (how === 'expire') this.expireDead();
      return;
    }
    // A process stops before its leave counts, and before its session could be over.
    this.processes.delete(n);
    const { memberId } = process;
    if (how === 'leave') this.queue.push({ kind: 'leave', group: GROUP, memberId });
  }

  private expireDead(): void {
    const alive = new Set([...this.processes.values()].map(({ memberId }) => memberId));
    for (const memberId of this.log.state.consumerGroups.get(GROUP)?.members.keys() ?? []) {
      if (!alive.has(memberId)) this.queue.push({ kind: 'leave', group: GROUP, memberId });
    }
  }

  /** What the coordinator does after every apply: tell members what is new. */
  private push(): void {
    for (const process of this.processes.values()) {
      const member = this.log.state.consumerGroups.get(GROUP)?.members.get(process.memberId);
      if (member === undefined) continue;
      // Also what could wait for the next request is sent at once: more that can be late.
      const response = process.session.respond(member, {
        sequence: 0,
        image: this.log.state,
        assignmentEpoch: this.log.group.assignmentEpoch,
      });
      if (response.assignment !== undefined) process.inbox.push(response);
    }
  }

  /** The coordinator's, for a new stream. */
  private session(): MemberSession {
    const session = new MemberSession({
      group: GROUP,
      memberId: '',
      nowMs: 0,
      due: () => undefined,
    });
    const send = (): void => undefined;
    session.attach({ clientHost: '', isFlowing: true, session: undefined, send, end: send }, []);
    return session;
  }

  private hear(n: number): void {
    const process = this.processes.get(n);
    const news = process?.inbox.shift();
    if (process === undefined || news?.assignment === undefined) return;
    process.version = news.assignment.version;
    process.epoch = news.memberEpoch;
    process.holds = slotsOf(this.log.state, news.assignment.partitions);
  }

  private beat(n: number): void {
    const process = this.processes.get(n);
    if (process === undefined) return;
    const member = this.log.state.consumerGroups.get(GROUP)?.members.get(process.memberId);
    if (member === undefined) return;
    const { version, epoch: memberEpoch, holds: owned } = process;
    const decision = decideHeartbeat(
      member,
      { group: GROUP, memberEpoch, owned, profile: undefined },
      (one) => process.session.knewOfRevoking(one, version),
    );
    expect(decision.kind, JSON.stringify(decision)).to.equal('events');
    if (decision.kind === 'events') this.queue.push(...decision.events);
  }

  /** The stream breaks: what was under way to the member is lost. */
  private resume(n: number): void {
    const process = this.processes.get(n);
    if (process === undefined || process.epoch === 0) return;
    const member = this.log.state.consumerGroups.get(GROUP)?.members.get(process.memberId);
    if (member === undefined) return;
    const { memberId, epoch: memberEpoch, holds: owned } = process;
    const request = { group: GROUP, memberId, memberEpoch, owned, profile: member.profile };
    const decision = decideJoin(this.log.state, request, () => true);
    expect(decision.kind, JSON.stringify(decision)).to.equal('events');
    if (decision.kind !== 'events') return;
    this.queue.push(...decision.events);
    Object.assign(process, { inbox: [], version: 0, session: this.session() });
    // The coordinator answers once the join's events are applied.
    this.applyAll();
    this.push();
  }

  private applyAll(): void {
    while (this.queue.length > 0) this.apply();
  }

  private apply(): void {
    const event = this.queue.shift();
    if (event === undefined) return;
    const refusal = this.log.event(event);
    if (refusal !== undefined && event.kind === 'member' && event.isStart) {
      // The holder of its instance id came first; the process ends with that error.
      expect(refusal).to.equal('UNRELEASED_INSTANCE_ID');
      for (const [n, { memberId }] of this.processes) {
        if (memberId === event.memberId) this.processes.delete(n);
      }
    }
    this.push();
  }

  /** A replica that starts from a snapshot goes on exactly like the others. */
  private restart(): void {
    const bytes = this.log.machine.encode();
    const other = new Log();
    other.machine.restore(bytes, this.log.state.version);
    expect(other.machine.encode()).to.eql(bytes);
    this.log.machine.restore(bytes, this.log.state.version);
    // The members' lists are other objects now; that says nothing new.
    this.push();
  }

  private toggleTopic(which: number): void {
    const name = this.names[which]!;
    const existing = this.log.state.topicsByName.get(name);
    if (existing !== undefined) {
      this.log.apply({ kind: 'deleteTopic', topicId: existing.id });
      return;
    }
    // As in a cluster, a recreated topic is another one.
    this.topicsMade += 1;
    this.log.apply(createTopic(name, [[1], [2], [3]], topicIdOf(100 + this.topicsMade)));
  }

  /** Nobody lets go of anything for it, and groups that read the topic stand at its new beginnings. */
  private grow(which: number): void {
    const { state } = this.log;
    const topic = state.topicsByName.get(this.names[which]!);
    if (topic === undefined || topic.partitions.length >= 8) return;
    const from = topic.partitions.length;
    const hasCommitted = state.ledger.groupsOf(topic.id).includes(GROUP);
    this.log.apply({
      kind: 'addPartitions',
      topicId: topic.id,
      from,
      assignment: [[brokerId(1)], [brokerId(2)]],
    });
    expect(state.topicsById.get(topic.id)?.partitions).to.have.length(from + 2);
    const start = state.ledger.position(GROUP, topic.id, from + 1)?.offset;
    expect(start).to.equal(hasCommitted ? 0 : undefined);
  }

  private commit(n: number, partition: number): void {
    const process = this.processes.get(n);
    const at = process?.holds.find((one) => one.partition === partition);
    if (process === undefined || at === undefined || !this.log.state.topicsById.has(at.topicId))
      return;
    const { memberId, epoch: memberEpoch } = process;
    expect(this.log.commit({ memberId, memberEpoch }, at), 'of the holder').to.equal(undefined);
    const stranger = [...this.processes.values()].find((one) => one !== process && one.epoch > 0);
    if (stranger !== undefined) {
      const fence = { memberId: stranger.memberId, memberEpoch: stranger.epoch };
      expect(this.log.commit(fence, at), 'of another').to.be.oneOf([
        'STALE_MEMBER_EPOCH',
        'UNKNOWN_MEMBER',
      ]);
    }
    const ahead = { memberId, memberEpoch: this.log.group.groupEpoch + 1 };
    expect(this.log.commit(ahead, at)).to.equal('FENCED_MEMBER_EPOCH');
  }

  check(): void {
    const group = this.log.state.consumerGroups.get(GROUP);
    if (group === undefined) return;
    for (const [key, owners] of holders(group)) expect(owners, key).to.have.length(1);
    const real = new Map<string, string>();
    for (const { memberId, holds } of this.processes.values()) {
      for (const key of slotKeys(holds)) {
        expect(real.get(key), `${key} is held by ${memberId} too`).to.equal(undefined);
        real.set(key, memberId);
        expect(holders(group).get(key), key).to.eql([memberId]);
      }
    }
    expect(group.groupEpoch).to.be.at.least(this.groupEpochs[0]);
    expect(group.assignmentEpoch).to.be.within(this.groupEpochs[1], group.groupEpoch);
    this.groupEpochs = [group.groupEpoch, group.assignmentEpoch];
    for (const { memberId, epoch, assigned } of group.members.values()) {
      expect(epoch).to.be.within(this.epochs.get(memberId) ?? 0, group.assignmentEpoch);
      for (const one of assigned) expect(one.epoch).to.be.at.most(epoch);
      this.epochs.set(memberId, epoch);
    }
  }

  private isSettled(): boolean {
    const group = this.log.state.consumerGroups.get(GROUP);
    return (
      group !== undefined &&
      phaseOf(group) === 'stable' &&
      planTarget(this.log.state, group, () => () => false).target === undefined &&
      this.queue.length === 0 &&
      group.members.size === this.processes.size &&
      [...this.processes.values()].every(({ inbox }) => inbox.length === 0)
    );
  }

  /** A replica that was never restored from a snapshot has the same bytes. */
  compareWithReplay(): void {
    const replica = new Log();
    for (const command of this.log.history) replica.apply(command);
    expect(replica.machine.encode()).to.eql(this.log.machine.encode());
  }

  /** Nothing more happens but what members and the coordinator do by themselves. */
  settle(): void {
    for (let round = 0; round < 50 && !this.isSettled(); round += 1) {
      this.run({ kind: 'expire', who: 99 });
      this.run({ kind: 'plan' });
      while (this.queue.length > 0) this.run({ kind: 'apply' });
      for (const n of this.processes.keys()) {
        while (this.processes.get(n)!.inbox.length > 0) this.run({ kind: 'hear', who: n });
        this.run({ kind: 'beat', who: n });
      }
    }
    const group = this.log.state.consumerGroups.get(GROUP);
    if (group === undefined || this.processes.size === 0) return;
    expect(phaseOf(group)).to.equal('stable');
    for (const process of this.processes.values()) {
      const member = this.log.member(process.memberId);
      expect(slotKeys(process.holds)).to.eql(slotKeys(member.target));
    }
    const wanted = [...group.members.values()].flatMap(({ profile: { topics } }) => topics);
    const partitions = [...new Set(wanted)].reduce(
      (sum, name) => sum + (this.log.state.topicsByName.get(name)?.partitions.length ?? 0),
      0,
    );
    expect(holders(group).size, 'every partition has a holder').to.equal(partitions);
  }
}

describe('consumer groups, against members that hear late', () => {
  it('never have two holders of a partition, and settle', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 10, maxLength: 150 }), (steps) => {
        const world = new World();
        for (const one of steps) world.run(one);
        world.settle();
        world.compareWithReplay();
      }),
      { numRuns: 250 },
    );
  });
});
