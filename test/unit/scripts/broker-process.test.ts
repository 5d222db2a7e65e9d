import { expect } from 'chai';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';

import { isAlive } from '../../../src/cli/processes.js';
import { eventually } from '../../support/eventually.js';

const LIBRARY = new URL('../../../scripts/lib/broker-process.ts', import.meta.url).href;
const SIGN = 'runs';

describe('the process of a broker that a script owns', function () {
  this.timeout(60_000);
  let dir: string;
  let script: ChildProcess | undefined;
  let pid = 0;

  beforeEach(() => (dir = mkdtempSync(path.join(os.tmpdir(), 'millrace-script-'))));
  afterEach(() => {
    script?.kill('SIGKILL');
    if (pid !== 0 && isAlive(pid)) process.kill(pid, 'SIGKILL');
    rmSync(dir, { recursive: true });
  });

  /** A script that starts one which runs this and leaves a sign; resolves once it told which it is. */
  async function started(body: string): Promise<ChildProcess> {
    const standIn = path.join(dir, 'stand-in.mjs');
    const sign = `writeFileSync(${JSON.stringify(path.join(dir, SIGN))}, '');`;
    writeFileSync(standIn, `import { writeFileSync } from 'node:fs'; ${body} ${sign}`);
    const options = `{ id: 1, ports: { client: 0, peer: 0, http: 0 }, dir: ${JSON.stringify(dir)},
      config: {}, run: { script: ${JSON.stringify(standIn)} } }`;
    const program = `const { BrokerProcess } = await import(${JSON.stringify(LIBRARY)});
      const broker = new BrokerProcess(${options});
      broker.start();
      process.stdout.write(String(broker.pid));`;
    const args = ['--import', 'tsx', '--input-type=module', '--eval', program];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    script = child;
    const [told] = (await once(child.stdout, 'data')) as [Buffer];
    pid = Number(told.toString());
    return child;
  }

  it('ends when the script is killed', async () => {
    const child = await started('setInterval(() => undefined, 1_000);');
    await eventually('it runs', () => existsSync(path.join(dir, SIGN)));
    child.kill('SIGKILL');
    await eventually('it is gone', () => !isAlive(pid));
  });

  it('is held up by nothing when it is done, nor the script', async () => {
    const child = await started('');
    const [code] = (await once(child, 'exit')) as [number | null];
    expect([code, existsSync(path.join(dir, SIGN))]).to.deep.equal([0, true]);
    expect(isAlive(pid)).to.equal(false);
  });
});
