import type { RoundResult } from './round.js';

export interface CaseRow {
  readonly case: string;
  readonly rounds: number;
  readonly detected: number;
  readonly withoutEffect: number;
  readonly wrong: number;
  readonly lost: number;
  readonly rebuiltMs: readonly number[];
  readonly problems: number;
  readonly skipped: string | undefined;
}

export function rowOf(
  name: string,
  results: readonly RoundResult[],
  skipped: string | undefined,
): CaseRow {
  const total = (of: (result: RoundResult) => number): number =>
    results.reduce((sum, result) => sum + of(result), 0);
  return {
    case: name,
    rounds: results.length,
    detected: total((result) => (result.isDetected ? 1 : 0)),
    withoutEffect: total((result) => (result.isDetected ? 0 : 1)),
    wrong: total((result) => result.wrong),
    lost: total((result) => result.lost),
    rebuiltMs: results.flatMap(({ rebuiltMs }) => (rebuiltMs === undefined ? [] : [rebuiltMs])),
    problems: total((result) => result.problems.length),
    skipped,
  };
}

/** Columns as wide as what is in them. */
export function tableOf(rows: readonly CaseRow[]): string {
  const lines = [
    ['case', 'rounds', 'detected', 'without effect', 'silently wrong', 'acked and lost', 'rebuilt'],
    ...rows.map((row) => [
      row.case,
      ...[row.rounds, row.detected, row.withoutEffect, row.wrong, row.lost].map(String),
      row.skipped === undefined ? rebuilt(row.rebuiltMs) : `skipped: ${row.skipped}`,
    ]),
  ];
  const widths = lines[0]?.map((_, at) => Math.max(...lines.map((line) => line[at]?.length ?? 0)));
  return lines
    .map((line) => line.map((cell, at) => cell.padEnd(widths?.[at] ?? 0)).join('  '))
    .join('\n');
}

function rebuilt(times: readonly number[]): string {
  if (times.length === 0) return '-';
  const sorted = [...times].sort((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)];
  return `median ${median} ms, max ${sorted.at(-1)} ms`;
}
