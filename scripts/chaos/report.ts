import type { GapSummary } from './gaps.js';
import type { GroupFigures } from './group-load.js';
import { goalOf } from './limits.js';
import type { KindGaps, Outcome } from './outcome.js';

const ms = (value: number): string => `${value.toFixed(0)} ms`;

/** One run, for people. */
export function reportOf(outcome: Outcome): string[] {
  const { counts, groups, dump, verdict, figures } = outcome;
  const lines = [
    `${outcome.id} ${outcome.title}: ${outcome.faults} faults, ${outcome.sigkills} SIGKILLs in ` +
      `${outcome.faultSeconds.toFixed(0)} s (${outcome.seconds.toFixed(0)} s in all), seed ${outcome.seed}`,
    `sent ${counts.sent}, acked ${counts.acked}, failed ${counts.failed}, unknown ${counts.unknown}, ` +
      `read ${counts.polled}; quiet spacing of acks p99 ${ms(outcome.quietSpacingP99Ms)}`,
    ...outcome.gaps.flatMap(gapLines),
    ...Object.entries(figures).map(([name, value]) => `${name}: ${value}`),
    ...groups.flatMap((group, i) => groupLines(group, i)),
  ];
  if (dump !== undefined) {
    lines.push(
      `${dump.replicas} replicas with ${dump.rows} records held against each other, ` +
        `${dump.entriesCompared} entries of their logs`,
    );
  }
  lines.push(...outcome.reasons);
  lines.push(`${outcome.status}; skipped ${verdict?.skipped.join(' ') ?? 'all checks'}`);
  return lines;
}

/** Runs side by side. */
export function tableOf(outcomes: readonly Outcome[]): string[] {
  const rows = outcomes.map((o) => {
    const worst = [...o.gaps].sort((a, b) => b.hit.max - a.hit.max)[0]?.hit;
    const goals = o.gaps.flatMap((g) => [g.isWithinGoal, g.isElsewhereWithinGoal]);
    const isWithin = goals.every((g) => g === undefined)
      ? ''
      : goals.includes(false)
        ? 'no'
        : 'yes';
    return [
      ...[o.id, o.status, o.faultSeconds.toFixed(0), String(o.faults), String(o.sigkills)],
      ...[String(o.counts.acked), String(o.counts.unknown)],
      ...(['p50', 'p99', 'max'] as const).map((p) =>
        worst === undefined || worst.count === 0 ? '' : worst[p].toFixed(0),
      ),
      isWithin,
      o.title,
    ];
  });
  const head = ['id', 'verdict', 's', 'faults', 'kills', 'acked', 'unknown', 'p50', 'p99', 'max'];
  const all = [[...head, 'in goal', 'scenario'], ...rows];
  const widths = all[0]?.map((_, i) => Math.max(...all.map((row) => row[i]?.length ?? 0))) ?? [];
  const sum = (of: (o: Outcome) => number): number => outcomes.reduce((n, o) => n + of(o), 0);
  const passed = outcomes.filter(({ status }) => status === 'PASS').length;
  return [
    ...all.map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    ),
    `${passed} of ${outcomes.length} passed; ${sum((o) => o.sigkills)} SIGKILLs, ` +
      `${sum((o) => o.faults)} faults, ${sum((o) => o.counts.acked)} records acknowledged`,
  ];
}

function gapLines(gaps: KindGaps): string[] {
  const { kind, faults, hit, elsewhere, isWithinGoal, isElsewhereWithinGoal } = gaps;
  const goal = goalOf(kind);
  const within = (is: boolean | undefined): string =>
    is === undefined ? '' : `; within the goal: ${is ? 'yes' : 'no'}`;
  const against = goal === undefined ? '' : ` (goal ${goal.p50}, ${goal.p99}, ${goal.max})`;
  const lines = [
    `write gap, ${faults} x ${kind}, partitions hit: ${summary(hit)}${against}` +
      within(isWithinGoal),
  ];
  if (elsewhere.count > 0) {
    lines.push(
      `write gap, ${faults} x ${kind}, other partitions: ${summary(elsewhere)}` +
        within(isElsewhereWithinGoal),
    );
  }
  return lines;
}

function summary(of: GapSummary): string {
  return of.count === 0
    ? 'none'
    : `p50 ${ms(of.p50)}, p99 ${ms(of.p99)}, max ${ms(of.max)} (${of.count})`;
}

function groupLines(group: GroupFigures, i: number): string[] {
  const lines = [
    `group ${i + 1}: ${group.joins} joins, ${group.leaves} leaves (${group.joinsPerSecond.toFixed(1)} and ` +
      `${group.leavesPerSecond.toFixed(1)} a second), ${group.processesKilled} members killed, ` +
      `${group.lost} times lost; ${group.polledRecords} records read, ${group.commits} commits, ` +
      `${group.commitsRefused} refused, ${group.commitsBackwards} backwards`,
    `  from joining to the first partition: ${summary(group.joinedMs)}`,
  ];
  if (group.sharesMs.count + group.sharesAfterKillsMs.count > 0) {
    lines.push(
      `  to the whole share, owners releasing at once: ${summary(group.sharesMs)}`,
      `  the same within 5 s of a coordinator's end: ${summary(group.sharesAfterKillsMs)}`,
    );
  }
  lines.push(
    `  pauses over 100 ms of partitions that stayed: ${summary(group.pausesMs)}`,
    `  the same within 10 s of their leader's end: ${summary(group.pausesAfterKillsMs)}`,
  );
  return lines;
}
