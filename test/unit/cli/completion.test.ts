import { expect } from 'chai';
import { spawnSync } from 'node:child_process';

import { candidatesFor, SCRIPTS, SHELLS } from '../../../src/cli/completion.js';
import { createProgram, runCli } from '../../../src/cli/program.js';
import { FakeIo } from '../../support/fake-io.js';

const program = createProgram(new FakeIo());
const offered = (...words: string[]): readonly string[] => candidatesFor(program, words).words;

async function completed(...words: string[]): Promise<string> {
  const io = new FakeIo({ env: { MILLRACE_BOOTSTRAP: '127.0.0.1:1' } });
  expect(await runCli(io, ['__complete', ...words])).to.equal(0);
  expect(io.err).to.equal('');
  return io.out;
}

describe('completion', () => {
  it('offers commands, their commands, and their options', () => {
    expect(offered('')).to.include.members(['topic', 'produce', 'group', 'completion']);
    expect(offered('topic', '')).to.include.members(['create', 'alter', 'describe']);
    expect(offered('topic', 'alter', 'x', '--')).to.include.members(['--partitions', '--json']);
  });

  it('offers what an option or argument can be', () => {
    expect(offered('produce', 'x', '--acks', '')).to.eql(['quorum', 'leader', 'none']);
    expect(offered('produce', 'x', '--acks=none', '--')).to.include('--compression');
    expect(offered('completion', '')).to.eql(['bash', 'zsh', 'fish']);
  });

  it('knows where a name of the cluster belongs', () => {
    expect(candidatesFor(program, ['topic', 'describe', '']).names).to.equal('topic');
    expect(candidatesFor(program, ['produce', '--acks', 'none', '']).names).to.equal('topic');
    expect(candidatesFor(program, ['group', 'describe', '']).names).to.equal('group');
    expect(candidatesFor(program, ['consume', 't', '--group', '']).names).to.equal('group');
    expect(candidatesFor(program, ['topic', 'describe', 't', '']).names).to.equal(undefined);
  });

  it('writes what fits, and nothing where nobody answers', async () => {
    expect(await completed('to')).to.equal('topic\n');
    expect(await completed('topic', 'al')).to.equal('alter\n');
    expect(await completed('nonsense', 'zzz')).to.equal('');
    expect(await completed('topic', 'describe', '')).to.equal('');
  });

  it('prints a script for each shell, which bash can read', async () => {
    for (const shell of SHELLS) {
      const io = new FakeIo();
      expect(await runCli(io, ['completion', shell])).to.equal(0);
      expect(io.out).to.equal(`${SCRIPTS[shell]}\n`);
      expect(io.out).to.contain('millrace __complete');
    }
    const read = spawnSync('bash', ['-n'], { input: SCRIPTS.bash, encoding: 'utf8' });
    expect([read.status, read.stderr]).to.eql([0, '']);
  });
});
