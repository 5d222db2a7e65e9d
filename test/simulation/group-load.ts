import type { Prng } from '../../src/base/prng.js';
import type { FaultList } from './fault-list.js';
import { SimMember, type MemberOptions } from './group-member.js';
import type { GroupsOracle } from './groups-oracle.js';
import type { LoadContext } from './load.js';
import { ms, type Micros } from './world.js';

/** What members do, and what is done to them; a seed draws which of it there is. */
export const MEMBER_FAULTS = [
  'memberLeave',
  'memberCrash',
  'memberVanish',
  'memberPause',
  'memberCut',
] as const;
export type MemberFault = (typeof MEMBER_FAULTS)[number];

const MEMBERS_MAX = 4;
/** Not even in a calm run do members come, go and fail less often than this many times slower. */
const PACE_MAX = 5;
const STATIC_NAMES = ['left', 'right'];

type GroupPlan = Pick<
  MemberOptions,
  'group' | 'topics' | 'pattern' | 'assignor' | 'sessionTimeoutMs' | 'rebalanceTimeoutMs'
>;

export interface GroupLoadOptions {
  /** Of which there is a history, and which all groups read. */
  readonly topic: string;
  /** Topics that come and go, for those who subscribe to a pattern. */
  readonly others: string;
  readonly clockDrift: boolean;
}

/** Members of consumer groups that come and go, crash, hang and are cut off, until they are to settle. */
export class GroupLoad {
  readonly counts = new Map<MemberFault, number>();
  readonly groups: readonly string[];
  private readonly context: LoadContext;
  private readonly prng: Prng;
  private readonly options: GroupLoadOptions;
  private readonly list: FaultList;
  private readonly plans: readonly GroupPlan[];
  private readonly faults: readonly MemberFault[];
  private readonly period: Micros;
  private members: SimMember[] = [];
  private polledByGone = 0;
  private isSettling = false;

  constructor(context: LoadContext, prng: Prng, options: GroupLoadOptions, list: FaultList) {
    this.list = list;
    this.context = context;
    this.prng = prng;
    this.options = options;
    this.faults = MEMBER_FAULTS.filter(() => prng.chance(0.5));
    this.period = ms(prng.pick([200, 600, 2_000])) * Math.min(context.pace, PACE_MAX);
    const { topic, others } = options;
    const all: GroupPlan[] = [
      this.plan('readers', { topics: [topic] }),
      this.plan('seekers', { pattern: `(${topic}|${others})` }),
    ];
    this.plans = all.slice(0, 1 + prng.int(2));
    this.groups = this.plans.map(({ group }) => group);
    for (const plan of this.plans) this.join(plan, prng.fork());
    this.next();
  }

  /** Records that members were given. */
  get polled(): number {
    return this.members.reduce((sum, member) => sum + member.polled, this.polledByGone);
  }

  /** Who is in a group by this id now, dead or alive. */
  member(memberId: string): SimMember | undefined {
    return this.members.find((m) => m.consumer.memberId === memberId);
  }

  /** Nothing happens to members any more, and every group has one at least. */
  settle(): void {
    this.isSettling = true;
    for (const member of this.members) {
      member.process.resume();
      this.context.net.mend(member.process);
    }
    for (const plan of this.plans) {
      if (this.inGroup(plan.group).length === 0) this.join(plan, this.prng.fork());
    }
    for (const member of this.members) member.hurry();
  }

  /** Every partition of the topic is some member's, and all that is in it is committed. */
  unsettled(oracle: GroupsOracle, endOf: (key: string) => number): string[] {
    const { model } = oracle;
    const topicId =
      [...model.topics].find(([, { name }]) => name === this.options.topic)?.[0] ?? '';
    const out: string[] = [];
    for (const name of this.groups) {
      const owners = model.groups.get(name)?.possessions ?? [];
      for (const key of this.context.keys) {
        const slot = `${topicId}/${key.slice(key.lastIndexOf('/') + 1)}`;
        const committed = model.offsets.get(name)?.get(slot) ?? 0;
        if (committed !== endOf(key)) out.push(`${name} ${key} is at ${committed}/${endOf(key)}`);
        const owner = owners.find((p) => p.slot === slot)?.member ?? '';
        if (this.member(owner)?.isIn !== true) out.push(`${name} ${key} is nobody's: ${owner}`);
      }
    }
    return out;
  }

