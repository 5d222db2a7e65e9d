import { expect } from 'chai';

import { NumberedCheck, valueSource } from '../../scripts/bench/driver/values.js';
import { isReached, table } from '../../scripts/bench/report.js';
import { type Figure, type Floors, sizesOf } from '../../scripts/bench/scenarios/scenario.js';
import { Stoppables } from '../../scripts/bench/stoppables.js';
import { runSuite, SCENARIOS, suiteJson } from '../../scripts/bench/suite.js';

/** Measuring them takes as long as a scenario: it is tried once. */
const KNOWN_FLOORS: Floors = { bestBatchBytes: 256 * 1024, byBatchBytes: new Map() };

/** What these measure says nothing here: they are too small, and the machine may be busy. */
describe('the scenarios of npm run bench -- suite', function () {
  this.timeout(480_000);

  for (const scenario of SCENARIOS) {
    it(`${scenario.id} comes to figures for each run`, async () => {
      const { reports } = await runSuite({
        sizes: { ...sizesOf(true, {}), seconds: 0.2, warmupSeconds: 0.1 },
        scenarios: [scenario],
        valueFiles: [],
        say: () => undefined,
        stoppables: new Stoppables(),
        ...(scenario.id === 'S2' ? {} : { floors: KNOWN_FLOORS }),
      });
      const figures = reports.flatMap(({ outcome }) => outcome.figures);
      const conditions = reports.map(({ outcome }) => outcome.conditions);
      expect(
        figures.some(({ goal }) => goal !== undefined),
        conditions.join(),
      ).to.equal(true);
      for (const { what, values } of figures) {
        expect(values, what).to.have.length(1);
        expect(values[0], what).to.be.at.least(0).and.to.be.lessThan(Infinity);
      }
      for (const { measured } of reports.flatMap(({ outcome }) => outcome.parts)) {
        for (const { cpuSeconds, peakMebibytes, loopDelayP99Ms } of measured) {
          const names = ['broker-1', 'broker-2', 'broker-3', 'client'];
          expect(Object.keys(cpuSeconds).sort()).to.deep.equal(names);
          expect(Object.keys(loopDelayP99Ms).sort()).to.deep.equal(names);
          for (const name of names) expect(peakMebibytes[name]).to.be.greaterThan(10);
        }
      }
    });
  }
});

describe('what a benchmark has started', () => {
  it('is stopped when its use ends or fails, and all of it at once when the run is interrupted', async () => {
    const stoppables = new Stoppables();
    const stopped: string[] = [];
    const start = (name: string) => async () =>
      Promise.resolve({ stop: async () => Promise.resolve(void stopped.push(name)) });
    expect(await stoppables.using(start('a'), async () => Promise.resolve(1))).to.equal(1);
    const failing = stoppables.using(start('b'), async () => Promise.reject(new Error('oh')));
    expect(await failing.catch((error: unknown) => String(error))).to.equal('Error: oh');
    expect(stopped).to.deep.equal(['a', 'b']);

    let isOver = false;
    let end = (): void => undefined;
    const running = stoppables.using(start('c'), () => new Promise<void>((done) => (end = done)));
    void running.then(() => (isOver = true));
    await stoppables.stopAll();
    expect(stopped).to.deep.equal(['a', 'b', 'c']);
    end();
    void stoppables.using(start('d'), async () => Promise.reject(new Error('started')));
    await new Promise((resolve) => setImmediate(resolve));
    expect(isOver, 'what comes after it goes on').to.equal(false);
    expect(stopped.includes('d')).to.equal(false);
  });
});

