import { expect } from 'chai';
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { planted } from '../../scripts/lib/plant.js';
import { runNode } from '../support/run-child.js';
import { MUTANTS } from './mutants/list.js';
import { Chronicle, timelinePage, timelineText } from './timeline.js';

const TIMEOUT_MS = 180_000;

async function sim(directory: string, args: readonly string[]): Promise<string> {
  const all = ['--import', 'tsx', 'scripts/sim/main.ts', ...args];
  return (await runNode(all, { cwd: directory, withinMs: TIMEOUT_MS })).output;
}

describe('a failing seed', () => {
  it('is told with the few faults that it needs, and as a timeline', async function () {
    this.timeout(TIMEOUT_MS);
    const mutant = MUTANTS.find(({ id }) => id === 'M38');
    if (mutant === undefined) throw new Error('no such mutant');
    const directory = await planted(mutant);
    try {
      const file = path.join(directory, 'timeline.txt');
      // Only a restart shows it: whoever runs to the end without one is no failure to shrink.
      let output = '';
      for (let seed = 1; seed <= 20 && !output.includes('faults that are left'); seed += 1) {
        const args = ['--seed', `${seed}`, '--level', 'raft', '--shrink', '--timeline', file];
        output = await sim(directory, args);
      }
      const [, list = ''] = output.split('faults that are left');
      const left = list.split('\n').filter((line) => / ms {2}/.test(line));
      expect(left.length, output).to.be.within(0, 2);
      const replay = /npm run sim -- (.*)/.exec(list)?.[1] ?? '';
      const again = await sim(directory, replay.split(' '));
      const failure = /^Violation: (\w+)/m.exec(output)?.[1] ?? 'none';
      expect(again).to.contain(`FAILED Violation: ${failure}:`);
      expect(await readFile(file, 'utf8')).to.match(/run +failure +Violation/);
      expect(await readFile(`${file}.html`, 'utf8')).to.contain('</svg>');
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
});

describe('a timeline', () => {
  it('marks commits that are close together once, and escapes what it shows', () => {
    let now = 0;
    const chronicle = new Chronicle(() => now);
    chronicle.note({ lane: 'g1', kind: 'leader', broker: 2, text: 'b2 <leads> in term 1' });
    for (const [at, index] of [
      [1_000, 1],
      [2_000, 2],
      [90_000, 3],
      [95_000, 3],
    ] as const) {
      now = at;
      chronicle.commits(1, index);
    }
    expect(timelineText('t', chronicle.notes).trim().split('\n')).to.deep.equal([
      't',
      '       0.0 g1      leader  b2 <leads> in term 1',
      '       1.0 g1      commit  commits up to 1',
      '      90.0 g1      commit  commits up to 3',
    ]);
    expect(timelinePage('t', chronicle.notes)).to.contain('b2 &#60;leads&#62; in term 1');
  });
});
