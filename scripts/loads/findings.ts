import { type GapSummary, summarize } from '../chaos/gaps.js';

export type Verdict = 'PASS' | 'FAIL' | 'INVALID';
export type Figure = number | string | readonly number[] | GapSummary;

/**
 * What a load found: figures by name in the order in which they came up, what is wrong, and why the
 * run may be too thin to judge. Invariant: one thing that is wrong decides, whatever else is missing.
 */
export class Findings {
  readonly figures: Record<string, Figure> = {};
  readonly problems: string[] = [];
  readonly doubts: string[] = [];
  private readonly say: (text: string) => void;

  constructor(say: (text: string) => void) {
    this.say = say;
  }

  get verdict(): Verdict {
    if (this.problems.length > 0) return 'FAIL';
    return this.doubts.length > 0 ? 'INVALID' : 'PASS';
  }

  figure(name: string, value: Figure): void {
    this.figures[name] = value;
    this.say(`  ${name}: ${textOf(value)}`);
  }

  /** How long each of many things took, in ms. */
  times(name: string, values: readonly number[]): void {
    this.figure(`${name}, ms`, summarize(values));
  }

  /** What has to hold of a Millrace that keeps its word. */
  must(holds: boolean, problem: string): void {
    if (holds) return;
    this.problems.push(problem);
    this.say(`  WRONG: ${problem}`);
  }

  /** What has to hold of a run that proves something. */
  needs(holds: boolean, doubt: string): void {
    if (holds) return;
    this.doubts.push(doubt);
    this.say(`  too thin: ${doubt}`);
  }
}

export function textOf(value: Figure): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return round(value);
  if (!('p50' in value)) return value.map(round).join(', ');
  const { count, p50, p90, p99, max } = value;
  if (count === 0) return 'none';
  return `p50 ${round(p50)}, p90 ${round(p90)}, p99 ${round(p99)}, max ${round(max)} (${count})`;
}

function round(value: number): string {
  const digits = Number.isInteger(value) ? 0 : Math.abs(value) < 10 ? 2 : 1;
  return value.toLocaleString('en', { maximumFractionDigits: digits });
}
