import { expect } from 'chai';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { checkLimits, LIMITS } from '../src/model/limits.js';

/** Rules of the house that compiler, linter and import checker cannot say. */
describe('house rules', () => {
  const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
    encoding: 'utf8',
  })
    .split('\n')
    .filter((file) => file !== '' && existsSync(file));
  const sources = files.filter(
    (f) => /^(src|test|scripts)\/.*\.ts$/.test(f) && !f.includes('/gen/'),
  );
  const text = (file: string): string => readFileSync(file, 'utf8');
  const offending = (among: readonly string[], pattern: RegExp): string[] =>
    among.filter((file) => pattern.test(text(file)));

  it('finds the sources it judges', () => {
    expect(sources.length).to.be.greaterThan(30);
  });

  it('has no unfinished work, focused or skipped tests, or silenced checks', () => {
    // The brackets keep the pattern from finding itself: this file is judged, too.
    const banned =
      /\b(TOD[O]|FIXM[E]|XX[X]|HAC[K])\b|\b(describe|it)\.(only|skip)\(|@ts-(ignore|nocheck|expect-error)|eslint-disabl[e]|\bas any\b/;
    expect(offending(sources, banned)).to.deep.equal([]);
  });

  it('prints through the logger or the terminal helpers, never through console', () => {
    const src = sources.filter((f) => f.startsWith('src/'));
    expect(offending(src, /\bconsole\.(log|warn|error|info|debug)\(/)).to.deep.equal([]);
  });

  it('keeps files short enough to be read', () => {
    const long = sources.filter((f) => f.startsWith('src/') && text(f).split('\n').length > 600);
    expect(long).to.deep.equal([]);
  });

  it('gives every floor a README', () => {
    const floors = new Set(files.filter((f) => f.startsWith('src/')).map((f) => f.split('/')[1]));
    const missing = [...floors].filter((floor) => !existsSync(`src/${floor ?? ''}/README.md`));
    expect(missing).to.deep.equal([]);
  });

  it('imports every file of src from somewhere', () => {
    const imported = new Set<string>();
    for (const file of files.filter((f) => /\.(ts|json|js|cjs)$/.test(f))) {
      for (const match of text(file).matchAll(/['"](\.{1,2}\/[^'"]+)\.js['"]/g)) {
        imported.add(path.normalize(path.join(path.dirname(file), `${match[1] ?? ''}.ts`)));
      }
    }
    const entryPoints = new Set([
      'src/client/index.ts',
      'src/cli/main.ts',
      'src/metadata/assignors/index.ts',
    ]);
    const dead = sources.filter(
      (f) =>
        f.startsWith('src/') && !f.endsWith('.d.ts') && !imported.has(f) && !entryPoints.has(f),
    );
    expect(dead).to.deep.equal([]);
  });

  it('names no path of a machine and no registry in the lock file', () => {
    expect(text('package-lock.json')).to.not.match(/"resolved":/);
  });

  it('has limits that fit each other', () => {
    checkLimits();
    expect(() => checkLimits({ ...LIMITS, peerMessageBytesMax: LIMITS.batchBytesMax })).to.throw(
      /peer message/,
    );
    const { fetchForwardsMax, streamsPerConnectionMax } = LIMITS;
    expect(() =>
      checkLimits({ ...LIMITS, fetchForwardsMax: streamsPerConnectionMax / 2 + 1 }),
    ).to.throw(/passed on/);
    expect(() => checkLimits({ ...LIMITS, streamsPerConnectionMax: fetchForwardsMax })).to.throw(
      /passed on/,
    );
  });
});
