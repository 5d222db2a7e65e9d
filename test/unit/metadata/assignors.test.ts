import { expect } from 'chai';
import fc from 'fast-check';

import type {
  Assignment,
  Assignor,
  AssignorInput,
  AssignorMember,
} from '../../../src/metadata/assignors/assignor.js';
import { rangeAssignor } from '../../../src/metadata/assignors/range.js';
import { Assignors, BUILT_IN_ASSIGNORS } from '../../../src/metadata/assignors/assignors.js';
import { assignmentProblem } from '../../../src/metadata/assignors/check-assignment.js';
import { rackAssignor, uniformAssignor } from '../../../src/metadata/assignors/sticky.js';
import { slotKey, sortedSlots, type Slot } from '../../../src/metadata/consumer-group.js';
import { planTarget } from '../../../src/metadata/plan-target.js';
import { topicId } from '../../../src/model/ids.js';
import { GroupLog, show, slot } from './group-support.js';
import { casesOf } from '../../support/cases.js';
import { leastComputedMs, slowness } from '../../support/yardstick.js';

type Spec = Readonly<
  Record<string, { readonly topics: string; readonly rack?: string; readonly instance?: string }>
>;

/** Topics by letter; `racks` are those of the partitions of every topic, in turn. */
function inputOf(
  topics: Readonly<Record<string, number>>,
  members: Spec,
  current: Assignment = new Map(),
  racks: readonly string[] = [],
): AssignorInput {
  return {
    members: Object.keys(members)
      .sort()
      .map((memberId): AssignorMember => {
        const spec = members[memberId]!;
        return {
          memberId,
          instanceId: spec.instance ?? '',
          rack: spec.rack ?? '',
          topics: Array.from(spec.topics)
            .map((name) => slot(`${name}0`).topicId)
            .sort(),
          current: current.get(memberId) ?? [],
        };
      }),
    topics: new Map(
      Object.entries(topics).map(([name, partitions]) => {
        const { topicId: id } = slot(`${name}0`);
        const racksOf = (partition: number): Set<string> =>
          new Set(racks.length === 0 ? [] : [racks[partition % racks.length]!]);
        return [id, { id, partitions, racksOf }];
      }),
    ),
  };
}

const shown = (assignment: Assignment): Record<string, string> =>
  Object.fromEntries([...assignment].map(([id, slots]) => [id, show(sortedSlots(slots))]));

function moved(before: Assignment, after: Assignment): number {
  const owner = new Map<string, string>();
  for (const [memberId, slots] of before)
    for (const one of slots) owner.set(slotKey(one), memberId);
  let count = 0;
  for (const [memberId, slots] of after) {
    for (const one of slots) {
      const previous = owner.get(slotKey(one));
      if (previous !== undefined && previous !== memberId && after.has(previous)) count += 1;
    }
  }
  return count;
}

const sizes = (assignment: Assignment): number[] =>
  [...assignment.values()].map((slots) => slots.length).sort((a, b) => a - b);

describe('the range assignor', () => {
  it('gives the same numbers of every topic to the same member', () => {
    const input = inputOf({ a: 5, b: 5 }, { x: { topics: 'ab' }, y: { topics: 'ab' } });
    expect(shown(rangeAssignor.assign(input))).to.eql({ x: 'a0 a1 b0 b1', y: 'a2 a3 a4 b2 b3 b4' });
  });

  it('asks only subscribers, and leaves some without when there are too few', () => {
    const members = { x: { topics: 'a' }, y: { topics: 'ab' }, z: { topics: 'a' } };
    expect(shown(rangeAssignor.assign(inputOf({ a: 2, b: 1 }, members)))).to.eql({
      x: '',
      y: 'a0 b0',
      z: 'a1',
    });
  });

  it('puts static members first, in the order of their instances', () => {
    const members = {
      x: { topics: 'a', instance: 'i2' },
      y: { topics: 'a', instance: 'i1' },
      b: { topics: 'a' },
    };
    expect(shown(rangeAssignor.assign(inputOf({ a: 3 }, members)))).to.eql({
      y: 'a0',
      x: 'a1',
      b: 'a2',
    });
  });
});

