import { expect } from 'chai';
import { Sleepers, type Sleeper } from '../../../src/host/sleepers.js';
import { brokerId, raftGroupId, term } from '../../../src/model/ids.js';
import type { Pulse } from '../../../src/ports/transport.js';
import { recordingTelemetry } from '../../support/telemetry.js';

const LEADER = brokerId(1);
const FOLLOWER = brokerId(2);
const ELECTION_TICKS = 20;

function sleepersOf(self: number): Sleepers {
  const { log } = recordingTelemetry();
  return new Sleepers({ self: brokerId(self), boot: self, electionTicks: ELECTION_TICKS, log });
}

/** A group that counts how often it is woken. */
function group(id: number): Sleeper & { woken: number } {
  return {
    id: raftGroupId(id),
    woken: 0,
    wake(): void {
      this.woken += 1;
    },
    pulseLapsed: () => undefined,
  };
}

function fallAsleep(sleepers: Sleepers, sleeper: Sleeper, other: number): void {
  sleepers.changed(sleeper, { term: term(3), leader: LEADER, others: [brokerId(other)] });
}

/** Ticks until pulses are due, and takes the one there is. */
function nextPulse(sleepers: Sleepers): Pulse {
  for (let ticks = 0; ticks < ELECTION_TICKS; ticks += 1) if (sleepers.tick()) break;
  const [pulse] = sleepers.takePulses();
  if (pulse === undefined) throw new Error('no pulse was due');
  return pulse;
}

describe('sleepers', () => {
  let leading: Sleepers;
  let following: Sleepers;
  let groups: (Sleeper & { woken: number })[];

  beforeEach(() => {
    leading = sleepersOf(LEADER);
    following = sleepersOf(FOLLOWER);
    groups = [group(1), group(2)];
    for (const sleeper of groups) fallAsleep(following, sleeper, LEADER);
    fallAsleep(leading, group(1), FOLLOWER);
  });

  const woken = (): number => groups.reduce((sum, { woken: times }) => sum + times, 0);

  it('hand out each pulse once', () => {
    nextPulse(leading);
    expect(leading.takePulses()).to.deep.equal([]);
  });

  it('wake when two pulses in a row contradict what is known', () => {
    for (const expected of [0, 2]) {
      following.heard(nextPulse(leading));
      following.judgeHeard();
      expect(woken()).to.equal(expected);
    }
  });

  it('judge only the last of the pulses that came together', () => {
    const stale = [nextPulse(leading), nextPulse(leading)];
    fallAsleep(leading, group(2), FOLLOWER);
    for (const pulse of [...stale, nextPulse(leading)]) following.heard(pulse);
    following.judgeHeard();
    following.heard(nextPulse(leading));
    following.judgeHeard();
    expect(woken()).to.equal(0);
  });

  it('say so when the other knows of groups that do not sleep here', () => {
    for (let times = 0; times < 2; times += 1) {
      following.heard(nextPulse(leading));
      following.judgeHeard();
    }
    expect(nextPulse(following).disagrees).to.equal(true);
    fallAsleep(leading, group(2), FOLLOWER);
    following.heard(nextPulse(leading));
    following.judgeHeard();
    expect(nextPulse(following).disagrees).to.equal(false);
  });
});
