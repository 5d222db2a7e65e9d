import { expect } from 'chai';
import { runCli } from '../../../src/cli/program.js';
import { MillraceClient } from '../../../src/client/index.js';
import { startCluster, type TestCluster } from '../../support/cluster.js';
import { eventually } from '../../support/eventually.js';
import { filledTopic } from '../../support/filled-topic.js';
import { FakeIo } from '../../support/fake-io.js';

interface Described {
  readonly state: string;
  readonly members: { readonly clientId: string }[];
  readonly partitions: { readonly committedOffset?: number; readonly lagRecords: number }[];
}

describe('millrace group', function () {
  this.timeout(120_000);
  let cluster: TestCluster;
  let env: Readonly<Record<string, string>>;

  function start(...args: string[]): { io: FakeIo; ended: Promise<number> } {
    const io = new FakeIo({ env });
    return { io, ended: runCli(io, args) };
  }

  async function millrace(...args: string[]): Promise<{ code: number; out: string; err: string }> {
    const { io, ended } = start(...args);
    const code = await ended;
    return { code, out: io.out, err: io.err };
  }

  async function json(...args: string[]): Promise<unknown> {
    const { code, out, err } = await millrace(...args, '--json');
    expect([code, err], args.join(' ')).to.deep.equal([0, '']);
    return JSON.parse(out);
  }

  const describeGroup = async (group: string): Promise<Described> =>
    (await json('group', 'describe', group)) as Described;

  before(async () => {
    cluster = await startCluster(1);
    env = { MILLRACE_BOOTSTRAP: cluster.bootstrap.join() };
    const client = new MillraceClient({ bootstrap: cluster.bootstrap });
    await filledTopic(client, 'orders');
    await client.close();
  });

  after(async () => {
    await cluster.stop();
  });

  it('reads as a member up to the end, commits, and leaves', async () => {
    const first = await millrace('consume', 'orders', '-g', 'once', '-e');
    expect([first.code, first.err]).to.deep.equal([0, '']);
    expect(first.out.trimEnd().split('\n')).to.have.length(40);
    const again = await millrace('consume', 'orders', '-g', 'once', '-e');
    expect([again.code, again.out]).to.deep.equal([0, '']);
    const { state, partitions } = await describeGroup('once');
    expect(state).to.equal('empty');
    expect(partitions.map((p) => [p.committedOffset, p.lagRecords])).to.deep.equal(
      Array.from({ length: 4 }, () => [10, 0]),
    );
  });

  it('knows of no topic that there is not', async () => {
    const { code, err } = await millrace('consume', 'odrers', '-g', 'once', '-e');
    expect([code, err.includes('UNKNOWN_TOPIC')]).to.deep.equal([1, true]);
  });

  it('commits exactly what was printed', async () => {
    const some = await millrace('consume', 'orders', '-g', 'some', '-m', '7');
    expect(some.out.trimEnd().split('\n')).to.have.length(7);
    const { partitions } = await describeGroup('some');
    const committed = partitions.reduce((sum, p) => sum + (p.committedOffset ?? 0), 0);
    expect(committed).to.equal(7);
    const rest = await millrace('consume', 'orders', '-g', 'some', '-e');
    const all = `${some.out}${rest.out}`.trimEnd().split('\n');
    expect(new Set(all).size).to.equal(40);
    expect(all).to.have.length(40);
  });

  it('shares partitions, says who reads what, and leaves on Ctrl-C', async () => {
    const one = start('consume', 'orders', '-g', 'pair');
    const two = start('consume', 'orders', '-g', 'pair', '--instance-id', 'second');
    await eventually(
      'two members with two partitions each',
      async () => {
        const answer = await millrace('group', 'describe', 'pair', '--json');
        if (answer.code !== 0) return false;
        const { state, members } = JSON.parse(answer.out) as Described;
        return state === 'stable' && members.length === 2;
      },
      20_000,
    );
    const { out } = await millrace('group', 'describe', 'pair');
    expect(out).to.match(/^pair {2}stable {2}2 member\(s\)/);
    expect(out).to.match(/second +millrace consume +\S+ +\d+ +connected +orders\/\d,\d/);
    const busy = await millrace('group', 'reset', 'pair', '--to-beginning');
    expect([busy.code, busy.err.includes('GROUP_NOT_EMPTY')]).to.deep.equal([1, true]);
    await eventually(
      'all printed',
      () => new Set(`${one.io.out}${two.io.out}`.trimEnd().split('\n')).size === 40,
      20_000,
    );
    one.io.interrupt();
    two.io.interrupt();
    expect([await one.ended, await two.ended]).to.deep.equal([0, 0]);
    expect([one.io.err, two.io.err]).to.deep.equal(['', '']);
    const { members, partitions } = await describeGroup('pair');
    expect(
      members.map((m) => m.clientId),
      'a static member is only away',
    ).to.have.length(1);
    expect(partitions.map((p) => p.lagRecords)).to.deep.equal([0, 0, 0, 0]);
  });

  it('resets, with a dry run first, and deletes', async () => {
    await millrace('consume', 'orders', '-g', 'reset', '-e');
    const args = ['group', 'reset', 'reset', '--shift-by', '-4', '-t', 'orders:1,3'];
    const dry = await millrace(...args, '--dry-run');
    expect(dry.code).to.equal(0);
    expect(dry.out).to.match(/WOULD BE/);
    expect(dry.out).to.match(/orders +1 +10 +6/);
    const untouched = await describeGroup('reset');
    expect(untouched.partitions.map((p) => p.lagRecords)).to.deep.equal([0, 0, 0, 0]);
    await json(...args);
    const { partitions } = await describeGroup('reset');
    expect(partitions.map((p) => p.lagRecords)).to.deep.equal([0, 4, 0, 4]);
    const deleted = await millrace('group', 'delete-offsets', 'reset', '-t', 'orders:0');
    expect(deleted.out).to.equal('deleted orders/0\n');
    const listed = await millrace('group', 'list', '--prefix', 'reset');
    expect(listed.out).to.match(/reset +empty +0 +3/);
    expect(await json('group', 'delete', 'reset')).to.deep.equal({ group: 'reset', deleted: true });
    expect((await millrace('group', 'list', '--prefix', 'reset')).out).to.equal('no groups\n');
    const gone = await millrace('group', 'describe', 'reset');
    expect([gone.code, gone.err.includes('UNKNOWN_GROUP')]).to.deep.equal([1, true]);
  });
});