describe('the uniform assignor', () => {
  it('moves no more than it must when a member comes', () => {
    const two = { x: { topics: 'a' }, y: { topics: 'a' } };
    const before = uniformAssignor.assign(inputOf({ a: 12 }, two));
    expect(sizes(before)).to.eql([6, 6]);
    const after = uniformAssignor.assign(inputOf({ a: 12 }, { ...two, z: two.x }, before));
    expect(sizes(after)).to.eql([4, 4, 4]);
    expect(moved(before, after)).to.equal(4);
  });

  it('moves only what was left behind when a member goes', () => {
    const two = { x: { topics: 'a' }, y: { topics: 'a' } };
    const before = uniformAssignor.assign(inputOf({ a: 12 }, { ...two, z: two.x }));
    const after = uniformAssignor.assign(inputOf({ a: 12 }, two, before));
    expect(sizes(after)).to.eql([6, 6]);
    expect(moved(before, after)).to.equal(0);
  });

  it('balances over all topics, not topic by topic', () => {
    const members = { w: { topics: 'abc' }, x: { topics: 'abc' }, y: { topics: 'abc' } };
    expect(sizes(uniformAssignor.assign(inputOf({ a: 1, b: 1, c: 1 }, members)))).to.eql([1, 1, 1]);
  });

  it('evens out members with different subscriptions as far as these allow', () => {
    const members = { x: { topics: 'a' }, y: { topics: 'ab' }, z: { topics: 'b' } };
    const all = uniformAssignor.assign(inputOf({ a: 4, b: 4 }, members));
    expect(Math.max(...sizes(all)) - Math.min(...sizes(all))).to.be.at.most(1);
    const greedy = new Map<string, Slot[]>([['y', ['a0', 'a1', 'b0', 'b1'].map(slot)]]);
    const evened = uniformAssignor.assign(inputOf({ a: 2, b: 2 }, members, greedy));
    expect(sizes(evened)).to.eql([1, 1, 2]);
  });

  it('evens out two shares that differ by two, and leaves those that differ by one', () => {
    const members = { x: { topics: 'a' }, y: { topics: 'a' }, z: { topics: 'b' } };
    const of = (count: number): string[] => Array.from({ length: count }, (_, i) => `a${i}`);
    for (const [count, want] of [
      [2, [1, 1]],
      [3, [2, 1]],
      [4, [2, 2]],
    ] as const) {
      const hoarded = new Map([['x', of(count).map(slot)]]);
      const evened = uniformAssignor.assign(inputOf({ a: count, b: 9 }, members, hoarded));
      const loads = ['x', 'y'].map((id) => evened.get(id)?.length);
      expect(loads, `${count} partitions`).to.eql(want);
    }
  });

  it('forgets what is gone: topics, partitions, subscriptions', () => {
    const current = new Map([['x', ['a0', 'a7', 'b0', 'c0'].map(slot)]]);
    const input = inputOf({ a: 1, b: 1 }, { x: { topics: 'a' } }, current);
    expect(shown(uniformAssignor.assign(input))).to.eql({ x: 'a0' });
  });
});