  /** All members leave in order. */
  closeAll(): void {
    for (const member of this.members) void member.close(true);
  }

  get areAllClosed(): boolean {
    return this.members.every((member) => member.isOver);
  }

  private plan(group: string, topics: Pick<GroupPlan, 'topics' | 'pattern'>): GroupPlan {
    const { prng } = this;
    return {
      ...{ group, ...topics },
      assignor: prng.pick([undefined, 'uniform', 'range', 'rack']),
      sessionTimeoutMs: prng.pick([1_500, 3_000, 6_000]),
      rebalanceTimeoutMs: prng.pick([1_000, 3_000, 8_000]),
    };
  }

  private inGroup(group: string): SimMember[] {
    return this.members.filter((m) => m.isIn && m.options.group === group);
  }

  private next(): void {
    const wait = 1 + this.prng.int(2 * this.period);
    this.context.scheduler.schedule(wait, undefined, () => {
      if (this.isSettling) return;
      this.act(this.list.next('m'), this.prng.fork());
      this.next();
    });
  }

  /** What is drawn here has a source of its own: what comes after is not moved by it. */
  private act(name: string, prng: Prng): void {
    const plan = prng.pick(this.plans);
    const members = this.inGroup(plan.group);
    const mayJoin = members.length < MEMBERS_MAX;
    if (members.length === 0 || (mayJoin && prng.chance(0.5))) {
      this.join(plan, prng);
      return;
    }
    if (this.faults.length === 0) return;
    const fault = prng.pick(this.faults);
    if (!this.list.mayStrike(name, fault)) return;
    this.strike(fault, prng.pick(members), prng);
    this.counts.set(fault, (this.counts.get(fault) ?? 0) + 1);
  }

  private join(plan: GroupPlan, prng: Prng): void {
    const { context, options } = this;
    const free = STATIC_NAMES.filter((name) => {
      return !this.inGroup(plan.group).some((m) => m.options.instanceId === name);
    });
    const instanceId = free.length > 0 && prng.chance(0.3) ? prng.pick(free) : undefined;
    for (const gone of this.members.filter((m) => m.isOver)) this.polledByGone += gone.polled;
    this.members = this.members.filter((m) => !m.isOver);
    this.members.push(
      new SimMember(
        context,
        prng.fork(),
        {
          ...plan,
          ...(instanceId === undefined ? {} : { instanceId }),
          topic: options.topic,
          rack: prng.pick(['', 'east', 'west']),
          autoCommit: prng.chance(0.7),
          processingTimeoutMs: prng.pick([1_000, 300_000]),
        },
        {
          workMsMax: prng.pick([5, 50, 50, 1_500]),
          isBatchwise: prng.chance(0.5),
          clockRate: options.clockDrift ? 0.98 + prng.float() * 0.04 : 1,
        },
      ),
    );
  }

  private strike(fault: MemberFault, member: SimMember, prng: Prng): void {
    const { context } = this;
    const { process } = member;
    const forAWhile = (run: () => void): void => {
      const lengthMs = prng.pick([300, 2_000, 9_000]);
      context.scheduler.schedule(ms(1 + prng.int(lengthMs)), undefined, run);
    };
    switch (fault) {
      case 'memberLeave':
        void member.close(prng.chance(0.5));
        break;
      case 'memberCrash':
      case 'memberVanish':
        member.crash(fault === 'memberCrash');
        break;
      case 'memberPause':
        process.pause();
        forAWhile(() => process.resume());
        break;
      case 'memberCut': {
        const ids = Array.from({ length: context.brokers }, (_, at) => at + 1);
        const cut = prng.chance(0.5) ? ids : ids.filter(() => prng.chance(0.5));
        context.net.cut(process, cut);
        forAWhile(() => context.net.mend(process));
        break;
      }
    }
  }
}
