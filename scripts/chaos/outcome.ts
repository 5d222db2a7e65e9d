import type { Verdict } from '../../test/checker/index.js';
import type { DumpFigures } from './dump.js';
import type { GapSummary } from './gaps.js';
import type { GroupFigures } from './group-load.js';
import type { Workload } from './workload.js';

/** Write gaps after the faults of one kind. */
export interface KindGaps {
  readonly kind: string;
  readonly faults: number;
  /** Of partitions that the fault hit. */
  readonly hit: GapSummary;
  /** Of the others. */
  readonly elsewhere: GapSummary;
  /** Undefined where section 2 has no row for it. */
  readonly isWithinGoal: boolean | undefined;
  readonly isElsewhereWithinGoal: boolean | undefined;
}

/** All that is kept of one run. */
export interface Outcome {
  readonly id: string;
  readonly title: string;
  readonly status: Verdict['verdict'];
  /** What failed, or why nothing is proved. */
  readonly reasons: readonly string[];
  readonly seed: number;
  /** How long there were faults, and the whole run. */
  readonly faultSeconds: number;
  readonly seconds: number;
  readonly faults: number;
  readonly sigkills: number;
  readonly counts: Workload['counts'];
  readonly gaps: readonly KindGaps[];
  /** Acknowledgements of one partition are this far apart before the faults. */
  readonly quietSpacingP99Ms: number;
  /** What the scenario counted. */
  readonly figures: Readonly<Record<string, number>>;
  readonly groups: readonly GroupFigures[];
  readonly dump: DumpFigures | undefined;
  readonly verdict: Verdict | undefined;
}