describe('the rack assignor', () => {
  const RACKS = ['r1', 'r2', 'r3'];

  it('gives partitions to members near a replica', () => {
    const members = {
      x: { topics: 'a', rack: 'r1' },
      y: { topics: 'a', rack: 'r2' },
      z: { topics: 'a', rack: 'r3' },
    };
    const near = rackAssignor.assign(inputOf({ a: 9 }, members, new Map(), RACKS));
    expect(shown(near)).to.eql({ x: 'a0 a3 a6', y: 'a1 a4 a7', z: 'a2 a5 a8' });
    const far = new Map([
      ['x', near.get('y')!],
      ['y', near.get('z')!],
      ['z', near.get('x')!],
    ]);
    expect(shown(rackAssignor.assign(inputOf({ a: 9 }, members, far, RACKS)))).to.eql(shown(near));
  });

  it('gives a partition with replicas in two racks to the member of both that has the least', () => {
    const members = { x: { topics: 'a', rack: 'r1' }, y: { topics: 'a', rack: 'r2' } };
    const near = (racks: readonly string[]): Record<string, string> => {
      const input = inputOf({ a: 6 }, members);
      const topics = [...input.topics].map(([id, topic]) => {
        return [id, { ...topic, racksOf: () => new Set(racks) }] as const;
      });
      return shown(rackAssignor.assign({ ...input, topics: new Map(topics) }));
    };
    expect(near(['r1', 'r2'])).to.eql({ x: 'a0 a2 a4', y: 'a1 a3 a5' });
    expect(near(['r2', 'r1']), 'in whatever order').to.eql(near(['r1', 'r2']));
  });

  it('moves what is near to whom it goes when shares are evened out', () => {
    const members = {
      x: { topics: 'ab', rack: 'r1' },
      y: { topics: 'a', rack: 'r2' },
      z: { topics: 'b', rack: 'r1' },
    };
    const hoarded = new Map([['x', ['a0', 'a1', 'a2', 'a3'].map(slot)]]);
    const input = inputOf({ a: 4, b: 2 }, members, hoarded, ['r1', 'r2']);
    expect(shown(rackAssignor.assign(input))).to.eql({ x: 'a0 a2', y: 'a1 a3', z: 'b0 b1' });
  });

  it('stays balanced and sticky where racks do not help', () => {
    const members = { x: { topics: 'a', rack: 'r9' }, y: { topics: 'a' } };
    const first = rackAssignor.assign(inputOf({ a: 6 }, members, new Map(), RACKS));
    expect(sizes(first)).to.eql([3, 3]);
    const again = rackAssignor.assign(inputOf({ a: 6 }, members, first, RACKS));
    expect(shown(again)).to.eql(shown(first));
  });
});

