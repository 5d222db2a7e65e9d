import { expect } from 'chai';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  checkHistory,
  checkHistoryFile,
  HistoryWriter,
  type CheckId,
  type Verdict,
} from './index.js';

type Fields = Record<string, unknown>;

/** A small run that keeps every promise, with data for every check. */
function cleanRun(): Fields[] {
  const row = (off: number, v: string, epoch: number): unknown[] => [off, v, `crc-${v}`, epoch];
  const all = [row(0, 'a', 3), row(1, 'b', 3), row(2, 'c', 3), row(3, 'd', 4)];
  const send = (t: number, p: number, v: string, seq: number): Fields => ({
    t,
    p,
    type: 'invoke',
    f: 'send',
    k: 'orders/0',
    v,
    crc: `crc-${v}`,
    pid: 7,
    seq,
  });
  const ok = (t: number, p: number, f: string, answer: Fields = {}): Fields => ({
    t,
    p,
    type: 'ok',
    f,
    ...answer,
  });
  const ask = (t: number, p: number, f: string, call: Fields = {}): Fields => ({
    t,
    p,
    type: 'invoke',
    f,
    ...call,
  });
  const heads = (hw: number, epoch: number): Fields => ({
    hw: { 'orders/0': hw },
    epoch: { 'orders/0': epoch },
  });
  return [
    { t: 0, f: 'phase', v: 'start', format: 1 },
    ask(100, 9, 'topic-create', { topic: 'other', partitions: 2 }),
    ok(200, 9, 'topic-create'),
    ask(300, 9, 'topic-get', { topic: 'other' }),
    ok(400, 9, 'topic-get', { state: { partitions: 2 } }),
    send(1_000, 1, 'a', 0),
    ok(2_000, 1, 'send', { off: 0, epoch: 3, node: 2 }),
    ask(2_100, 2, 'subscribe', { g: 'g1', v: ['orders'] }),
    ok(2_200, 2, 'subscribe'),
    { t: 2_300, p: 2, f: 'rebalance', g: 'g1', gen: 1, owned: ['orders/0'] },
    send(3_000, 1, 'b', 1),
    ok(4_000, 1, 'send', { off: 1, epoch: 3, node: 2 }),
    ask(4_100, 2, 'poll'),
    ok(4_200, 2, 'poll', { recs: { 'orders/0': all.slice(0, 2) }, ...heads(2, 3) }),
    ask(4_300, 2, 'commit', { g: 'g1', offs: { 'orders/0': 2 }, gen: 1 }),
    ok(4_400, 2, 'commit'),
    ask(4_500, 2, 'committed', { g: 'g1', ks: ['orders/0'] }),
    ok(4_600, 2, 'committed', { offs: { 'orders/0': 2 } }),
    { t: 10_000, f: 'phase', v: 'fault' },
    { t: 11_000, f: 'nemesis', v: { kind: 'kill9', node: 2, limitMs: 5_000 } },
    send(12_000, 1, 'c', 2),
    { t: 900_000, p: 1, type: 'info', f: 'send', err: 'TIMEOUT' },
    send(901_000, 3, 'x', 9),
    { t: 902_000, p: 3, type: 'fail', f: 'send', err: 'THROTTLED' },
    { t: 1_000_000, f: 'nemesis', v: { kind: 'start', node: 2 } },
    { t: 2_000_000, f: 'phase', v: 'heal' },
    send(3_000_000, 3, 'd', 3),
    ok(3_001_000, 3, 'send', { off: 3, epoch: 4, node: 1 }),
    { t: 13_000_000, f: 'phase', v: 'drain' },
    ask(13_001_000, 2, 'poll'),
    ok(13_002_000, 2, 'poll', { recs: { 'orders/0': all.slice(2) }, ...heads(4, 4) }),
    ask(13_003_000, 4, 'assign', { v: ['orders/0'], seek: 'begin' }),
    ok(13_004_000, 4, 'assign'),
    ask(13_005_000, 4, 'poll', { lin: true }),
    ok(13_006_000, 4, 'poll', { recs: { 'orders/0': all.slice(0, 3) }, ...heads(4, 4) }),
    ask(13_007_000, 4, 'poll'),
    ok(13_008_000, 4, 'poll', { recs: { 'orders/0': all.slice(3) }, ...heads(4, 4) }),
    { t: 13_009_000, f: 'dump', node: 1, k: 'orders/0', start: 0, hw: 4, chain: 'ff', rows: all },
    { t: 13_010_000, f: 'dump', node: 2, k: 'orders/0', start: 0, hw: 4, chain: 'ff', rows: all },
    { t: 13_011_000, f: 'phase', v: 'end' },
  ];
}

