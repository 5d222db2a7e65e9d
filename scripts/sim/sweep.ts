import { fork, type ChildProcess } from 'node:child_process';
import { rmSync } from 'node:fs';
import process from 'node:process';
import { levelOf, type Level } from '../../test/simulation/run.js';
import type { Job, JobResult } from '../../test/simulation/worker.js';
import { bundleWorker, type WorkerBundle } from './bundle.js';
import type { Ledger, LedgerRow } from './ledger.js';

export interface SweepSettings {
  readonly first: number;
  readonly last: number;
  readonly level: Level | undefined;
  readonly twice: boolean;
  readonly workers: number;
  readonly seconds: number;
  readonly stopOnFailure: boolean;
}

/** Much of what a run makes is garbage soon: it should not be copied while it lives. */
const WORKER_OPTIONS = ['--max-semi-space-size=16'];

/**
 * Hands seeds to worker processes, each of which runs many, and collects what they found. Seeds that
 * the ledger knows from the same sources are not run again.
 */
export class Sweep {
  readonly rows: LedgerRow[] = [];
  /** Seeds run here, not found in the ledger. */
  ran = 0;
  readonly startedAt = performance.now();
  private readonly settings: SweepSettings;
  private readonly bundle: WorkerBundle;
  private readonly ledger: Ledger | undefined;
  private readonly report: (row: LedgerRow) => void;
  private next: number;
  private hasFailed = false;

  private constructor(
    settings: SweepSettings,
    bundle: WorkerBundle,
    ledger: Ledger | undefined,
    report: (row: LedgerRow) => void,
  ) {
    this.settings = settings;
    this.bundle = bundle;
    this.ledger = ledger;
    this.report = report;
    this.next = settings.first;
  }

  static async open(
    settings: SweepSettings,
    ledger: Ledger | undefined,
    report: (row: LedgerRow) => void,
  ): Promise<Sweep> {
    return new Sweep(settings, await bundleWorker(), ledger, report);
  }

  get elapsedSeconds(): number {
    return (performance.now() - this.startedAt) / 1_000;
  }

  async run(): Promise<void> {
    const lanes = Array.from({ length: this.settings.workers }, () => this.lane());
    await Promise.all(lanes);
    rmSync(this.bundle.file, { force: true });
  }

  private take(): number | undefined {
    const { last, seconds, stopOnFailure } = this.settings;
    for (;;) {
      if (this.next > last || (this.hasFailed && stopOnFailure)) return undefined;
      if (this.elapsedSeconds >= seconds) return undefined;
      const seed = this.next++;
      const known = this.known(seed);
      if (known === undefined) return seed;
      this.rows.push(known);
    }
  }

  private known(seed: number): LedgerRow | undefined {
    const row = this.ledger?.find({ seed, level: this.settings.level ?? levelOf(seed) });
    const isSame = row?.fingerprint === this.bundle.fingerprint && row.node === process.version;
    return isSame ? row : undefined;
  }

  private async lane(): Promise<void> {
    let worker: ChildProcess | undefined;
    for (let seed = this.take(); seed !== undefined; seed = this.take()) {
      worker ??= this.spawn();
      let result = await this.ask(worker, seed);
      // Whoever ended the worker from outside said nothing about the seed: once more, in a new one.
      if (worker.signalCode !== null) {
        worker = this.spawn();
        result = await this.ask(worker, seed);
      }
      if (worker.exitCode !== null || !worker.connected) worker = undefined;
      this.found({ ...result, fingerprint: this.bundle.fingerprint, node: process.version });
    }
    worker?.disconnect();
  }

  private found(row: LedgerRow): void {
    this.rows.push(row);
    this.ran += 1;
    this.hasFailed ||= !row.ok || row.differs;
    this.ledger?.add(row);
    this.report(row);
  }

  private spawn(): ChildProcess {
    return fork(this.bundle.file, { execArgv: WORKER_OPTIONS });
  }

  private ask(worker: ChildProcess, seed: number): Promise<JobResult> {
    const { level, twice } = this.settings;
    return new Promise((resolve) => {
      const done = (result: JobResult): void => {
        worker.removeListener('message', done);
        worker.removeListener('exit', died);
        resolve(result);
      };
      const died = (code: number | null, signal: string | null): void =>
        done(deadResult(seed, level, `the process that ran it ended: ${signal ?? String(code)}`));
      worker.on('message', done);
      worker.on('exit', died);
      worker.send({ seed, level, twice } satisfies Job);
    });
  }
}

function deadResult(seed: number, level: Level | undefined, error: string): JobResult {
  return {
    seed,
    level: level ?? levelOf(seed),
    ok: false,
    differs: false,
    hash: '',
    error,
    failure: error,
    events: 0,
    simulatedMs: 0,
    wallMs: 0,
    leaderChanges: 0,
    requests: 0,
    acked: 0,
    committed: 0,
    faults: {},
    cpuMs: 0,
  };
}
