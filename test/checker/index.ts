import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { GroupChecks } from './check-groups.js';
import { LivenessChecks } from './check-liveness.js';
import { PollChecks } from './check-polls.js';
import { DumpChecks, TopicChecks } from './check-rest.js';
import { WriteChecks } from './check-writes.js';
import type { EventLine, InvokeLine } from './line.js';
import { InvalidHistoryError, parseLine } from './parse.js';
import { Sends } from './sends.js';
import { isCall, Session, type HistoryListener, type Operation } from './session.js';
import { Report, type CheckId, type HistoryStats, type Verdict } from './verdict.js';

export { HistoryWriter } from './writer.js';
export { CHECK_IDS } from './verdict.js';
export type { CheckId, HistoryStats, Verdict, Violation } from './verdict.js';

export interface CheckOptions {
  /** Checks that must have had data: a run without it is INVALID. */
  readonly require?: readonly CheckId[];
  /** Less load than this between start and fault is too thin to judge; 100 unless told. */
  readonly okSendsPerSecondMin?: number;
}

const OK_SENDS_PER_SECOND_MIN = 100;

/** Judges a history given line by line: the promises of the house, as clients saw them. */
export function checkHistory(lines: Iterable<string>, options: CheckOptions = {}): Verdict {
  const checker = new HistoryChecker(options);
  for (const line of lines) if (!checker.take(line)) break;
  return checker.finish();
}

/** Judges a history file without holding its text in memory. */
export async function checkHistoryFile(path: string, options: CheckOptions = {}): Promise<Verdict> {
  const checker = new HistoryChecker(options);
  const input = createReadStream(path, { encoding: 'utf8', highWaterMark: 1 << 20 });
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (!checker.take(line)) break;
  }
  input.destroy();
  return checker.finish();
}

/** Feeds one history to every check. */
class HistoryChecker implements HistoryListener {
  private readonly options: CheckOptions;
  private readonly report = new Report();
  private readonly sends = new Sends();
  private readonly session: Session;
  private readonly writes: WriteChecks;
  private readonly polls: PollChecks;
  private readonly groups: GroupChecks;
  private readonly liveness: LivenessChecks;
  private readonly dumps: DumpChecks;
  private readonly topics: TopicChecks;
  private invalid: string | undefined;
  private okBeforeFault = 0;

  constructor(options: CheckOptions) {
    this.options = options;
    this.session = new Session(this);
    const { sends, report } = this;
    this.writes = new WriteChecks(sends, report);
    this.polls = new PollChecks(sends, this.writes, report);
    this.groups = new GroupChecks(sends, report);
    this.liveness = new LivenessChecks(sends, report, this.session.phaseAt);
    this.dumps = new DumpChecks(sends, report);
    this.topics = new TopicChecks(report);
  }

  /** False once the history is known to be invalid. */
  take(source: string): boolean {
    try {
      this.session.take(parseLine(source, this.session.lineCount));
      return true;
    } catch (error) {
      this.refuse(error);
      return false;
    }
  }

  finish(): Verdict {
    if (this.invalid === undefined) {
      try {
        this.session.finish();
      } catch (error) {
        this.refuse(error);
      }
    }
    if (this.invalid !== undefined) return this.verdict('INVALID', this.invalid);
    this.writes.finish();
    this.polls.finish();
    this.groups.finish();
    this.liveness.finish();
    this.dumps.finish();
    this.topics.finish();
    if (this.report.violations.length > 0) return this.verdict('FAIL', undefined);
    const thin = this.thinness();
    return this.verdict(thin === undefined ? 'PASS' : 'INVALID', thin);
  }

  invoked(line: InvokeLine): void {
    if (line.f === 'send') {
      this.writes.invoked(line, line.p, line.i, line.t);
      this.liveness.sendInvoked(line.k, line.t);
    }
    this.polls.invoked(line);
  }

  completed(operation: Operation): void {
    const { p, answer, end } = operation;
    const isOk = end === 'ok';
    if (isCall(operation, 'send')) {
      if (isOk && !this.session.phaseAt.has('fault')) this.okBeforeFault += 1;
      this.writes.completed(operation);
      this.liveness.sendCompleted(operation);
    } else if (isCall(operation, 'poll')) {
      if (!isOk) return;
      const recs = answer.recs ?? {};
      this.polls.polled(operation);
      this.groups.polled(p, operation.endLine, recs);
      this.liveness.polled(p, operation.endedAt, recs);
    } else if (isCall(operation, 'assign')) {
      if (!isOk) return;
      const { v, seek } = operation.call;
      const fromBeginning = v.filter((k) => seek === 'begin' || seek?.[k] === 0);
      this.polls.assigned(p, v, seek);
      this.liveness.assigned(p, v, fromBeginning);
    } else if (isCall(operation, 'subscribe')) {
      if (!isOk) return;
      this.groups.subscribed(p, operation.call);
      this.liveness.subscribed(p, operation.call);
    } else if (isCall(operation, 'commit')) {
      this.groups.committed(operation);
    } else if (isCall(operation, 'committed')) {
      this.groups.read(operation);
    } else {
      this.topics.completed(
        operation as Operation<Parameters<TopicChecks['completed']>[0]['call']>,
      );
    }
  }

  event(line: EventLine): void {
    switch (line.f) {
      case 'nemesis':
        this.liveness.nemesis(line);
        break;
      case 'rebalance':
        this.groups.rebalanced(line);
        this.polls.rebalanced(line.p);
        break;
      case 'control':
        for (const offset of line.offs) this.sends.keyLog(line.k).control.add(offset);
        break;
      case 'dump':
        this.dumps.dumped(line);
        break;
      case 'phase':
      case 'note':
    }
  }

  private refuse(error: unknown): void {
    if (!(error instanceof InvalidHistoryError)) throw error;
    this.invalid = error.message;
  }

  /** Why a history without a violation still proves nothing. */
  private thinness(): string | undefined {
    const { phaseAt } = this.session;
    const seconds = ((phaseAt.get('fault') ?? 0) - (phaseAt.get('start') ?? 0)) / 1_000_000;
    const want = (this.options.okSendsPerSecondMin ?? OK_SENDS_PER_SECOND_MIN) * seconds;
    if (this.okBeforeFault < want) {
      return `${this.okBeforeFault} ok sends in the ${seconds} s before fault, ${want} are needed`;
    }
    const missing = (this.options.require ?? []).filter((id) => this.report.skipped().includes(id));
    if (missing.length > 0) return `no data for ${missing.join(', ')}`;
    return this.liveness.thinness();
  }

  private verdict(verdict: Verdict['verdict'], reason: string | undefined): Verdict {
    const stats: HistoryStats = {
      lines: this.session.lineCount,
      sends: this.sends.size,
      acked: [...this.sends.all()].filter((send) => send.ackOffset !== undefined).length,
      polledRecords: this.polls.records,
      keys: this.sends.keys.size,
      writeGapMaxMs: this.liveness.gapMaxMs(),
    };
    return {
      verdict,
      reason,
      violations: this.report.violations,
      counts: this.report.counts,
      skipped: this.report.skipped(),
      stats,
    };
  }
}
