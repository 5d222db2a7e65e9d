import { expect } from 'chai';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { bootstrapOf } from '../../../src/cli/options.js';
import { runCli } from '../../../src/cli/program.js';
import { FakeIo } from '../../support/fake-io.js';

describe('contexts of the command line', () => {
  let home: string;
  beforeEach(() => {
    home = mkdtempSync(path.join(os.tmpdir(), 'millrace-home-'));
  });
  afterEach(() => rmSync(home, { recursive: true, force: true }));

  const fileOf = (): string => path.join(home, '.config', 'millrace', 'contexts.json');
  async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
    const io = new FakeIo({ env: { HOME: home } });
    const code = await runCli(io, ['context', ...args]);
    return { code, out: io.out, err: io.err };
  }
  const asked = (
    options: Parameters<typeof bootstrapOf>[1] = {},
    env: Readonly<Record<string, string>> = {},
  ): string => bootstrapOf({ env: { HOME: home, ...env } }, options);

  it('are named, used and removed; the first is in use at once', async () => {
    expect((await run('list')).out).to.equal('no contexts\n');
    await run('set', 'test', '--bootstrap', 't1:7401,t2:7401');
    const { out } = await run('set', 'live', '--bootstrap', 'l1:7401');
    expect(out.split('\n').slice(1, 3)).to.deep.equal([
      '*  test     t1:7401,t2:7401',
      '   live     l1:7401',
    ]);
    expect(asked()).to.equal('t1:7401,t2:7401');
    await run('use', 'live');
    expect(asked()).to.equal('l1:7401');
    const { out: json } = await run('remove', 'live', '--json');
    expect(JSON.parse(json)).to.deep.equal([
      { context: 'test', bootstrap: 't1:7401,t2:7401', inUse: false },
    ]);
    expect(asked()).to.match(/^127\.0\.0\.1:7401/);
    expect(readdirSync(path.dirname(fileOf())), 'nothing half written').to.eql(['contexts.json']);
  });

  it('give way to what is said more directly', async () => {
    await run('set', 'test', '--bootstrap', 't1:7401');
    await run('set', 'live', '--bootstrap', 'l1:7401');
    expect(asked({}, { MILLRACE_CONTEXT: 'live' })).to.equal('l1:7401');
    const both = { MILLRACE_CONTEXT: 'live', MILLRACE_BOOTSTRAP: 'e1:7401' };
    expect(asked({}, both)).to.equal('e1:7401');
    expect(asked({ context: 'live' }, { MILLRACE_BOOTSTRAP: 'e1:7401' })).to.equal('l1:7401');
    expect(asked({ bootstrap: 'o1:7401' }, both)).to.equal('o1:7401');
    expect(asked({}, { MILLRACE_CONTEXTS: path.join(home, 'other.json') })).to.match(/^127/);
  });

  it('are refused with what is wrong', async () => {
    await run('set', 'test', '--bootstrap', 't1:7401');
    const wrong = async (code: number, text: RegExp, ...args: string[]): Promise<void> => {
      const ended = await run(...args);
      expect(ended.code, args.join(' ')).to.equal(code);
      expect(ended.err).to.match(text);
    };
    await wrong(2, /there is no context "prod"; there are: test/, 'use', 'prod');
    await wrong(2, /1 to 64 of .* not "a b"/, 'set', 'a b', '--bootstrap', 't1:7401');
    await wrong(2, /no:port/, 'set', 'x', '--bootstrap', 'no:port');
    await wrong(2, /--bootstrap/, 'set', 'x');
    expect(() => asked({ context: 'prod' })).to.throw('there is no context "prod"');
    writeFileSync(fileOf(), '{"contexts": {"test": {"bootstrap": 7}}}');
    await wrong(1, /contexts\.json: contexts\.test\.bootstrap: is no text/, 'list');
    writeFileSync(fileOf(), '{');
    await wrong(1, /contexts\.json: .*JSON/, 'list');
    const io = new FakeIo({ env: { HOME: home } });
    const args = ['topic', 'list', '--context', 'test', '--bootstrap', 't1:7401'];
    expect(await runCli(io, args), 'both at a time').to.equal(2);
  });

  it('are completed by name', async () => {
    await run('set', 'test', '--bootstrap', 't1:7401');
    const io = new FakeIo({ env: { HOME: home } });
    await runCli(io, ['__complete', 'topic', 'list', '--context', 't']);
    expect(io.out).to.equal('test\n');
  });
});
