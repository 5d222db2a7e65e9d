import { expect } from 'chai';

import { AckTimes } from '../../../scripts/chaos/gaps.js';
import { gapsByKind, judge } from '../../../scripts/chaos/judge.js';
import { chaosOptions, needsAsOptions } from '../../../scripts/chaos/options.js';
import { randomScenario } from '../../../scripts/chaos/scenarios/random.js';
import { findScenario, SCENARIOS } from '../../../scripts/chaos/scenarios/registry.js';
import type { Verdict } from '../../checker/index.js';

const PASSED: Verdict = {
  verdict: 'PASS',
  reason: undefined,
  violations: [],
  counts: {},
  skipped: [],
  stats: { lines: 0, sends: 0, acked: 0, polledRecords: 0, keys: 0, writeGapMaxMs: 0 },
};
const GOOD = { verdict: PASSED, problems: [], doubts: [], faults: 1, faultsMin: 1 };

function acks(key: string, ...times: number[]): { key: string; atMs: number }[] {
  return times.map((atMs) => ({ key, atMs }));
}

describe('write gaps of a chaos run', () => {
  const times = new AckTimes(acks('t/0', 0, 100, 200, 1_300, 1_400, 9_000, 9_100));

  it('are the longest time without an answer that began before what was under way had come', () => {
    expect(times.gap('t/0', { atMs: 150, untilMs: 150 })).to.equal(1_100);
    expect(times.gap('t/0', { atMs: 1_350, untilMs: 1_350 })).to.equal(7_600);
  });

  it('do not count what began long after the fault', () => {
    expect(times.gap('t/0', { atMs: 50, untilMs: 50 })).to.equal(1_100);
    expect(times.gap('t/0', { atMs: 250, untilMs: 250 })).to.equal(1_100);
  });

  it('count as the fault’s own until it is over', () => {
    expect(times.gap('t/0', { atMs: 250, untilMs: 1_200 })).to.equal(7_600);
  });

  it('are none where nothing was written after it, or at all', () => {
    expect(times.gap('t/0', { atMs: 9_200, untilMs: 9_200 })).to.equal(undefined);
    expect(times.gap('t/1', { atMs: 0, untilMs: 0 })).to.equal(undefined);
  });

  it('are told apart by whom the fault hit, and held against the goals', () => {
    const all = [...acks('t/0', 0, 10, 20, 170), ...acks('t/1', 0, 10, 20, 30, 170)];
    const fault = { kind: 'kill-leader', atMs: 15, untilMs: 15, keys: ['t/0'] };
    const { gaps } = gapsByKind([fault], all, 15);
    expect(gaps).to.have.length(1);
    expect(gaps[0]).to.include({ faults: 1, isWithinGoal: true, isElsewhereWithinGoal: false });
    expect(gaps[0]?.hit.max).to.equal(150);
    expect(gaps[0]?.elsewhere.max).to.equal(140);
  });
});

describe('the judgement of a chaos run', () => {
  it('passes what the checker passed and nobody doubts', () => {
    expect(judge(GOOD)).to.deep.equal({ status: 'PASS', reasons: [] });
  });

  it('fails on a problem although the history is clean, and although it is thin', () => {
    const run = { ...GOOD, problems: ['replicas differ'], doubts: ['too quiet'], faults: 0 };
    expect(judge(run)).to.deep.equal({ status: 'FAIL', reasons: ['replicas differ'] });
  });

  it('fails on a violation', () => {
    const verdict: Verdict = {
      ...PASSED,
      verdict: 'FAIL',
      violations: [{ check: 'C03', message: 'lost' }],
    };
    expect(judge({ ...GOOD, verdict })).to.deep.equal({ status: 'FAIL', reasons: ['C03 lost'] });
  });

  for (const [what, run] of [
    ['too few faults', { ...GOOD, faults: 0 }],
    ['a fault that did not strike', { ...GOOD, doubts: ['nothing was resent'] }],
    ['a thin history', { ...GOOD, verdict: { ...PASSED, verdict: 'INVALID', reason: 'thin' } }],
    ['no verdict', { ...GOOD, verdict: undefined }],
  ] as const) {
    it(`is INVALID with ${what}`, () => {
      const { status, reasons } = judge(run);
      expect(status).to.equal('INVALID');
      expect(reasons).to.have.length(1);
    });
  }
});

describe('the chaos command', () => {
  it('knows every scenario by its number, and some by a name', () => {
    const ids = SCENARIOS.map(({ id }) => id);
    expect(new Set(ids).size).to.equal(ids.length);
    for (let n = 1; n <= 17; n += 1) expect(ids).to.include(`D${String(n).padStart(2, '0')}`);
    for (let n = 31; n <= 35; n += 1) expect(ids).to.include(`D${n}`);
    expect(findScenario('kill-leader')?.id).to.equal('D02');
    expect(findScenario('groups')?.needs?.churn).to.equal(true);
    expect(findScenario('D99')).to.equal(undefined);
  });

  it('refuses what makes no sense', () => {
    for (const args of [
      ['--seconds', '0'],
      ['--minutes', 'x'],
      ['--faults=-1'],
      ['--all', '--random', '1'],
    ]) {
      expect(() => chaosOptions(args), args.join(' ')).to.throw(RangeError);
    }
    expect(() => chaosOptions(['--nonsense'])).to.throw(TypeError);
  });

  it('takes minutes for seconds, and ten of them for each of all', () => {
    expect(chaosOptions(['--minutes', '2']).seconds).to.equal(120);
    expect(chaosOptions(['--all']).seconds).to.equal(600);
    expect(chaosOptions(['--faults', '3'])).to.include({ faultsMax: 3, scenario: 'kill-leader' });
    expect(chaosOptions(['--random', '9'])).to.include({ mode: 'random', seed: 9 });
    expect(chaosOptions(['--scenario', 'D01'])).to.include({ mode: 'scenario' });
    expect(chaosOptions(['--scenario', 'D01,D02'])).to.include({ mode: 'several' });
  });

  it('tells each run of a campaign what the load is to be like', () => {
    const said = ['--brokers', '5', '--partitions', '8', '--records-per-second', '200'];
    expect(needsAsOptions(chaosOptions(['--all', ...said]).needs)).to.deep.equal(said);
    expect(needsAsOptions(chaosOptions(['--all']).needs)).to.deep.equal([]);
  });

  it('draws at random only what leaves a majority of brokers', () => {
    expect(randomScenario(1).needs?.peerLinks).to.equal(true);
    expect(SCENARIOS.filter(({ random }) => random === 'alone').length).to.be.greaterThan(5);
    expect(SCENARIOS.filter(({ random }) => random === 'beside').length).to.be.greaterThan(2);
  });
});
