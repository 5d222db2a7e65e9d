import { expect } from 'chai';
import { runCli } from '../../../src/cli/program.js';
import { startCluster, type TestCluster } from '../../../src/testing/index.js';
import { eventually } from '../../support/eventually.js';
import { FakeIo } from '../../support/fake-io.js';
import { filledTopic } from '../../support/filled-topic.js';

interface Trimmed {
  readonly dryRun: boolean;
  readonly partitions: {
    readonly partition: number;
    readonly newStart: number;
    readonly offsets: number;
    readonly error?: { readonly code: string };
  }[];
}

/** Four partitions of ten records, on three replicas each. */
describe('millrace topic trim', function () {
  this.timeout(120_000);
  let cluster: TestCluster;

  async function millrace(...args: string[]): Promise<{ code: number; out: string; err: string }> {
    const io = new FakeIo({ env: { MILLRACE_BOOTSTRAP: cluster.bootstrap } });
    const code = await runCli(io, args);
    return { code, out: io.out, err: io.err };
  }

  const trim = async (...args: string[]): ReturnType<typeof millrace> =>
    await millrace('topic', 'trim', 'orders', ...args);

  /** By partition, each from its leader: waited for where one was killed. */
  async function starts(): Promise<number[]> {
    let found: number[] = [];
    await eventually('every leader can be asked', async () => {
      const { partitions } = await cluster.client().admin.describeTopic('orders');
      found = partitions.map((p) => p.logStartOffset);
      return partitions.every((p) => p.error === undefined);
    });
    return found;
  }

  before(async () => {
    cluster = await startCluster({ brokers: 3 });
  });
  after(() => cluster.close());
  beforeEach(() => filledTopic(cluster.client(), 'orders'));
  afterEach(() => cluster.client().admin.deleteTopic('orders'));

  it('lists what goes, deletes it, and it stays deleted when the leader is killed', async () => {
    const dry = await trim('--partition', '1,3', '--before', '6', '--dry-run');
    expect([dry.code, dry.err]).to.deep.equal([0, '']);
    expect(dry.out).to.match(/PARTITION +START +END +SIZE +WOULD START +GOES/);
    expect(dry.out).to.match(/\n +3 +0 +10 .* 6 +6\n12 record\(s\) would be deleted\n$/);
    expect(await starts()).to.deep.equal([0, 0, 0, 0]);

    const done = await trim('--partition', '1,3', '--before', '6', '--yes');
    expect([done.code, done.err]).to.deep.equal([0, '']);
    expect(done.out).to.match(/STARTS NOW.*\n12 record\(s\) deleted\n$/s);
    expect(await starts()).to.deep.equal([0, 6, 0, 6]);

    const leader = await cluster.leaderOf('orders', 3);
    await cluster.kill(leader);
    expect(await cluster.leaderOf('orders', 3)).not.to.equal(leader);
    expect(await starts(), 'under another leader').to.deep.equal([0, 6, 0, 6]);
    const left = await millrace('consume', 'orders', '-b', '-e', '-p', '3');
    expect([left.code, left.out]).to.deep.equal([0, '27\n31\n35\n39\n']);
    await cluster.restart(leader);
    await cluster.ready();
    await cluster.client().admin.transferLeadership({ topic: 'orders', partition: 3 }, leader);
    expect((await starts())[3], 'where it was killed').to.equal(6);
  });

  it('trims every partition to its end as it was listed, in JSON', async () => {
    const { code, out, err } = await trim('--all', '--before', 'end', '--yes', '--json');
    expect([code, err]).to.deep.equal([0, '']);
    const { dryRun, partitions } = JSON.parse(out) as Trimmed;
    expect(dryRun).to.equal(false);
    expect(partitions.map((p) => [p.partition, p.newStart, p.offsets])).to.deep.equal(
      [0, 1, 2, 3].map((partition) => [partition, 10, 10]),
    );
    const again = await trim('--all', '--before', '4', '--yes');
    expect([again.code, again.out.includes('\n0 record(s) deleted')]).to.deep.equal([0, true]);
    expect(await starts()).to.deep.equal([10, 10, 10, 10]);
  });

  it('deletes nothing if it cannot do all of it', async () => {
    const { admin } = cluster.client();
    await admin.trimPartition({ topic: 'orders', partition: 2 }, 5);
    const beyond = await trim('-p', '0,2', '--before', '11', '--yes', '--json');
    const { partitions } = JSON.parse(beyond.out) as Trimmed;
    expect(partitions.map((p) => p.error?.code)).to.deep.equal([
      'OFFSET_OUT_OF_RANGE',
      'OFFSET_OUT_OF_RANGE',
    ]);
    expect(beyond.err).to.contain('2 of 2 partitions cannot be trimmed, so nothing was deleted');
    expect(beyond.code).to.equal(1);
    const nowhere = await trim('-p', '0,4', '--before', '1', '--yes');
    expect(nowhere.code).to.equal(1);
    expect(nowhere.err).to.match(/UNKNOWN_PARTITION: orders has 4 partition\(s\), there is no 4/);
    expect(await starts()).to.deep.equal([0, 0, 5, 0]);
  });
});