describe('every assignor', () => {
  const letters = 'abcd';
  const world = fc.record({
    partitions: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 }),
    members: fc.array(
      fc.record({
        mask: fc.integer({ min: 0, max: 15 }),
        rack: fc.constantFrom('', 'r1', 'r2', 'r3', 'r9'),
      }),
      { minLength: 1, maxLength: 7 },
    ),
    isSame: fc.boolean(),
    leaver: fc.nat(6),
  });

  function build(one: {
    readonly partitions: readonly number[];
    readonly members: readonly { readonly mask: number; readonly rack: string }[];
    readonly isSame: boolean;
  }): {
    topics: Record<string, number>;
    members: Record<string, { topics: string; rack: string }>;
  } {
    const names = Array.from(letters).slice(0, one.partitions.length);
    const topics = Object.fromEntries(names.map((name, i) => [name, one.partitions[i]!]));
    const members = Object.fromEntries(
      one.members.map(({ mask, rack }, i) => {
        const some = names.filter((_, bit) => one.isSame || (mask & (1 << bit)) !== 0).join('');
        return [`m${i}`, { topics: some, rack }];
      }),
    );
    return { topics, members };
  }

  for (const name of BUILT_IN_ASSIGNORS.names()) {
    const assignor = BUILT_IN_ASSIGNORS.choose([name]);

    it(`${name}: gives every partition to one subscriber, and repeats itself`, () => {
      fc.assert(
        fc.property(world, (one) => {
          const { topics, members } = build(one);
          const first = assignor.assign(inputOf(topics, members, new Map(), ['r1', 'r2', 'r3']));
          const seen = new Set<string>();
          for (const [memberId, slots] of first) {
            for (const at of slots) {
              expect(seen.has(slotKey(at)), slotKey(at)).to.equal(false);
              seen.add(slotKey(at));
              expect(members[memberId]!.topics).to.contain(show([at])[0]);
            }
          }
          const wanted = Object.entries(topics)
            .filter(([topic]) => Object.values(members).some((m) => m.topics.includes(topic)))
            .reduce((sum, [, count]) => sum + count, 0);
          expect(seen.size).to.equal(wanted);
          const again = assignor.assign(inputOf(topics, members, first, ['r1', 'r2', 'r3']));
          for (const memberId of Object.keys(members)) {
            expect(shown(again)[memberId] ?? '').to.equal(shown(first)[memberId] ?? '');
          }
        }),
        { numRuns: casesOf(300) },
      );
    });

    if (name === 'range') continue;
    it(`${name}: keeps shares of equal subscriptions even, whoever goes`, () => {
      fc.assert(
        fc.property(world, (given) => {
          const one = { ...given, isSame: true };
          const { topics, members } = build(one);
          const racks = ['r1', 'r2', 'r3'];
          const first = assignor.assign(inputOf(topics, members, new Map(), racks));
          const all = sizes(first);
          expect(all.at(-1)! - all[0]!).to.be.at.most(1);
          const { [`m${given.leaver}`]: gone, ...rest } = members;
          if (gone === undefined || Object.keys(rest).length === 0) return;
          const after = assignor.assign(inputOf(topics, rest, first, racks));
          const left = sizes(after);
          expect(left.at(-1)! - left[0]!).to.be.at.most(1);
          if (name === 'uniform') expect(moved(first, after)).to.equal(0);
        }),
        { numRuns: casesOf(300) },
      );
    });
  }

  const MEMBERS = 5_000;
  const PARTITIONS = 20_000;

  /** Five thousand members over a hundred topics; the first one has everything so far, if it may. */
  function large(
    kind: 'same' | 'mixed',
    isHoarded: boolean,
  ): { input: AssignorInput; readonly asked: () => number } {
    const ids = Array.from({ length: 100 }, (_, i) => topicId(i.toString(16).padStart(32, '0')));
    const lists = Array.from({ length: kind === 'same' ? 1 : 77 }, (_, list) =>
      ids.filter(
        (_id, i) => kind === 'same' || list === 0 || i % 7 === list % 7 || i % 11 === list % 11,
      ),
    );
    const each = PARTITIONS / ids.length;
    const all = ids.flatMap((id) =>
      Array.from({ length: each }, (_, partition) => ({ topicId: id, partition })),
    );
    const members = Array.from({ length: MEMBERS }, (_, i) => ({
      memberId: `m${String(i).padStart(4, '0')}`,
      instanceId: '',
      rack: `r${i % 5}`,
      topics: lists[i % lists.length]!,
      current: isHoarded && i === 0 ? all : [],
    }));
    let asked = 0;
    const racksOf = (partition: number): Set<string> => {
      asked += 1;
      return new Set([`r${partition % 5}`, `r${(partition + 1) % 5}`]);
    };
    const topics = new Map(ids.map((id) => [id, { id, partitions: each, racksOf }]));
    return { input: { members, topics }, asked: () => asked };
  }

  for (const name of BUILT_IN_ASSIGNORS.names()) {
    for (const kind of ['same', 'mixed'] as const) {
      it(`${name}: takes little time, also for a large group with ${kind} subscriptions`, () => {
        const assignor = BUILT_IN_ASSIGNORS.choose([name]);
        for (const isHoarded of [false, true]) {
          const { input, asked } = large(kind, isHoarded);
          const assignment = assignor.assign(input);
          const ms = leastComputedMs(() => void assignor.assign(large(kind, isHoarded).input));
          expect(ms, 'ms of processor time').to.be.below(1_000 * slowness());
          expect(asked(), 'looks at racks').to.be.at.most(4 * PARTITIONS);
          const all = sizes(assignment);
          expect(all.reduce((sum, size) => sum + size, 0)).to.equal(PARTITIONS);
          if (name !== 'range')
            expect(all.at(-1)! - all[0]!).to.be.at.most(kind === 'same' ? 1 : 2);
        }
      }).timeout(120_000);
    }
  }

  it('is chosen by most members, else by name, else uniform', () => {
    expect(BUILT_IN_ASSIGNORS.choose([]).name).to.equal('uniform');
    expect(BUILT_IN_ASSIGNORS.choose(['', '', 'range']).name).to.equal('range');
    expect(BUILT_IN_ASSIGNORS.choose(['uniform', 'range']).name).to.equal('range');
    expect(BUILT_IN_ASSIGNORS.choose(['uniform', 'uniform', 'rack']).name).to.equal('uniform');
    expect(BUILT_IN_ASSIGNORS.choose(['unheard-of']).name).to.equal('uniform');
  });
});

