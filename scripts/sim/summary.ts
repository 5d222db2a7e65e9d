import { MEMBER_FAULTS } from '../../test/simulation/group-load.js';
import type { Level } from '../../test/simulation/run.js';
import { FAULT_KINDS } from '../../test/simulation/swarm.js';
import type { LedgerRow } from './ledger.js';

/** The command that replays a seed. */
export function replay(seed: number, level: Level | undefined): string {
  const suffix = level === undefined ? '' : ` --level ${level}`;
  return `npm run sim -- --seed ${seed} --verbose${suffix}`;
}

export function whyFailed({ error, differs }: LedgerRow): string {
  return error ?? (differs ? 'two runs of this seed differ' : '');
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? 0;
}

/** Of the seeds, those in which a kind of fault really struck. */
function shares(rows: readonly LedgerRow[], kinds: readonly string[]): Record<string, number> {
  const share = (kind: string): number =>
    rows.filter((row) => (row.faults[kind] ?? 0) > 0).length / Math.max(1, rows.length);
  return Object.fromEntries(kinds.map((kind) => [kind, Number(share(kind).toFixed(3))]));
}

/** What a sweep, or a ledger of many, came to. */
export function summarize(
  rows: readonly LedgerRow[],
  asked: { readonly runs: number; readonly level: Level | undefined; readonly seconds?: number },
): Record<string, unknown> {
  const { runs, level, seconds } = asked;
  const sum = (of: (row: LedgerRow) => number): number =>
    rows.reduce((total, row) => total + of(row), 0);
  const share = (holds: (row: LedgerRow) => boolean): number =>
    Number((rows.filter(holds).length / Math.max(1, rows.length)).toFixed(3));
  const bad = rows.filter((row) => !row.ok || row.differs);
  const simulatedSeconds = sum((row) => row.simulatedMs) / 1_000;
  const sources = new Map<string, number>();
  for (const { fingerprint, node } of rows) {
    const name = `${fingerprint} on ${node}`;
    sources.set(name, (sources.get(name) ?? 0) + 1);
  }
  return {
    seeds: rows.length,
    runsPerSeed: runs,
    failed: rows.filter((row) => !row.ok).length,
    differing: rows.filter((row) => row.differs).length,
    // A run that ends well has served and converged after its faults.
    converged: rows.filter((row) => row.ok).length,
    ...(seconds === undefined
      ? {}
      : {
          seconds: Number(seconds.toFixed(1)),
          seedsPerSecond: Number(((runs * rows.length) / seconds).toFixed(2)),
        }),
    coreHours: Number((sum((row) => row.cpuMs) / 3_600_000).toFixed(3)),
    coreSecondsPerSeed: Number((sum((row) => row.cpuMs) / 1_000 / rows.length).toFixed(3)),
    simulatedHours: Number((simulatedSeconds / 3_600).toFixed(2)),
    simulatedSecondsMedian: median(rows.map((row) => row.simulatedMs)) / 1_000,
    events: sum((row) => row.events),
    eventsPerSeed: Math.round(sum((row) => row.events) / Math.max(1, rows.length)),
    leaderChanges: sum((row) => row.leaderChanges),
    leaderChangesMedian: median(rows.map((row) => row.leaderChanges)),
    requests: sum((row) => row.requests),
    acked: sum((row) => row.acked),
    committedEntries: sum((row) => row.committed),
    levels: {
      raft: share((row) => row.level === 'raft'),
      broker: share((row) => row.level === 'broker'),
    },
    seedsWithFault: shares(rows, FAULT_KINDS),
    // Only whole brokers have consumer groups.
    brokerSeedsWithFault: shares(
      rows.filter((row) => row.level === 'broker'),
      MEMBER_FAULTS,
    ),
    sources: Object.fromEntries(sources),
    failures: bad.map((row) => ({
      seed: row.seed,
      level: row.level,
      error: whyFailed(row),
      replay: replay(row.seed, level),
    })),
  };
}

export function print(summary: Record<string, unknown>, isJson: boolean): void {
  if (isJson) {
    process.stdout.write(`${JSON.stringify(summary, null, 2)}\n`);
    return;
  }
  for (const [name, value] of Object.entries(summary)) {
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    process.stdout.write(`${name}: ${text}\n`);
  }
}
