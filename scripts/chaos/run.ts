import { createWriteStream, mkdtempSync, rmSync, type WriteStream } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { Prng } from '../../src/base/prng.js';
import { MillraceClient } from '../../src/client/index.js';
import {
  CHECK_IDS,
  checkHistoryFile,
  HistoryWriter,
  type Verdict,
} from '../../test/checker/index.js';
import { ChaosCluster } from './chaos-cluster.js';
import { type DumpFigures, dumpReplicas } from './dump.js';
import { GroupLoad } from './group-load.js';
import { gapsByKind, judge, judgeChurn, REQUIRED } from './judge.js';
import { LiveStage } from './live-stage.js';
import type { Outcome } from './outcome.js';
import type { Needs, Scenario } from './scenario.js';
import { TopicLoad } from './topic-load.js';
import { Workload } from './workload.js';

export interface RunOptions {
  readonly seconds: number;
  readonly faultsMax: number;
  readonly seed: number;
  readonly limitMs: number | undefined;
  readonly slack: number;
  readonly shareLimitMs: number;
  readonly acksMin: number;
  /** Where the history is kept; a passed run's is deleted otherwise. */
  readonly history: string | undefined;
  readonly keep: boolean;
  /** In place of what the scenario needs. */
  readonly needs: Needs;
  readonly say: (text: string) => void;
  /** Ends the run early; it is not judged then. */
  readonly signal: AbortSignal;
}

const TOPIC = 'chaos';
const WARM_UP_MS = 3_000;
const WARM_UP_SECONDS_MAX = 90;
/** Half more than what the judge demands between start and fault. */
const ACKS_MARGIN = 1.5;
const HEALED_FOR_MS = 10_000;
const CHURN_MEMBERS = 6;
const PARTITIONS = 10;
const RECORDS_PER_SECOND = 500;
const PARTITIONS_OF_CHURN = 12;

/** A machine too busy for a load that would prove anything: nobody's failure. */
class TooQuietError extends Error {
  override readonly name = 'TooQuietError';
}

/** Runs one scenario on a cluster of its own, from starting it to judging what came of it. */
export async function runScenario(scenario: Scenario, options: RunOptions): Promise<Outcome> {
  const run = new Run(scenario, options);
  try {
    await Promise.race([run.phases(), aborted(options.signal)]);
    return await run.outcome();
  } catch (error) {
    if (options.signal.aborted) throw error;
    run.failed(error as Error);
    return await run.outcome();
  } finally {
    await run.close();
  }
}

async function aborted(signal: AbortSignal): Promise<never> {
  return await new Promise((_, reject) => {
    const end = (): void => reject(new Error('interrupted'));
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  });
}

/** One run: cluster, load, history and books. `close` ends whatever it started, however far it came. */
class Run {
  private readonly scenario: Scenario;
  private readonly options: RunOptions;
  private readonly needs: Needs;
  private readonly scratch = mkdtempSync(path.join(os.tmpdir(), 'millrace-chaos-'));
  private readonly historyFile: string;
  private readonly sink: WriteStream;
  private readonly history: HistoryWriter;
  private readonly startedAtMs = performance.now();
  private faultsFromMs = Number.NaN;
  private healedAtMs = Number.NaN;
  private cluster: ChaosCluster | undefined;
  private workload: Workload | undefined;
  private topics: TopicLoad | undefined;
  private groups: readonly GroupLoad[] = [];
  private stage: LiveStage | undefined;
  private dump: DumpFigures | undefined;
  private readonly problems: string[] = [];
  private hasFailed = false;
  private isPassed = false;
  private isOver = false;

  constructor(scenario: Scenario, options: RunOptions) {
    this.scenario = scenario;
    this.options = options;
    this.needs = { ...scenario.needs, ...options.needs };
    this.historyFile = options.history ?? path.join(this.scratch, 'history.jsonl');
    this.sink = createWriteStream(this.historyFile);
    this.history = new HistoryWriter(
      (line) => {
        // What is still under way when a run ends early is nobody's business.
        if (!this.sink.writableEnded) this.sink.write(line);
      },
      () => (performance.now() - this.startedAtMs) * 1000,
    );
  }

  async phases(): Promise<void> {
    const cluster = await ChaosCluster.start(this.needs);
    this.cluster = cluster;
    const client = new MillraceClient({ bootstrap: cluster.bootstrap });
    const stage = await this.setUp(cluster, client);
    this.stage = stage;
    await this.begin();
    await this.strikes(stage);
    await cluster.links.heal();
    this.healedAtMs = performance.now();
    this.history.phase('heal');
    await pause(HEALED_FOR_MS);
    await this.scenario.verify?.(stage);
    await this.drain(cluster, client);
  }

  failed(error: Error): void {
    this.hasFailed = true;
    this.stage?.end();
    if (error instanceof TooQuietError) {
      this.stage?.doubt(error.message);
      return;
    }
    this.problems.push(`the run ended with ${error.stack ?? error.message}`);
  }