describe('assignors that a broker was given', () => {
  const MEMBERS = { m1: { topics: 'a' }, m2: { topics: 'b' } };
  const input = inputOf({ a: 2, b: 1 }, MEMBERS);
  const given = (assign: unknown, name: unknown = 'own'): Assignor =>
    ({ name, assign }) as unknown as Assignor;
  const wrong = (m1: unknown, m2: unknown): string | undefined =>
    assignmentProblem(
      input,
      new Map([
        ['m1', m1],
        ['m2', m2],
      ]) as Assignment,
    );

  it('are chosen by name like the others, and never take the place of one of ours', () => {
    const own = given(() => new Map());
    const assignors = new Assignors([own]);
    expect(assignors.names()).to.deep.equal(['uniform', 'range', 'rack', 'own']);
    expect(assignors.choose(['own', 'range', 'own'])).to.equal(own);
    expect([own, rangeAssignor].map((one) => assignors.isBuiltIn(one))).to.eql([false, true]);
    const refuse =
      (...list: Assignor[]): (() => Assignors) =>
      () =>
        new Assignors(list);
    expect(refuse(given(() => new Map(), 'range'))).to.throw(
      RangeError,
      'assignor range: there is',
    );
    expect(refuse(own, own)).to.throw(RangeError, 'assignor own: there is one');
    expect(refuse(given(() => new Map(), 'Own'))).to.throw(RangeError, 'assignor "Own": its name');
    expect(refuse(given(() => new Map(), 7))).to.throw(RangeError, 'assignor 7: its name');
    expect(refuse(given(undefined))).to.throw(RangeError, 'assignor own: it has no function');
  });

  it('must give every partition to one of its subscribers', () => {
    const [a0, a1, b0] = [slot('a0'), slot('a1'), slot('b0')];
    expect(wrong([a0, a1], [b0])).to.equal(undefined);
    expect(wrong([a0], [b0])).to.match(/1 is given to nobody/);
    expect(wrong([a0, a1, a1], [b0])).to.match(/1 is given twice/);
    expect(wrong([a0, a1, b0], [])).to.match(/m1 does not subscribe to topic/);
    expect(wrong([a0, a1, slot('a2')], [b0])).to.match(/2 partitions, and no partition 2/);
    expect(wrong([a0, a1, { ...a0, partition: '0' }], [b0])).to.match(/no partition "0"/);
    expect(wrong([a0, a1, null], [b0])).to.match(/m1 got no partition/);
    expect(wrong([a0, a1, 'a2'], [b0])).to.match(/m1 got no partition/);
    expect(wrong([a0, a1, { ...a0, partition: -1 }], [b0])).to.match(/no partition -1/);
    expect(wrong([a0, a1, { ...a0, partition: 0.5 }], [b0])).to.match(/no partition 0.5/);
    expect(wrong('all', [b0])).to.match(/m1 got no list/);
    expect(assignmentProblem(input, new Map([['m3', [a0]]]))).to.match(/no member "m3"/);
    expect(assignmentProblem(input, {} as Assignment)).to.match(/no Map/);
  });

  for (const [what, assign, problem] of [
    [
      'throws',
      () => {
        throw new Error('out of luck');
      },
      /own: it threw Error: out of luck; uniform/,
    ],
    ['forgets a partition', () => new Map(), /own: partition .* is given to nobody; uniform/],
  ] as const) {
    it(`give way to ours when one ${what}`, () => {
      const log = new GroupLog({ a: 4 });
      log.join('m1', { assignor: 'own' });
      const plan = planTarget(
        log.state,
        log.group,
        () => () => false,
        new Assignors([given(assign)]),
      );
      expect(plan.problem).to.match(problem);
      expect(plan.target?.assignor).to.equal('uniform');
      expect(plan.target?.changes.map(({ slots }) => show(slots))).to.eql(['a0 a1 a2 a3']);
    });
  }

  it('are told all that ours are told', () => {
    const log = new GroupLog({ a: 2 });
    log.join('m1');
    log.settle();
    log.join('m2', { assignor: 'own', instanceId: 'i', rack: 'r' });
    log.update('m1', { assignor: 'own' });
    let asked: AssignorInput | undefined;
    const curious = given((from: AssignorInput) => {
      asked = from;
      return uniformAssignor.assign(from);
    });
    planTarget(log.state, log.group, () => () => false, new Assignors([curious]));
    const topics = [slot('a0').topicId];
    expect(asked?.members).to.deep.equal([
      { memberId: 'm1', instanceId: '', rack: '', topics, current: [slot('a0'), slot('a1')] },
      { memberId: 'm2', instanceId: 'i', rack: 'r', topics, current: [] },
    ]);
    expect([...(asked?.topics.values() ?? [])].map(({ partitions }) => partitions)).to.eql([2]);
  });

  it('get copies: what one does to what it was given changes nothing', () => {
    const log = new GroupLog({ a: 4 });
    for (const member of ['m1', 'm2']) log.join(member);
    log.plan();
    const before = ['m1', 'm2'].map((id) => show(log.member(id).target));
    for (const member of ['m1', 'm2']) log.update(member, { assignor: 'own' });
    const vandal = given((from: AssignorInput) => {
      for (const { current, topics } of from.members) {
        (current as Slot[]).reverse();
        for (const one of current) (one as { partition: number }).partition = 3;
        (current as Slot[]).length = 0;
        (topics as unknown[]).length = 0;
      }
      (from.topics as Map<unknown, unknown>).clear();
      return new Map();
    });
    log.join('m3', { assignor: 'own' });
    const plan = planTarget(log.state, log.group, () => () => false, new Assignors([vandal]));
    expect(plan.problem).to.match(/is given to nobody/);
    expect(['m1', 'm2'].map((id) => show(log.member(id).target))).to.eql(before);
    const kept = plan.target?.changes.map(({ slots }) => slots.length);
    expect(kept, 'two keep what they had, but for what goes to the third').to.eql([1, 1]);
  });

  it('give way to ours when one is async, and its rejection is answered for', () => {
    const log = new GroupLog({ a: 4 });
    log.join('m1', { assignor: 'own' });
    const later = Promise.reject(new Error('later'));
    let isAnswered = false;
    const heed = later.catch.bind(later);
    later.catch = (then) => {
      isAnswered = true;
      return heed(then);
    };
    const assignors = new Assignors([given(() => later)]);
    const plan = planTarget(log.state, log.group, () => () => false, assignors);
    expect(plan.problem).to.match(/no Map/);
    expect(plan.target?.assignor).to.equal('uniform');
    expect(isAnswered, 'or it would end the broker').to.equal(true);
  });

  it('decide who holds what', () => {
    const log = new GroupLog({ a: 4 });
    const toLast: Assignor = {
      name: 'own',
      assign: ({ members, topics }) => {
        const slots = [...topics.values()].flatMap(({ id, partitions }) =>
          Array.from({ length: partitions }, (_, partition) => ({ topicId: id, partition })),
        );
        return new Map([[members.at(-1)!.memberId, slots]]);
      },
    };
    for (const member of ['m1', 'm2']) log.join(member, { assignor: 'own' });
    const { target } = planTarget(log.state, log.group, () => () => false, new Assignors([toLast]));
    expect(target?.assignor).to.equal('own');
    expect(target?.changes.map(({ memberId, slots }) => [memberId, show(slots)])).to.eql([
      ['m2', 'a0 a1 a2 a3'],
    ]);
  });
});
