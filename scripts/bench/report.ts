import type { FloorResult } from './floor.js';
import type { Figure, Outcome } from './scenarios/scenario.js';
import { median } from './statistics.js';

export interface ScenarioReport {
  readonly id: string;
  readonly about: string;
  readonly outcome: Outcome;
}

const number = (value: number, digits: number): string =>
  value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });

function goalText({ goal, unit, digits }: Figure): string {
  if (goal === undefined) return '';
  const value = 'atLeast' in goal ? goal.atLeast : goal.atMost;
  return `${'atLeast' in goal ? '≥' : '≤'} ${number(value, digits)}${unit}`;
}

/** Undefined: nothing was hoped for. */
export function isReached({ goal, values }: Figure): boolean | undefined {
  if (goal === undefined) return undefined;
  const value = median(values);
  return 'atLeast' in goal ? value >= goal.atLeast : value <= goal.atMost;
}

function resultText({ values, unit, digits }: Figure): string {
  const text = `${number(median(values), digits)}${unit}`;
  if (values.length < 2) return text;
  return `${text} (${number(Math.min(...values), digits)} to ${number(Math.max(...values), digits)})`;
}

/** A table of Markdown: a row for each figure, the median first, then the least and the most. */
export function table(reports: readonly ScenarioReport[]): string {
  const rows = [['#', 'scenario', 'figure', 'goal', 'result', 'reached']];
  for (const { id, about, outcome } of reports) {
    if (outcome.figures.length === 0) rows.push([id, about, '', '', 'did not finish', 'no']);
    outcome.figures.forEach((figure, i) => {
      const reached = isReached(figure);
      rows.push([
        ...(i === 0 ? [id, about] : ['', '']),
        ...[figure.what, goalText(figure), resultText(figure)],
        reached === undefined ? '' : reached ? 'yes' : 'no',
      ]);
    });
  }
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const [head = [], ...body] = rows;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...body.map(line)].join('\n');
}

function pairs(values: Readonly<Record<string, number>>, digits: number): string {
  return Object.entries(values)
    .map(([name, value]) => `${name} ${number(value, digits)}`)
    .join(', ');
}

/** By name, the median over the runs. */
function medians(of: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const names = new Set(of.flatMap((values) => Object.keys(values)));
  return Object.fromEntries(
    [...names].map((name) => [name, median(of.flatMap((values) => values[name] ?? []))]),
  );
}

/** What the table has no room for: conditions, latencies, and what every process used. */
export function details({ id, outcome }: ScenarioReport): string {
  const lines = [`${id}: ${outcome.conditions}`];
  for (const { name, measured } of outcome.parts) {
    const seconds = median(measured.map((m) => m.seconds));
    const latency = (quantile: 'p50' | 'p90' | 'p99' | 'p999' | 'max'): string =>
      number(median(measured.map((m) => m.latencyMs[quantile])), 2);
    lines.push(
      `  ${name}, medians of ${measured.length}: ${number(seconds, 1)} s; latency ms: p50 ${latency('p50')}, p90 ${latency('p90')}, ` +
        `p99 ${latency('p99')}, p99.9 ${latency('p999')}, max ${latency('max')}`,
      `    cpu s: ${pairs(medians(measured.map((m) => m.cpuSeconds)), 1)}`,
      `    peak MiB of its own: ${pairs(medians(measured.map((m) => m.peakMebibytes)), 0)}`,
    );
    // Of the processes that have such a loop.
    const delays = medians(measured.map((m) => m.loopDelayP99Ms));
    if (Object.keys(delays).length > 0) {
      lines.push(`    event loop delay p99 ms: ${pairs(delays, 1)}`);
    }
  }
  return lines.join('\n');
}

export function floorLine(batchBytes: number, floor: FloorResult): string {
  return (
    `bare pipeline, batches of ${batchBytes / 1024} KiB: ${number(floor.mebibytesPerSecond, 1)} MiB/s, ` +
    `p50 ${number(floor.p50Ms, 1)} ms, p99 ${number(floor.p99Ms, 1)} ms; cpu s: client ${number(floor.clientCpuSeconds, 1)}, ` +
    `brokers ${floor.brokerCpuSeconds.map((c) => number(c, 1)).join(' ')}`
  );
}
