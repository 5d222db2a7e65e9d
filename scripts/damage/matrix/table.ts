import type { Tally } from './protocol.js';

export interface MatrixRow {
  readonly row: string;
  /** All cases that there are; `tally.cases` of them were done. */
  readonly of: number;
  readonly tally: Tally;
  readonly ackedAfterError: number;
  readonly skipped: string | undefined;
}

const HEAD = [
  'row',
  'cases',
  'of',
  'detected',
  'at opening',
  'by a read',
  'refused',
  'without effect',
  'silently wrong',
  'acked after error',
  'votes',
  'stuck',
  'deaths',
  'repaired',
  's per 1,000',
];

/** Whether everything that must be zero is. A death over a log that was found damaged then is no loss. */
export function isSound({ tally, ackedAfterError }: MatrixRow): boolean {
  const { outcomes, votes, unrepaired } = tally;
  const bad = [outcomes.silent, outcomes.stuck, outcomes.ended, votes, unrepaired];
  return bad.every((count) => (count ?? 0) === 0) && ackedAfterError === 0;
}

/** Columns as wide as what is in them. */
export function matrixTable(rows: readonly MatrixRow[]): string {
  const lines = [HEAD, ...rows.map(cellsOf)];
  const widths = HEAD.map((_, at) => Math.max(...lines.map((line) => line[at]?.length ?? 0)));
  return lines
    .map((line) => line.map((cell, at) => cell.padStart(widths[at] ?? 0)).join('  '))
    .join('\n');
}

function cellsOf({ row, of, tally, ackedAfterError, skipped }: MatrixRow): string[] {
  if (skipped !== undefined) return [row, `skipped: ${skipped}`];
  const { outcomes, cases } = tally;
  const opening = outcomes.opening ?? 0;
  const reading = outcomes.reading ?? 0;
  const refused = outcomes.refused ?? 0;
  return [
    row,
    ...[
      cases,
      of,
      opening + reading + refused,
      opening,
      reading,
      refused,
      outcomes.intact ?? 0,
      outcomes.silent ?? 0,
      ackedAfterError,
      tally.votes,
      outcomes.stuck ?? 0,
      tally.deaths,
    ].map(String),
    tally.unrepaired > 0 ? `${tally.repaired}, not ${tally.unrepaired}` : String(tally.repaired),
    cases === 0 ? '-' : (tally.ms / cases).toFixed(1),
  ];
}
