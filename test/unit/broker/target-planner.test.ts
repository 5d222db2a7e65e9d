import { expect } from 'chai';

import { TargetPlanner } from '../../../src/broker/target-planner.js';
import type { Rejection } from '../../../src/metadata/command.js';
import type { GroupEvent } from '../../../src/metadata/group-event.js';
import { planTarget, type MatchPattern } from '../../../src/metadata/plan-target.js';
import { brokerId, topicId } from '../../../src/model/ids.js';
import { FakeWorld } from '../host/support/fake-world.js';
import { testTelemetry, type LogLine } from '../host/support/test-cluster.js';
import { GROUP, GroupLog, slot, topicIdOf } from '../metadata/group-support.js';

const matches: MatchPattern = (pattern) => {
  const expression = new RegExp(`^(?:${pattern})$`);
  return (name) => expression.test(name);
};

describe('the planner of targets', () => {
  let world: FakeWorld;
  let log: GroupLog;
  let lines: LogLine[];
  let planned: string[];
  let submitted: number;
  let planner: TargetPlanner;
  let submit: (events: readonly GroupEvent[]) => Promise<readonly (Rejection | undefined)[]>;
  let isBroken: boolean;

  beforeEach(() => {
    world = new FakeWorld();
    log = new GroupLog({ a: 4, b: 2 });
    lines = [];
    planned = [];
    submitted = 0;
    isBroken = false;
    submit = (events) => {
      for (const event of events) log.event(event);
      return Promise.resolve([undefined]);
    };
    planner = new TargetPlanner({
      world,
      state: log.state,
      matches,
      log: testTelemetry(lines, new Map()).log,
      plan: (group) => {
        planned.push(group.name);
        if (isBroken) throw new Error('broken');
        return planTarget(log.state, group, matches);
      },
      submit: (events) => {
        submitted += 1;
        return submit(events);
      },
    });
    log.state.takeDelta();
  });
  afterEach(() => planner.stop());

  const add = (group: string, topics: readonly string[], pattern = '', more = {}): void => {
    const profile = {
      instanceId: '',
      rack: '',
      clientId: '',
      assignor: '',
      topics,
      pattern,
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 10_000,
      ...more,
    };
    log.event({ kind: 'member', group, memberId: 'm', replaces: '', isStart: true, profile });
  };
  /** Tells of everything that has changed; groups that were planned for that, by name. */
  const follow = async (): Promise<string[]> => {
    planned = [];
    const delta = log.state.takeDelta();
    if (delta !== undefined) planner.topicsChanged(delta);
    await world.run(1_000);
    return [...planned].sort();
  };

  it('looks only at groups that a changed topic concerns', async () => {
    add('of-a', ['a']);
    add('of-b', ['b']);
    add('of-new', ['new']);
    add('like-new', [], 'n.w');
    planner.markAll();
    await world.run(1_000);
    expect([...planned].sort()).to.eql(['like-new', 'of-a', 'of-b', 'of-new']);
    log.create('new', 3);
    expect(await follow()).to.eql(['like-new', 'of-new']);
    const set = new Map([['retention.ms', '1000']]);
    log.apply({ kind: 'alterTopic', topicId: topicIdOf(1), set, unset: [] });
    expect(await follow()).to.eql(['of-a']);
    log.apply({ kind: 'deleteTopic', topicId: slot('new0').topicId });
    expect(await follow()).to.eql(['like-new', 'of-new']);
    for (const name of ['like-new', 'of-new']) {
      expect(log.state.consumerGroups.get(name)?.members.get('m')?.target).to.eql([]);
    }
    planner.topicsChanged({ isReset: true, brokers: [], topics: [], tombstones: [] });
    expect(await follow()).to.have.length(4);
  });

  it('looks at a group when brokers change only if it is assigned by racks', async () => {
    add('of-a', ['a']);
    add('near-a', ['a'], '', { assignor: 'rack', rack: 'r1' });
    planner.markAll();
    await world.run(1_000);
    planner.topicsChanged({ isReset: false, brokers: [brokerId(1)], topics: [], tombstones: [] });
    expect(await follow()).to.eql(['near-a']);
  });

  it('looks at a group again, whatever changes, after its assignor failed', async () => {
    add('of-a', ['a']);
    isBroken = true;
    planner.mark('of-a');
    await world.run(1_000);
    expect(submitted).to.equal(0);
    expect(lines.filter(({ level }) => level === 'error')).to.have.length(1);
    isBroken = false;
    const topics = [topicId('f'.repeat(32))];
    planner.topicsChanged({ isReset: false, brokers: [], topics, tombstones: [] });
    expect(await follow()).to.eql(['of-a']);
    expect(submitted).to.equal(1);
  });

  it('plans one group in a turn', async () => {
    for (const name of ['x', 'y', 'z']) add(name, ['a']);
    const seen: number[] = [];
    const { timers } = world;
    planner.markAll();
    const look = (): void => {
      seen.push(planned.length);
      if (planned.length < 3) timers.defer(look);
    };
    timers.defer(look);
    await world.run(100);
    expect(seen).to.eql([1, 2, 3]);
  });

  it('keeps nothing of groups that have gone, also while a target is under way', async () => {
    let letGo: (outcome: readonly (Rejection | undefined)[]) => void = () => undefined;
    add(GROUP, ['a']);
    submit = () => new Promise((resolve) => (letGo = resolve));
    planner.mark(GROUP);
    await world.run(100);
    expect([submitted, planner.size]).to.eql([1, 1]);
    planner.mark(GROUP);
    log.event({ kind: 'leave', group: GROUP, memberId: 'm' });
    planner.forget(GROUP);
    expect(planner.size).to.equal(1);
    letGo([undefined]);
    await world.settle();
    expect(planner.size).to.equal(0);
    planner.mark('unheard-of');
    await world.run(100);
    expect(planner.size).to.equal(0);
  });

  it('waits before it tries again what was not committed, but not once it has stopped', async () => {
    add(GROUP, ['a']);
    submit = () => Promise.reject(new Error('lost'));
    planner.mark(GROUP);
    await world.run(200);
    expect(submitted).to.equal(1);
    await world.run(200);
    expect(submitted).to.equal(2);
    planner.stop();
    expect([planner.size, await follow(), submitted]).to.eql([0, [], 2]);
  });
});
