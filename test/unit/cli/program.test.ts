import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect } from 'chai';
import type { Command } from 'commander';
import { createProgram, runCli } from '../../../src/cli/program.js';
import { LevelBrokerStore } from '../../../src/storage/level-broker-store.js';
import { FakeIo } from '../../support/fake-io.js';

/** Nobody listens there: port 1 is never a broker's. */
const NOBODY = ['--bootstrap', '127.0.0.1:1', '--timeout', '300'];

async function run(
  args: readonly string[],
  options: ConstructorParameters<typeof FakeIo>[0] = {},
): Promise<{ code: number; out: string; err: string }> {
  const io = new FakeIo(options);
  const code = await runCli(io, args);
  return { code, out: io.out, err: io.err };
}

function leaves(command: Command): Command[] {
  if (command.commands.length === 0) return [command];
  return command.commands.flatMap((c) => leaves(c));
}

describe('millrace, the command line', () => {
  it('has the verbs it promises, each with help and --json', async () => {
    const all = leaves(createProgram(new FakeIo()));
    const names = all.map((c) =>
      c.parent?.name() === 'millrace' ? c.name() : `${c.parent?.name()} ${c.name()}`,
    );
    expect(names).to.have.members([
      'broker',
      'local start',
      'local stop',
      'local status',
      'local kill',
      'local restart',
      'topic create',
      'topic list',
      'topic describe',
      'topic alter',
      'topic trim',
      'topic delete',
      'produce',
      'consume',
      'offsets',
      'group list',
      'group describe',
      'group reset',
      'group delete',
      'group delete-offsets',
      'cluster describe',
      'cluster transfer',
      'cluster move',
      'log dump',
      'completion',
      'context list',
      'context set',
      'context use',
      'context remove',
    ]);
    for (const command of all) {
      expect(command.options.map((o) => o.long)).to.include('--json', command.name());
      expect(command.description()).not.to.equal('');
    }
    for (const name of names) {
      const { code, out, err } = await run([...name.split(' '), '--help']);
      expect([code, err], name).to.deep.equal([0, '']);
      expect(out).to.contain('Usage: millrace');
    }
  });

  it('tells its version', async () => {
    expect(await run(['--version'])).to.deep.include({ code: 0, out: '0.1.0\n' });
  });

  const usage: [string, string[], RegExp][] = [
    ['an unknown command', ['produse'], /unknown command 'produse'.*produce/s],
    ['an unknown subcommand', ['topic', 'destroy'], /unknown command/],
    ['an unknown option', ['topic', 'list', '--jsn'], /unknown option '--jsn'/],
    ['a missing argument', ['topic', 'create'], /missing required argument 'topic'/],
    ['one argument too many', ['topic', 'list', 'x'], /too many arguments/],
    [
      'nothing named to trim',
      ['topic', 'trim', 'x', '--before', '1', '--yes'],
      /--partition or --all/,
    ],
    [
      'two ways to name what to trim',
      ['topic', 'trim', 'x', '-p', '0', '--all', '--before', '1', '--yes'],
      /--partition or --all/,
    ],
    ['a trim without an offset', ['topic', 'trim', 'x', '--all', '--yes'], /--before/],
    ['a trim before no offset', ['topic', 'trim', 'x', '--all', '--before', '-1'], /whole number/],
    [
      'a trim without --yes',
      ['topic', 'trim', 'x', '--all', '--before', 'end'],
      /--yes, or --dry-run/,
    ],
    ['text for a number', ['topic', 'create', 'x', '-p', 'many'], /whole number/],
    ['a fraction for a number', ['topic', 'create', 'x', '-p', '1.5'], /whole number/],
    ['0 partitions', ['topic', 'create', 'x', '-p', '0'], /--partitions/],
    ['a reset to nowhere', ['group', 'reset', 'g'], /give one of --to-beginning/],
    [
      'a reset to two places',
      ['group', 'reset', 'g', '--to-end', '--shift-by', '-3'],
      /give one of --to-beginning/,
    ],
    [
      'a partition that is no number',
      ['group', 'reset', 'g', '--to-end', '--topic', 'a:x'],
      /--topic must look like/,
    ],
    ['offsets to forget without a topic', ['group', 'delete-offsets', 'g'], /--topic/],
    ['an instance id outside of a group', ['consume', 'a', '--instance-id', 'i'], /--instance-id/],
    ['0 replicas', ['topic', 'create', 'x', '-r', '0'], /--replication-factor/],
    ['a setting without a value', ['topic', 'create', 'x', '-c', 'retention.ms'], /key=value/],
    ['an address without a port', ['topic', 'list', '--bootstrap', 'localhost'], /host:port/],
    ['an impossible port', ['topic', 'list', '--bootstrap', 'a:70000'], /host:port/],
    ['no address', ['topic', 'list', '--bootstrap', ','], /names no broker/],
    ['nothing to alter', ['topic', 'alter', 'x'], /--set, --unset or --partitions/],
    [
      'two ways to a key',
      ['produce', 'x', '-k', 'a', '--key-separator', ':'],
      /exclude each other/,
    ],
    [
      'a separator beside keys of their own',
      ['produce', 'x', '--format', 'ndjson', '--key-separator', ':'],
      /keys of its own/,
    ],
    ['two formats to read', ['produce', 'x', '--raw', '--format', 'json'], /exclude each other/],
    ['no speed', ['consume', 'x', '--replay-speed', '0'], /positive number/],
    ['a pause without a speed', ['consume', 'x', '--replay-idle-max', '5'], /needs --replay-speed/],
    ['a replay as a member', ['consume', 'x', '-g', 'g', '--replay-speed', '1'], /not for members/],
    [
      'a nearest replica without a rack',
      ['consume', 'x', '--read-from', 'nearest'],
      /needs --rack/,
    ],
    ['an unknown place to read from', ['consume', 'x', '--read-from', 'moon'], /leader, nearest/],
    ['an unknown format', ['consume', 'x', '--format', 'xml'], /ndjson/],
    ['two formats to print', ['consume', 'x', '--json', '--format', 'json'], /exclude each other/],
    ['a template with a field that is none', ['consume', 'x', '--template', '%z'], /"%z" is none/],
    ['a template that ends early', ['consume', 'x', '--template', '100%'], /"%" is none/],
    ['a template and a format', ['consume', 'x', '--template', '%v', '-v'], /says all/],
    ['headers beside JSON', ['consume', 'x', '--format', 'ndjson', '--headers'], /--format text/],
    [
      'an expected offset of no key',
      ['produce', 'x', '--expect-key-offset', '0'],
      /--expect-key-offset needs --key/,
    ],
    [
      'two expected offsets',
      ['produce', 'x', '-p', '0', '--expect-offset', '0', '--expect-key-offset', '0'],
      /not both/,
    ],
    ['an expected offset of no partition', ['produce', 'x', '--expect-offset', '0'], /--partition/],
    [
      'an expected offset of -1',
      ['produce', 'x', '-p', '0', '--expect-offset', '-1'],
      /whole number, 0 or more/,
    ],
    [
      'an expected offset without a quorum',
      ['produce', 'x', '-p', '0', '--expect-offset', '0', '--acks', 'none'],
      /--acks quorum/,
    ],
    ['an unknown codec', ['produce', 'x', '--compression', 'rar'], /gzip/],
    ['an unknown acks', ['produce', 'x', '--acks', 'all'], /quorum/],
    ['two places to start', ['consume', 'x', '-b', '-o', '5'], /one of/],
    ['raw and JSON', ['consume', 'x', '--raw', '--json'], /leave --json/],
    ['a place beside the group', ['consume', 'x', '-g', 'g', '-o', '5'], /where the group stands/],
    ['a time that is none', ['consume', 'x', '--since', 'yesterday-ish'], /It must be a time/],
    ['an unknown policy', ['consume', 'x', '--on-out-of-range', 'skip'], /error, beginning or end/],
    ['a commit without a group', ['offsets', 'x', '--commit', '0=5'], /--group/],
    ['a commit that is none', ['offsets', 'x', '-g', 'g', '--commit', 'a=5'], /0=1234/],
    ['a transfer of nothing', ['cluster', 'transfer'], /--metadata alone/],
    [
      'a transfer of two things',
      ['cluster', 'transfer', 'x', '0', '--metadata'],
      /--metadata alone/,
    ],
    ['a move to nowhere', ['cluster', 'move', 'x', '0'], /required option '--replicas/],
    ['a broker that is no number', ['local', 'kill', 'one'], /whole number/],
    ['one of several brokers that is none', ['local', 'restart', '1', 'two'], /whole number/],
    ['an unknown option, as JSON', ['topic', 'list', '--json', '--x'], /"code":"USAGE".*--x/],
    ['a missing argument, as JSON', ['topic', 'create', '--json'], /"code":"USAGE".*'topic'/],
    ['a bad number, as JSON', ['consume', 'x', '--json', '-n', 'ten'], /"code":"USAGE".*whole/],
    [
      'more partitions than 32 bits hold',
      ['topic', 'create', 'x', '-p', '4294967296'],
      /2147483647/,
    ],
    ['a partition beyond 32 bits', ['cluster', 'transfer', 'x', '4294967296'], /2147483647/],
    ['a broker beyond 32 bits', ['cluster', 'move', 'x', '0', '--replicas', '4294967297'], /2147/],
    ['a commit beyond 32 bits', ['offsets', 'x', '-g', 'g', '--commit', '4294967296=5'], /0=1234/],
    ['a time no timer can wait', ['topic', 'list', '--timeout', '2147483648'], /2147483647/],
    [
      'overlapping ports',
      ['local', 'start', '--dir', '/nonexistent/x', '--peer-port', '7402'],
      /overlap/,
    ],
    ['an unknown setting of a broker', ['broker', '--colour', 'red'], /unknown option/],
    ['a bad setting of a broker', ['broker', '--brokerId', 'x'], /brokerId/],
    ['a config file that is not there', ['broker', '--config', '/nonexistent.yaml'], /nonexistent/],
  ];
  for (const [name, args, pattern] of usage) {
    it(`answers ${name} with exit code 2 and why`, async () => {
      const { code, out, err } = await run(args);
      expect(code).to.equal(2);
      expect(err).to.match(pattern);
      expect(err).to.match(args.includes('--json') ? /^{"error"/ : /^millrace: /);
      expect(out).to.equal('');
    });
  }

  const failing: [string, string[]][] = [
    ['topic list', ['topic', 'list', ...NOBODY]],
    ['topic create', ['topic', 'create', 'x', ...NOBODY]],
    ['offsets', ['offsets', 'x', ...NOBODY]],
    ['cluster describe', ['cluster', 'describe', ...NOBODY]],
    ['consume', ['consume', 'x', ...NOBODY]],
    ['consume --group', ['consume', 'x', '--group', 'g', ...NOBODY]],
    ['group list', ['group', 'list', ...NOBODY]],
    ['group describe', ['group', 'describe', 'g', ...NOBODY]],
    ['group reset', ['group', 'reset', 'g', '--to-end', ...NOBODY]],
    ['produce', ['produce', 'x', '--delivery-timeout', '300', ...NOBODY]],
  ];
  for (const [name, args] of failing) {
    it(`ends ${name} with exit code 1 and one line when nobody is there`, async () => {
      const { code, err } = await run(args, { stdin: 'a line\n' });
      expect(code).to.equal(1);
      expect(err.trimEnd().split('\n')).to.have.length(1);
      expect(err).to.contain('127.0.0.1:1');
    });
  }

  it('tells errors as JSON where JSON was asked for', async () => {
    const { code, err } = await run(['topic', 'list', '--json', ...NOBODY]);
    expect(code).to.equal(1);
    const { error } = JSON.parse(err) as { error: Record<string, unknown> };
    expect(error).to.include({ code: 'BROKER_UNAVAILABLE', retriable: true, outcome: 'none' });
  });

  it('takes the brokers from the environment', async () => {
    const args = ['topic', 'list', '--timeout', '300'];
    const { err } = await run(args, { env: { MILLRACE_BOOTSTRAP: '127.0.0.1:2' } });
    expect(err).to.contain('127.0.0.1:2');
  });

  it('knows of no local cluster where there is none', async () => {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'millrace-cli-'));
    try {
      for (const verb of [['stop'], ['status'], ['kill', '1'], ['restart']]) {
        const { code, err } = await run(['local', ...verb, '--dir', dir]);
        expect([code, err]).to.deep.equal([
          1,
          `millrace: no local cluster in ${dir}: millrace local start makes one\n`,
        ]);
      }
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  it('starts no tour on a file that is not there', async () => {
    const { code, err } = await run(['local', 'start', '--tour', '/nonexistent.log']);
    expect(code).to.equal(1);
    expect(err).to.match(/^millrace: cannot read \/nonexistent\.log: ENOENT[^\n]*\n$/);
  });

  it('leaves a mistyped path as it is when asked for its log', async () => {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'millrace-cli-'));
    try {
      const mistyped = path.join(dir, 'brokr-1');
      const { code, err } = await run(['log', 'dump', mistyped]);
      expect([code, err]).to.deep.equal([
        1,
        `millrace: ${path.join(mistyped, 'state')} is missing: no broker's data here\n`,
      ]);
      expect((await run(['log', 'dump', dir])).code).to.equal(1);
      expect(readdirSync(dir)).to.deep.equal([]);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  it('says of a Raft group that it is not there', async () => {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'millrace-cli-'));
    try {
      const store = await LevelBrokerStore.open(dir);
      await store.close();
      const { code, err } = await run(['log', 'dump', dir, '--group', '99']);
      expect([code, err]).to.deep.equal([1, 'millrace: no replica of Raft group 99 here\n']);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  it('says what is wrong with a file it cannot read', async () => {
    const { code, err } = await run(['produce', 'x', '-f', '/nonexistent', ...NOBODY]);
    expect([code, err.includes('cannot read /nonexistent')]).to.deep.equal([1, true]);
    const dir = await run(['produce', 'x', '-f', os.tmpdir(), ...NOBODY]);
    expect([dir.code, dir.err.includes('directory')]).to.deep.equal([1, true]);
  });
});
