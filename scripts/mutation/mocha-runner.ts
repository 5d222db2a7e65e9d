/**
 * Lets Stryker run mocha tests. Its own runner for mocha reaches into files that mocha 12 has renamed;
 * this one uses what mocha exports.
 *
 * A worker loads the tests once and runs them again for every mutant: only those that reach it, until
 * the first that fails. A test is known by its full title.
 */
import fc from 'fast-check';
import Mocha from 'mocha';
import type { InstrumenterContext, StrykerOptions } from '@stryker-mutator/api/core';
import { commonTokens, declareClassPlugin, PluginKind, tokens } from '@stryker-mutator/api/plugin';
import {
  determineHitLimitReached,
  DryRunStatus,
  TestStatus,
  toMutantRunResult,
  type DryRunOptions,
  type DryRunResult,
  type MutantRunOptions,
  type MutantRunResult,
  type TestResult,
  type TestRunner,
  type TestRunnerCapabilities,
} from '@stryker-mutator/api/test-runner';

declare global {
  /** Where instrumented code looks for the mutant that is on, and counts what it reaches. */
  var __stryker__: InstrumenterContext | undefined;
}

/** All tests but those of how long something takes: instrumented code takes longer. */
const ALL = /^(?!.*takes little time)/;

/** Of properties that do not say how many; the others have casesOf. */
const CASES = 10;

/** Results are taken from the runner's events. */
class Silent extends Mocha.reporters.Base {}

class MochaRunner implements TestRunner {
  private readonly context: InstrumenterContext;
  private readonly mocha: Mocha;
  private isLoaded = false;
  private isCounting = false;

  static readonly inject = tokens(commonTokens.options);

  constructor(options: StrykerOptions) {
    this.context = globalThis.__stryker__ ??= {};
    fc.configureGlobal({ seed: 1, numRuns: CASES });
    // Stryker has its own timeouts, and workers that it can kill.
    this.mocha = new Mocha({ timeout: 0, reporter: Silent });
    this.mocha.cleanReferencesAfterRun(false);
    for (const file of options.testFiles) this.mocha.addFile(file);
    const enter = (title: string | undefined): void => {
      if (this.isCounting && title !== undefined) this.context.currentTestId = title;
    };
    this.mocha.suite.beforeEach(function () {
      enter(this.currentTest?.fullTitle());
    });
  }

  /** Modules are loaded once a process: mutants in what runs while loading need a new one. */
  capabilities(): TestRunnerCapabilities {
    return { reloadEnvironment: false };
  }

  async dryRun({ disableBail }: DryRunOptions): Promise<DryRunResult> {
    this.isCounting = true;
    this.mocha.grep(ALL);
    await this.load();
    const result = await this.run(disableBail);
    this.isCounting = false;
    const { mutantCoverage } = this.context;
    if (result.status !== DryRunStatus.Complete || mutantCoverage === undefined) return result;
    return { ...result, mutantCoverage };
  }

  async mutantRun(options: MutantRunOptions): Promise<MutantRunResult> {
    const { activeMutant, disableBail, hitLimit } = options;
    const titles = titlesIn(options);
    const context: Partial<Record<keyof InstrumenterContext, unknown>> = this.context;
    context.hitLimit = hitLimit;
    context.hitCount = hitLimit === undefined ? undefined : 0;
    this.mocha.grep(titles === undefined ? ALL : new Titles(titles));
    // A mutant in what runs while loading comes with a process that has loaded nothing yet.
    context.activeMutant = activeMutant.id;
    try {
      await this.load();
    } catch (error) {
      return toMutantRunResult({ status: DryRunStatus.Error, errorMessage: String(error) });
    }
    const result = await this.run(disableBail);
    const { hitCount } = this.context;
    return toMutantRunResult(determineHitLimitReached(hitCount, hitLimit) ?? result);
  }

  private async load(): Promise<void> {
    if (this.isLoaded) return;
    await this.mocha.loadFilesAsync();
    this.isLoaded = true;
  }

  private async run(disableBail: boolean): Promise<DryRunResult> {
    bail(this.mocha.suite, !disableBail);
    const results = new Map<string, TestResult>();
    await new Promise<void>((resolve) => {
      const runner = this.mocha.run(() => resolve());
      runner.on('pass', (test) => {
        const seen = results.get(test.fullTitle());
        if (seen?.status !== TestStatus.Failed) {
          results.set(test.fullTitle(), { ...described(test), status: TestStatus.Success });
        }
      });
      // A hook may fail, too, which counts as a test.
      runner.on('fail', (test, error: unknown) => {
        const failureMessage = error instanceof Error ? error.message : String(error);
        const status = TestStatus.Failed;
        results.set(test.fullTitle(), { ...described(test), status, failureMessage });
      });
    });
    return { status: DryRunStatus.Complete, tests: [...results.values()] };
  }
}

function bail(suite: Mocha.Suite, isOn: boolean): void {
  suite.bail(isOn);
  for (const child of suite.suites) bail(child, isOn);
}

function described(test: Mocha.Test): Omit<TestResult, 'status' | 'failureMessage'> {
  const title = test.fullTitle();
  const { file, duration } = test;
  const where = file === undefined ? {} : { fileName: file };
  return { id: title, name: title, timeSpentMs: duration ?? 0, ...where };
}

/** Those to be run; undefined: all. A filter for a mutant that every test reaches names files. */
function titlesIn({ testFilter }: MutantRunOptions): readonly string[] | undefined {
  return testFilter?.every((one) => one.endsWith('.test.ts')) === true ? undefined : testFilter;
}

/** Matches these titles and no others, at the cost of looking one up: asked for every test of a run. */
class Titles extends RegExp {
  private readonly titles: ReadonlySet<string>;

  constructor(titles: readonly string[]) {
    super('(?:)');
    this.titles = new Set(titles);
  }

  override test(title: string): boolean {
    return this.titles.has(title);
  }
}

export const mochaRunner = declareClassPlugin(PluginKind.TestRunner, 'mocha-12', MochaRunner);