  async outcome(): Promise<Outcome> {
    await new Promise<void>((resolve) => this.sink.end(resolve));
    const { scenario, stage, workload } = this;
    const verdict = this.hasFailed ? undefined : await this.checked();
    const problems = [...this.problems, ...(stage?.problems ?? [])];
    const doubts = [...(stage?.doubts ?? [])];
    for (const { failure } of this.groups) if (failure !== undefined) problems.push(failure);
    if (this.needs.churn === true) {
      for (const group of this.groups) {
        const judged = judgeChurn(group.figures(), this.options.shareLimitMs);
        problems.push(...judged.problems);
        doubts.push(...judged.doubts);
      }
    }
    const faults = stage?.faults ?? [];
    const { faultsMin = 1 } = scenario;
    const { status, reasons } = judge({
      ...{ verdict, problems, doubts, faultsMin },
      faults: faults.length,
    });
    this.isPassed = status === 'PASS';
    const { gaps, quietP99Ms } = gapsByKind(faults, workload?.acks ?? [], this.faultsFromMs);
    return {
      ...{ id: scenario.id, title: scenario.title, status, reasons, seed: this.options.seed },
      faultSeconds: (this.healedAtMs - this.faultsFromMs) / 1000,
      seconds: (performance.now() - this.startedAtMs) / 1000,
      faults: faults.length,
      sigkills: this.cluster?.sigkills ?? 0,
      counts: workload?.counts ?? { sent: 0, acked: 0, failed: 0, unknown: 0, polled: 0 },
      ...{ gaps, quietSpacingP99Ms: quietP99Ms },
      figures: { ...stage?.figures, 'topics made and deleted': this.topics?.counts.made ?? 0 },
      groups: this.groups.map((group) => group.figures()),
      ...{ dump: this.dump, verdict },
    };
  }

  async close(): Promise<void> {
    this.isOver = true;
    this.stage?.end();
    this.sink.end();
    await Promise.all(this.groups.map((group) => group.kill()));
    const keep = this.options.keep || !this.isPassed;
    await this.cluster?.stop({ keep });
    if (keep) {
      this.options.say(`history ${this.historyFile}, logs and data ${this.cluster?.dir ?? 'none'}`);
    } else rmSync(this.scratch, { recursive: true, force: true });
  }

  private async checked(): Promise<Verdict> {
    const require = this.stage?.hasLimits === true ? CHECK_IDS : REQUIRED;
    return await checkHistoryFile(this.historyFile, {
      require,
      okSendsPerSecondMin: this.options.acksMin,
    });
  }

  private async setUp(cluster: ChaosCluster, client: MillraceClient): Promise<LiveStage> {
    const { needs, history, options } = this;
    const { bootstrap } = cluster;
    const isChurning = needs.churn === true;
    const partitions = needs.partitions ?? (isChurning ? PARTITIONS_OF_CHURN : PARTITIONS);
    const replicationFactor = needs.replicationFactor ?? 3;
    await client.admin.createTopic({ topic: TOPIC, partitions, replicationFactor });
    const group = { bootstrap, topic: TOPIC, partitions, isChurning };
    const members = isChurning ? CHURN_MEMBERS : (needs.groupMembers ?? 3);
    const names = isChurning ? ['chaos-readers'] : ['chaos-one', 'chaos-two'];
    this.groups = names.map((name) => new GroupLoad({ ...group, group: name, members }, history));
    this.workload = new Workload(
      {
        ...{ bootstrap, topic: TOPIC, partitions },
        // Beside the members' processes every answer takes longer: more of them are under way.
        producers: partitions * (isChurning ? 4 : 2),
        recordsPerSecond: needs.recordsPerSecond ?? RECORDS_PER_SECOND,
        valueBytes: 100,
      },
      history,
    );
    this.topics = new TopicLoad(bootstrap, history);
    const { groups } = this;
    return new LiveStage(
      {
        ...{ cluster, admin: client.admin, topic: TOPIC, partitions, history, groups },
        prng: new Prng(options.seed),
      },
      { ...options, slack: options.slack * (this.scenario.slack ?? 1) },
    );
  }

  /** The load comes up, to what a judgement can rest on. */
  private async begin(): Promise<void> {
    const { workload, groups } = this;
    const { acksMin } = this.options;
    if (workload === undefined) throw new Error('no load');
    this.history.phase('start');
    workload.start();
    this.topics?.start();
    await Promise.all(groups.map((group) => group.start()));
    const fromMs = performance.now();
    await pause(WARM_UP_MS);
    for (;;) {
      const seconds = (performance.now() - fromMs) / 1000;
      const isUp = workload.counts.acked >= seconds * acksMin * ACKS_MARGIN;
      if (isUp && (this.needs.churn === true || groups.every((group) => group.isWhole))) break;
      if (seconds > WARM_UP_SECONDS_MAX) throw new TooQuietError('the load never came up');
      if (this.isOver) return;
      await pause(100);
    }
    this.history.phase('fault');
    for (const group of groups) group.faultsBegin();
    this.faultsFromMs = performance.now();
  }

  private async strikes(stage: LiveStage): Promise<void> {
    const { everyMs = 0, onWhole = true } = this.scenario;
    stage.begin();
    const undo = await this.scenario.prepare?.(stage);
    try {
      for (let turn = 0; !stage.isOver(); turn += 1) {
        const dueMs = performance.now() + everyMs;
        if (onWhole) await stage.whole();
        if (stage.isOver()) break;
        await this.scenario.strike(stage, turn);
        await stage.rest(dueMs - performance.now());
      }
    } finally {
      await undo?.();
    }
  }

  /** Everything is read to its end, everybody leaves, and the replicas are held against each other. */
  private async drain(cluster: ChaosCluster, client: MillraceClient): Promise<void> {
    const { workload, groups, history } = this;
    if (workload === undefined) throw new Error('no load');
    await workload.stopProducing();
    history.phase('drain');
    await Promise.all([workload.readAll(), ...groups.map((group) => group.drain())]);
    await Promise.all([workload.stopReading(), this.topics?.stop()]);
    await Promise.all(groups.map((group) => group.stop()));
    await workload.close();
    const { figures, problems } = await dumpReplicas(cluster, client.admin, TOPIC, history);
    this.dump = figures;
    this.problems.push(...problems);
    history.phase('end');
    await client.close();
  }
}