function judge(run: readonly Fields[], options?: Parameters<typeof checkHistory>[1]): Verdict {
  const inOrder = [...run].sort((a, b) => (a['t'] as number) - (b['t'] as number));
  return checkHistory(
    inOrder.map((fields, i) => JSON.stringify({ i, ...fields })),
    options,
  );
}

const at = (run: readonly Fields[], t: number): Fields => {
  const line = run.find((fields) => fields['t'] === t);
  if (line === undefined) throw new Error(`no line at ${t}`);
  return line;
};

/** Rows of a line's poll or dump. */
const rowsOf = (line: Fields): unknown[][] =>
  (line['rows'] ?? (line['recs'] as Fields | undefined)?.['orders/0']) as unknown[][];

/** The same value in every poll and dump of the run. */
function everywhere(run: readonly Fields[], change: (row: unknown[]) => unknown[]): void {
  for (const line of run) {
    if (line['f'] === 'poll' && line['recs'] !== undefined) {
      line['recs'] = { 'orders/0': rowsOf(line).map(change) };
    }
    if (line['f'] === 'dump') line['rows'] = rowsOf(line).map(change);
  }
}

function without(run: Fields[], ...times: readonly number[]): void {
  for (const t of times) run.splice(run.indexOf(at(run, t)), 1);
}

