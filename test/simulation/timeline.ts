import type { Micros } from './world.js';

/** Something that a reader of a run wants to see. */
export interface Note {
  /** Whom it concerns: `b2` a broker, `g4` a Raft group, or `faults`, or `run`. */
  readonly lane: string;
  readonly kind: 'leader' | 'commit' | 'up' | 'down' | 'fault' | 'phase' | 'failure';
  readonly text: string;
  /** Of a leader: its broker. */
  readonly broker?: number;
}

export interface TimedNote extends Note {
  readonly at: Micros;
}

/** Commits of one group closer together than this are one mark. */
const COMMIT_MARKS = 50_000;

/** What happened in a run, in few words: leaders, terms, commits, faults, and lives of brokers. */
export class Chronicle {
  readonly notes: TimedNote[] = [];
  private readonly now: () => Micros;
  private readonly committed = new Map<string, number>();
  private readonly marked = new Map<string, Micros>();

  constructor(now: () => Micros) {
    this.now = now;
  }

  note(note: Note): void {
    this.notes.push({ ...note, at: this.now() });
  }

  /** A leader counts everything up to an index as committed. */
  commits(group: number, index: number): void {
    const lane = `g${group}`;
    if (index <= (this.committed.get(lane) ?? 0)) return;
    this.committed.set(lane, index);
    if (this.now() - (this.marked.get(lane) ?? -COMMIT_MARKS) < COMMIT_MARKS) return;
    this.marked.set(lane, this.now());
    this.note({ lane, kind: 'commit', text: `commits up to ${index}` });
  }
}

/** One line for each note. */
export function timelineText(title: string, notes: readonly TimedNote[]): string {
  const lines = notes.map(({ at, lane, kind, text }) => {
    const time = (at / 1_000).toFixed(1).padStart(10);
    return `${time} ${lane.padEnd(7)} ${kind.padEnd(7)} ${text}`;
  });
  return `${[title, ...lines].join('\n')}\n`;
}

const WIDTH = 1_600;
const LEFT = 70;
const ROW = 26;
const TOP = 40;
const COLOURS = ['#4e79a7', '#f28e2b', '#59a14f', '#b07aa1', '#76b7b2', '#edc948', '#9c755f'];

const colourOf = (broker: number): string => COLOURS[(broker - 1) % COLOURS.length] ?? '#888';

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** A page that needs nothing else: lanes over time, with words under the pointer and in a table. */
export function timelinePage(title: string, notes: readonly TimedNote[]): string {
  const end = Math.max(1, ...notes.map(({ at }) => at));
  const x = (at: Micros): number => Math.round(LEFT + (at / end) * (WIDTH - LEFT - 20));
  const lanes = [...new Set(notes.map(({ lane }) => lane))].sort(byLane);
  const rows = lanes.map((lane, row) => {
    const mine = notes.filter((note) => note.lane === lane);
    return laneOf(lane, mine, { y: TOP + row * ROW, x, end });
  });
  const height = TOP + lanes.length * ROW + 20;
  const ticks = Array.from({ length: 11 }, (_, i) => {
    const at = (end / 10) * i;
    const label = `${(at / 1_000_000).toFixed(1)} s`;
    return `<text x="${x(at)}" y="20" class="t">${label}</text><line x1="${x(at)}" x2="${x(at)}" y1="26" y2="${height}" class="l"/>`;
  });
  const table = notes.map(
    ({ at, lane, kind, text }) =>
      `<tr><td>${(at / 1_000).toFixed(1)}</td><td>${lane}</td><td>${kind}</td><td>${escaped(text)}</td></tr>`,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escaped(title)}</title>
<style>body{font:13px sans-serif;margin:16px}.t{font-size:11px;fill:#555}.l{stroke:#ddd}
td{padding:0 10px 0 0;font-family:monospace;white-space:pre-wrap}rect:hover,circle:hover,path:hover{opacity:.6}</style></head>
<body><h1>${escaped(title)}</h1>
<svg width="${WIDTH}" height="${height}">${ticks.join('')}${rows.join('')}</svg>
<table><tr><th>ms</th><th></th><th></th><th></th></tr>${table.join('\n')}</table></body></html>
`;
}

interface Place {
  readonly y: number;
  readonly x: (at: Micros) => number;
  readonly end: Micros;
}

function laneOf(lane: string, notes: readonly TimedNote[], { y, x, end }: Place): string {
  const parts = [`<text x="4" y="${y + 14}" class="t">${lane}</text>`];
  notes.forEach((note, i) => {
    const hint = `<title>${(note.at / 1_000).toFixed(1)} ms: ${escaped(note.text)}</title>`;
    const bar = (until: Micros, colour: string): string =>
      `<rect x="${x(note.at)}" y="${y}" width="${Math.max(1, x(until) - x(note.at))}" height="18" fill="${colour}">${hint}</rect>`;
    const next = (kinds: readonly Note['kind'][]): Micros =>
      notes.slice(i + 1).find(({ kind }) => kinds.includes(kind))?.at ?? end;
    if (note.kind === 'leader') parts.push(bar(next(['leader']), colourOf(note.broker ?? 0)));
    else if (note.kind === 'up') parts.push(bar(next(['down']), colourOf(note.broker ?? 0)));
    else if (note.kind === 'commit') {
      parts.push(`<circle cx="${x(note.at)}" cy="${y + 15}" r="2" fill="#000">${hint}</circle>`);
    } else if (note.kind !== 'down') {
      const colour = note.kind === 'fault' ? '#d62728' : '#222';
      parts.push(
        `<path d="M${x(note.at)} ${y} l5 18 h-10 z" fill="${colour}" data-kind="${note.kind}">${hint}</path>`,
      );
    }
  });
  return parts.join('');
}

/** The run first, then faults, brokers and groups by number. */
function byLane(a: string, b: string): number {
  const rank = (lane: string): number => {
    const first = ['run', 'faults'].indexOf(lane);
    if (first >= 0) return first;
    return Number(lane.slice(1)) + (lane.startsWith('b') ? 1_000 : 1_000_000);
  };
  return rank(a) - rank(b);
}
