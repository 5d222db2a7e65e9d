import { Writable } from 'node:stream';
import { expect } from 'chai';
import type { Io } from '../../../src/cli/io.js';
import { runCli } from '../../../src/cli/program.js';
import { startCluster, type TestCluster } from '../../../src/testing/index.js';
import { FakeIo } from '../../support/fake-io.js';
import { filledTopic } from '../../support/filled-topic.js';

/** A file on a slow disk: reading forty records that came one by one takes more than a second. */
const WRITE_MS = 40;

describe('progress of millrace consume', function () {
  this.timeout(60_000);
  let cluster: TestCluster;

  before(async () => {
    cluster = await startCluster({ brokers: 1 });
    await filledTopic(cluster.client(), 'orders');
  });
  after(() => cluster.close());

  async function consume(
    ...args: string[]
  ): Promise<{ code: number; lines: number; shown: string }> {
    const fake = new FakeIo({ env: { MILLRACE_BOOTSTRAP: cluster.bootstrap } });
    let out = '';
    const stdout = new Writable({
      highWaterMark: 1,
      write: (chunk: Buffer, _encoding, done) => {
        out += chunk.toString();
        setTimeout(done, WRITE_MS);
      },
    });
    const { stdin, env } = fake;
    const stderr = Object.assign(fake.stderr, { isTTY: true as const });
    const io: Io = { stdin, stdout, stderr, env, onInterrupt: () => () => undefined };
    const code = await runCli(io, ['consume', 'orders', ...args]);
    return { code, lines: out.trimEnd().split('\n').length, shown: fake.err };
  }

  it('says how many of all there are between the start and the end', async () => {
    const all = await consume('-b', '-e');
    expect([all.code, all.lines]).to.deep.equal([0, 40]);
    expect(all.shown).to.match(/\d+% {2}\d+ of 40 records/);
    const some = await consume('-o', '3', '-e', '-p', '0,1,2,3', '--format', 'ndjson');
    expect([some.code, some.lines]).to.deep.equal([0, 28]);
    expect(some.shown).to.match(/of 28 records/);
  });

  it('says how many of those that were asked for', async () => {
    const { code, lines, shown } = await consume('-b', '-m', '32');
    expect([code, lines]).to.deep.equal([0, 32]);
    expect(shown).to.match(/of 32 records/);
  });

  it('says how many where that is not known beforehand, and nothing if told to be quiet', async () => {
    const { code, shown } = await consume('--since', '0', '-e');
    expect([code, /\d records/.test(shown), shown.includes('%')]).to.deep.equal([0, true, false]);
    expect((await consume('-b', '-e', '--quiet')).shown).to.equal('');
  });
});