/** Ways to break one promise; each must be found under its own id. */
const breaks: readonly (readonly [CheckId, string, (run: Fields[]) => unknown])[] = [
  [
    'C01',
    'an offset shows two values',
    (run) => (at(run, 13_006_000)['recs'] = { 'orders/0': [[0, 'b', 'crc-b']] }),
  ],
  ['C02', 'an ack and a poll disagree on the offset', (run) => (at(run, 3_001_000)['off'] = 5)],
  [
    'C03',
    'an acked record in the middle is never polled',
    (run) => everywhere(run, (row) => (row[1] === 'b' ? [1, 'c', 'crc-c', 3] : row)),
  ],
  [
    'C04',
    'the last acked record is never polled',
    (run) => {
      at(run, 13_002_000)['recs'] = { 'orders/0': [[2, 'c', 'crc-c', 3]] };
      at(run, 13_008_000)['recs'] = {};
    },
  ],
  [
    'C05',
    'a failed send is polled',
    (run) => everywhere(run, (row) => (row[1] === 'c' ? [2, 'x', 'crc-x', 3] : row)),
  ],
  [
    'C06',
    'a reader begins above what others saw',
    (run) =>
      (at(run, 13_006_000)['recs'] = {
        'orders/0': [
          [1, 'b', 'crc-b'],
          [2, 'c', 'crc-c'],
        ],
      }),
  ],
  [
    'C07',
    'a reader gets a record again',
    (run) =>
      (at(run, 13_008_000)['recs'] = {
        'orders/0': [
          [2, 'c', 'crc-c'],
          [3, 'd', 'crc-d'],
        ],
      }),
  ],
  [
    'C08',
    'a poll leaves out a record',
    (run) =>
      (at(run, 13_006_000)['recs'] = {
        'orders/0': [
          [0, 'a', 'crc-a'],
          [2, 'c', 'crc-c'],
        ],
      }),
  ],
  [
    'C09',
    'a poll goes back',
    (run) =>
      (at(run, 13_006_000)['recs'] = {
        'orders/0': [
          [0, 'a'],
          [2, 'c'],
          [1, 'b'],
        ],
      }),
  ],
  [
    'C10',
    "a process's second send has the lower offset",
    (run) => {
      at(run, 2_000)['off'] = 1;
      at(run, 4_000)['off'] = 0;
      everywhere(run, (row) => {
        if (row[1] === 'a') return [0, 'b', 'crc-b', 3];
        return row[1] === 'b' ? [1, 'a', 'crc-a', 3] : row;
      });
    },
  ],
  [
    'C11',
    'a record nobody sent',
    (run) => everywhere(run, (row) => (row[1] === 'c' ? [2, 'ghost', 'q', 3] : row)),
  ],
  [
    'C12',
    'a payload changed',
    (run) => everywhere(run, (row) => (row[1] === 'c' ? [2, 'c', 'bad', 3] : row)),
  ],
  [
    'C12',
    'a value cannot be recovered',
    (run) => everywhere(run, (row) => (row[1] === 'c' ? [2, null, 'q', 3] : row)),
  ],
  [
    'C13',
    'a later send of another process got the lower offset',
    (run) => {
      at(run, 3_000)['p'] = 5;
      at(run, 4_000)['p'] = 5;
      at(run, 2_000)['off'] = 1;
      at(run, 4_000)['off'] = 0;
    },
  ],
  [
    'C14',
    'a group commits past what it polled',
    (run) => (at(run, 4_300)['offs'] = { 'orders/0': 3 }),
  ],
  [
    'C15',
    'two owners in one generation',
    (run) =>
      run.push(
        { t: 5_000, p: 6, type: 'invoke', f: 'subscribe', g: 'g1', v: ['orders'] },
        { t: 5_100, p: 6, type: 'ok', f: 'subscribe' },
        { t: 5_200, p: 6, f: 'rebalance', g: 'g1', gen: 1, owned: ['orders/0'] },
      ),
  ],
  [
    'C15',
    'a commit of an old generation is taken',
    (run) =>
      run.push(
        { t: 2_310, p: 6, type: 'invoke', f: 'subscribe', g: 'g1', v: ['orders'] },
        { t: 2_320, p: 6, type: 'ok', f: 'subscribe' },
        { t: 2_330, p: 6, f: 'rebalance', g: 'g1', gen: 2, owned: ['orders/0'] },
      ),
  ],
  [
    'C16',
    'a committed offset is forgotten',
    (run) => (at(run, 4_600)['offs'] = { 'orders/0': null }),
  ],
  [
    'C16',
    'a commit above the high watermark',
    (run) => (at(run, 4_300)['offs'] = { 'orders/0': 4 }),
  ],
  ['C17', 'the high watermark falls', (run) => (at(run, 13_008_000)['hw'] = { 'orders/0': 3 })],
  ['C17', 'a linearizable poll is stale', (run) => (at(run, 13_006_000)['hw'] = { 'orders/0': 3 })],
  ['C18', 'two nodes ack in one epoch', (run) => (at(run, 4_000)['node'] = 1)],
  ['C18', 'an ack under a deposed epoch', (run) => (at(run, 3_001_000)['epoch'] = 2)],
  [
    'C18',
    'a stamped epoch falls',
    (run) => everywhere(run, (row) => (row[1] === 'c' ? [2, 'c', 'crc-c', 2] : row)),
  ],
  [
    'C19',
    'an offset is missing',
    (run) => {
      at(run, 3_001_000)['off'] = 4;
      everywhere(run, (row) => (row[1] === 'd' ? [4, 'd', 'crc-d', 4] : row));
    },
  ],
  ['C20', 'a higher sequence has the lower offset', (run) => (at(run, 3_000_000)['seq'] = 1)],
  ['C21', 'replicas differ', (run) => (at(run, 13_010_000)['chain'] = 'fe')],
  [
    'C21',
    'a replica lacks a record',
    (run) => (at(run, 13_010_000)['rows'] = rowsOf(at(run, 13_009_000)).slice(0, 3)),
  ],
  ['C22', 'a replica holds a failed send', (run) => (at(run, 13_010_000)['rows'] = [[2, 'x']])],
  [
    'C23',
    'nothing is written after heal',
    (run) => {
      without(run, 3_001_000);
      run.push({ t: 3_001_000, p: 3, type: 'info', f: 'send', err: 'TIMEOUT' });
    },
  ],
  ['C23', 'the final reader does not get there', (run) => without(run, 13_007_000, 13_008_000)],
  ['C23', 'the group does not get there', (run) => without(run, 13_001_000, 13_002_000)],
  [
    'C24',
    'writes stop for too long',
    (run) => (at(run, 11_000)['v'] = { kind: 'kill9', node: 2, limitMs: 900 }),
  ],
  ['C25', 'a created topic is gone', (run) => (at(run, 400)['state'] = null)],
];

/** Breaks of the format: nothing can be judged. */
const misuses: readonly (readonly [string, (run: Fields[]) => unknown])[] = [
  ['an unknown kind of line', (run) => run.push({ t: 5_000, f: 'whatever' })],
  ['a field of the wrong type', (run) => (at(run, 1_000)['v'] = 7)],
  ['a completion without a call', (run) => without(run, 1_000)],
  ['two calls of one process at once', (run) => without(run, 2_000)],
  ['a process used after info', (run) => (at(run, 3_000_000)['p'] = 1)],
  ['a value sent twice', (run) => (at(run, 3_000)['v'] = 'a')],
  ['a missing phase', (run) => without(run, 2_000_000)],
  ['a nemesis line outside the faults', (run) => (at(run, 11_000)['t'] = 9_000)],
  ['a send after drain', (run) => (at(run, 13_000_000)['t'] = 2_500_000)],
  ['a poll without an assignment', (run) => without(run, 13_003_000, 13_004_000)],
  ['a commit of no member', (run) => (at(run, 4_300)['g'] = 'g2')],
  ['an ack without an offset', (run) => delete at(run, 2_000)['off']],
  ['a completion that changes its arguments', (run) => (at(run, 2_000)['v'] = 'z')],
  ['a run that stops early', (run) => without(run, 13_011_000)],
];

