import { CHECK_IDS, type CheckId, type Verdict } from '../../test/checker/index.js';
import { AckTimes, type Fault, type GapSummary, summarize } from './gaps.js';
import type { GroupFigures } from './group-load.js';
import { ELSEWHERE, ELSEWHERE_SPACINGS, goalOf } from './limits.js';
import type { KindGaps } from './outcome.js';
import type { Ack } from './workload.js';

/** What a run must have data for, or it proves nothing; C24 is for runs with limits. */
export const REQUIRED: readonly CheckId[] = CHECK_IDS.filter((id) => id !== 'C24');
const SHARES_MIN = 20;
const VIOLATIONS_SHOWN = 5;

export interface Judgement {
  readonly status: Verdict['verdict'];
  readonly reasons: readonly string[];
}

/** What has to be held against each other: the checker's verdict and what only the run knows. */
export function judge(run: {
  readonly verdict: Verdict | undefined;
  readonly problems: readonly string[];
  readonly doubts: readonly string[];
  readonly faults: number;
  readonly faultsMin: number;
}): Judgement {
  const { verdict } = run;
  const wrong = [
    ...run.problems,
    ...(verdict?.violations ?? [])
      .slice(0, VIOLATIONS_SHOWN)
      .map(({ check, message }) => `${check} ${message}`),
  ];
  if (wrong.length > 0) return { status: 'FAIL', reasons: wrong };
  const thin = [...run.doubts];
  if (verdict === undefined) thin.push('the run was not judged');
  else if (verdict.verdict !== 'PASS') thin.push(verdict.reason ?? 'the history proves nothing');
  if (run.faults < run.faultsMin) {
    thin.push(`${run.faults} faults took effect, ${run.faultsMin} are the least`);
  }
  return { status: thin.length > 0 ? 'INVALID' : 'PASS', reasons: thin };
}

/** What a group whose members come and go owes them beyond what the history can tell. */
export function judgeChurn(
  figures: GroupFigures,
  shareMsMax: number,
): { readonly problems: readonly string[]; readonly doubts: readonly string[] } {
  const { commitsBackwards, sharesMs, joinsPerSecond, leavesPerSecond } = figures;
  const problems: string[] = [];
  if (commitsBackwards > 0) problems.push(`${commitsBackwards} commits went backwards`);
  if (sharesMs.p99 > shareMsMax) {
    problems.push(`p99 of joining to the whole share is ${sharesMs.p99.toFixed(0)} ms`);
  }
  const doubts: string[] = [];
  if (sharesMs.count < SHARES_MIN) doubts.push(`only ${sharesMs.count} shares were timed`);
  if (joinsPerSecond < 1 || leavesPerSecond < 1) {
    doubts.push('members did not come and go every second');
  }
  return { problems, doubts };
}

/** Write gaps by kind of fault, held against what is promised. */
export function gapsByKind(
  faults: readonly Fault[],
  acks: readonly Ack[],
  quietUntilMs: number,
): { readonly gaps: readonly KindGaps[]; readonly quietP99Ms: number } {
  const times = new AckTimes(acks);
  const quietP99Ms = summarize(times.spacings(quietUntilMs)).p99;
  const kinds = [...new Set(faults.map(({ kind }) => kind))];
  const gaps = kinds.map((kind): KindGaps => {
    const ofKind = faults.filter((fault) => fault.kind === kind);
    const of = (isHit: boolean): GapSummary =>
      summarize(
        ofKind.flatMap((fault) =>
          times.keys
            .filter((key) => fault.keys.includes(key) === isHit)
            .map((key) => times.gap(key, fault))
            .filter((gap) => gap !== undefined),
        ),
      );
    const hit = of(true);
    const elsewhere = of(false);
    return {
      ...{ kind, faults: ofKind.length, hit, elsewhere },
      isWithinGoal: isWithin(kind, hit),
      isElsewhereWithinGoal: isElsewhereWithin(kind, elsewhere, quietP99Ms),
    };
  });
  return { gaps, quietP99Ms };
}

function isWithin(kind: string, gaps: GapSummary): boolean | undefined {
  const goal = goalOf(kind);
  if (goal === undefined || gaps.count === 0) return undefined;
  return gaps.p50 <= goal.p50 && gaps.p99 <= goal.p99 && gaps.max <= goal.max;
}

function isElsewhereWithin(
  kind: string,
  gaps: GapSummary,
  quietP99Ms: number,
): boolean | undefined {
  const goal = ELSEWHERE[kind];
  if (goal === undefined || gaps.count === 0) return undefined;
  return gaps.p99 <= ELSEWHERE_SPACINGS * quietP99Ms && gaps.max <= goal.max;
}