describe('what a benchmark says', () => {
  const figure = (values: readonly number[], goal?: Figure['goal']): Figure => ({
    ...{ what: 'records', unit: '/s', digits: 0, values },
    ...(goal === undefined ? {} : { goal }),
  });

  it('judges by the median, in the direction of the goal', () => {
    expect(isReached(figure([1, 9, 5], { atLeast: 5 }))).to.equal(true);
    expect(isReached(figure([1, 9, 5], { atLeast: 6 }))).to.equal(false);
    expect(isReached(figure([1, 9, 5], { atMost: 5 }))).to.equal(true);
    expect(isReached(figure([1, 9, 5], { atMost: 4 }))).to.equal(false);
    expect(isReached(figure([1, 9, 5]))).to.equal(undefined);
    expect(isReached(figure([], { atLeast: 0 }))).to.equal(false);
  });

  it('shows the median between the least and the most, and says the same as JSON', () => {
    const figures = [figure([1_000, 3_000, 2_000], { atLeast: 1_500 })];
    const reports = [
      { id: 'S1', about: 'records', outcome: { conditions: '', figures, parts: [] } },
    ];
    expect(
      table(reports)
        .split('\n')[2]
        ?.split('|')
        .map((cell) => cell.trim()),
    ).to.deep.equal([
      ...['', 'S1', 'records', 'records', '≥ 1,500/s', '2,000/s (1,000 to 3,000)', 'yes', ''],
    ]);
    expect(suiteJson({ reports, floors: KNOWN_FLOORS })).to.deep.include({
      scenarios: [
        {
          id: 'S1',
          about: 'records',
          conditions: '',
          parts: [],
          figures: [{ ...figures[0], reached: true }],
        },
      ],
    });
  });

  it('takes no size that is none', () => {
    expect(() => sizesOf(false, { runs: 0 })).to.throw(RangeError, /runs/);
    expect(() => sizesOf(false, { runs: 1.5 })).to.throw(RangeError, /runs/);
    expect(() => sizesOf(true, { seconds: Number.NaN })).to.throw(RangeError, /seconds/);
    expect(sizesOf(false, { runs: 3 })).to.include({ runs: 3, seconds: 10 });
  });
});

describe('the values of a benchmark', () => {
  const cut = (source: ReturnType<typeof valueSource>, count: number): Uint8Array[] =>
    Array.from({ length: count }, () => {
      const start = source.next();
      return Uint8Array.from(source.pool.subarray(start, start + source.bytes));
    });

  it('are checked when they are numbered: bytes, number, and that none is missing or comes twice', () => {
    const values = cut(valueSource({ kind: 'numbered', bytes: 99 }), 50);
    const check = new NumberedCheck(values.length, 99);
    const take = (by: NumberedCheck, value: Uint8Array): void => {
      // As they lie in a batch: with others before and behind them.
      by.within(Buffer.concat([Uint8Array.of(1, 2, 3), value, Uint8Array.of(4, 5, 6, 7)]));
      by.take(3, 3 + value.length);
    };
    for (let pass = 0; pass < 2; pass += 1) {
      for (const value of values.toReversed()) take(check, value);
      check.endPass();
    }
    const [first = new Uint8Array()] = values;
    take(check, first);
    expect(() => take(check, first)).to.throw(/twice/);
    expect(() => check.endPass()).to.throw(/50 records were written, 1 were read/);
    for (let at = 0; at < 99; at += 1) {
      const changed = Uint8Array.from(values[7] ?? []);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(() => take(new NumberedCheck(50, 99), changed), `byte ${at}`).to.throw();
    }
    expect(() => take(new NumberedCheck(50, 99), first.subarray(1))).to.throw(/98 bytes/);
  });

  it('are new pieces of the lines each time, and the same in every process', () => {
    const spec = { kind: 'log', bytes: 100, files: [] } as const;
    const texts = cut(valueSource(spec), 2_000).map((value) =>
      Buffer.from(value).toString('latin1'),
    );
    expect(new Set(texts).size).to.be.greaterThan(1_900);
    expect(texts[0]).to.match(/^2024-02-29T06:00:00/);
    expect(
      cut(valueSource(spec), 2_000).map((v) => Buffer.from(v).toString('latin1')),
    ).to.deep.equal(texts);
  });
});
