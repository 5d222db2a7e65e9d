import { expect } from 'chai';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { MemberProcess } from '../../scripts/chaos/member-process.js';
import { eventually } from '../support/eventually.js';

const SETTINGS = {
  bootstrap: [],
  topic: 't',
  group: 'g',
  partitions: 1,
  seed: 1,
  isChurning: true,
};
const READY = "process.send({ kind: 'new' });";

describe('the process of a member in the chaos scenario groups', function () {
  this.timeout(60_000);
  let dir: string;
  const failures: string[] = [];
  let said = 0;

  beforeEach(() => {
    dir = mkdtempSync(path.join(os.tmpdir(), 'millrace-members-'));
    failures.length = 0;
    said = 0;
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  async function running(code: string): Promise<MemberProcess> {
    const worker = path.join(dir, 'worker.mjs');
    writeFileSync(worker, `${code}\n${READY}`);
    const member = new MemberProcess(worker, SETTINGS, {
      told: () => (said += 1),
      failed: (how) => failures.push(how),
    });
    await eventually('it runs', () => said > 0, 30_000);
    return member;
  }

  for (const [how, code] of [
    ['exit 3', 'process.exit(3)'],
    ['exit 0', 'process.exit(0)'],
    ['SIGKILL', "process.kill(process.pid, 'SIGKILL')"],
  ] as const) {
    it(`is a failure if it ends by itself (${how}), and nobody waits for it`, async () => {
      const member = await running(`process.on('message', () => ${code});`);
      member.send({ kind: 'settle' });
      await member.ended;
      expect(failures).to.deep.equal([how]);
      expect(await member.kill()).to.equal(false);
      await member.stop(60_000);
      expect(failures).to.deep.equal([how]);
    });
  }

  it('is none if it was killed, or ends in order when it is told to', async () => {
    const killed = await running('setInterval(() => undefined, 1_000);');
    expect(await killed.kill()).to.equal(true);
    said = 0;
    const stopped = await running("process.on('message', () => process.exit(0));");
    await stopped.stop(60_000);
    expect(failures).to.deep.equal([]);
  });

  it('is one if it ends with an error when it is told to end', async () => {
    const member = await running("process.on('message', () => process.exit(1));");
    await member.stop(60_000);
    expect(failures).to.deep.equal(['exit 1']);
  });

  it('is killed if it does not end in time', async () => {
    const member = await running("process.on('message', () => undefined);");
    await member.stop(50);
    expect(failures).to.deep.equal([]);
  });
});