describe('history checker', () => {
  it('passes a run that keeps every promise, with no check skipped', () => {
    const verdict = judge(cleanRun());
    expect(verdict.violations).to.deep.equal([]);
    expect(verdict.verdict, verdict.reason).to.equal('PASS');
    expect(verdict.skipped).to.deep.equal([]);
    expect(verdict.stats).to.include({ sends: 5, acked: 3, keys: 1 });
  });

  for (const [id, what, change] of breaks) {
    it(`finds ${id}: ${what}`, () => {
      const run = cleanRun();
      change(run);
      const verdict = judge(run);
      expect(verdict.verdict, verdict.reason).to.equal('FAIL');
      expect(Object.keys(verdict.counts)).to.include(id);
    });
  }

  for (const [what, change] of misuses) {
    it(`refuses ${what}`, () => {
      const run = cleanRun();
      change(run);
      const verdict = judge(run);
      expect(verdict.verdict).to.equal('INVALID');
      expect(verdict.reason).to.match(/^line \d+: /);
    });
  }

  it('refuses line numbers with a gap, text that is not JSON, and time that goes back', () => {
    const lines = cleanRun().map((fields, i) => JSON.stringify({ i, ...fields }));
    const swapped = [...lines];
    swapped[5] = lines[6] ?? '';
    expect(checkHistory(swapped).verdict).to.equal('INVALID');
    expect(checkHistory([...lines.slice(0, 3), '{']).verdict).to.equal('INVALID');
    const back = cleanRun();
    at(back, 400)['t'] = 250;
    const text = back.map((fields, i) => JSON.stringify({ i, ...fields }));
    expect(checkHistory(text).reason).to.contain('t decreases');
  });

  it('does not pass a run without load, without a final read, or without demanded data', () => {
    expect(judge(cleanRun(), { okSendsPerSecondMin: 1_000 }).verdict).to.equal('INVALID');
    const noDump = cleanRun().filter((line) => line['f'] !== 'dump');
    expect(judge(noDump).skipped).to.deep.equal(['C21', 'C22']);
    expect(judge(noDump, { require: ['C21'] }).reason).to.contain('C21');
  });

  it('a violation is proof even in a thin run', () => {
    const run = cleanRun();
    at(run, 3_001_000)['off'] = 5;
    expect(judge(run, { okSendsPerSecondMin: 1_000 }).verdict).to.equal('FAIL');
  });

  it('lets a send with unknown outcome take effect, or not', () => {
    const run = cleanRun();
    run.push(
      { t: 950_000, p: 8, type: 'invoke', f: 'send', k: 'orders/0', v: 'never' },
      { t: 990_000, p: 8, type: 'info', f: 'send', err: 'TIMEOUT' },
    );
    expect(judge(run).verdict).to.equal('PASS');
  });

  it('reads a file as it reads lines, and writes what it reads', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'millrace-history-'));
    try {
      const lines: string[] = [];
      let now = 0;
      const writer = new HistoryWriter(
        (line) => lines.push(line),
        () => now,
      );
      writer.phase('start');
      const p = writer.newProcess();
      writer.invoke(p, { f: 'send', k: 't/0', v: 'one', crc: 'x' });
      writer.complete(p, 'ok', { off: 0 });
      writer.phase('fault');
      writer.event({ f: 'nemesis', v: { kind: 'kill9', node: 1 } });
      writer.phase('heal');
      writer.invoke(p, { f: 'send', k: 't/0', v: 'two', crc: 'x' });
      writer.complete(p, 'ok', { off: 1 });
      now = 20_000_000;
      writer.phase('drain');
      const reader = writer.newProcess();
      writer.invoke(reader, { f: 'assign', v: ['t/0'], seek: 'begin' });
      writer.complete(reader, 'ok');
      writer.invoke(reader, { f: 'poll' });
      writer.complete(reader, 'ok', {
        recs: {
          't/0': [
            [0, 'one', 'x'],
            [1, 'two', 'x'],
          ],
        },
      });
      writer.phase('end');
      const path = join(directory, 'history.jsonl');
      await writeFile(path, lines.join(''));
      const verdict = await checkHistoryFile(path);
      expect(verdict).to.deep.equal(checkHistory(lines));
      expect(verdict.verdict, verdict.reason).to.equal('PASS');
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});
