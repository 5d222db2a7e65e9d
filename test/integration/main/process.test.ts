import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { MillraceClient } from '../../../src/client/index.js';
import { envName } from '../../../src/config/load.js';
import { eventually } from '../../support/eventually.js';

const BROKER_PROCESS = fileURLToPath(new URL('../../support/broker-process.ts', import.meta.url));

interface Process {
  readonly child: ChildProcess;
  readonly output: { out: string; err: string };
  /** Its exit code. */
  readonly ended: Promise<number | null>;
}

interface Line {
  readonly msg: string;
  readonly peerPort: number;
  readonly clientPort: number;
  readonly httpPort: number;
}

function lineOf(process: Process, text: string): Line | undefined {
  // What comes after the last end of a line may be the first half of one.
  const whole = process.output.out.split('\n').slice(0, -1);
  const lines = whole.filter((line) => line.startsWith('{'));
  return lines.map((line) => JSON.parse(line) as Line).find(({ msg }) => msg === text);
}

const OF_ANOTHER_CLUSTER =
  /^cannot (?:go on in|be part of) the cluster: [^\n]*of cluster [^\n]*\n$/;

describe('a broker process', function () {
  this.timeout(120_000);
  let directory: string;
  let processes: Process[];
  beforeEach(async () => {
    directory = await mkdtemp(path.join(os.tmpdir(), 'millrace-process-'));
    processes = [];
  });
  afterEach(async () => {
    for (const { child } of processes) child.kill('SIGKILL');
    await Promise.all(processes.map(({ ended }) => ended));
    await rm(directory, { recursive: true, force: true });
  });

  /** A broker that is a cluster by itself, unless told otherwise. */
  function start(settings: Readonly<Record<string, string>> = {}): Process {
    const all = {
      brokerId: '1',
      dataDir: path.join(directory, 'data'),
      clientPort: '0',
      peerPort: '0',
      httpPort: '0',
      founders: '1@127.0.0.1:1',
      ...settings,
    };
    const env = Object.fromEntries(Object.entries(all).map(([k, v]) => [envName(k), v]));
    const child = spawn(process.execPath, ['--import', 'tsx', BROKER_PROCESS], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], ...env },
    });
    const output = { out: '', err: '' };
    child.stdout.on('data', (chunk: Buffer) => (output.out += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (output.err += chunk.toString()));
    const ended = once(child, 'close').then(([code]) => code as number | null);
    const started = { child, output, ended };
    processes.push(started);
    return started;
  }

  async function startReady(settings: Readonly<Record<string, string>> = {}): Promise<Line> {
    const broker = start(settings);
    await eventually(
      `listening: ${JSON.stringify(broker.output)}`,
      () => lineOf(broker, 'broker listens') !== undefined,
      50_000,
    );
    const line = lineOf(broker, 'broker listens')!;
    await eventually(
      'ready',
      async () => (await fetch(`http://127.0.0.1:${line.httpPort}/health/ready`)).status === 200,
      50_000,
    );
    return line;
  }

  it('stops cleanly when told to, and comes back with what it had', async () => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      await startReady();
      const broker = processes.at(-1)!;
      broker.child.kill(signal);
      expect(await broker.ended, broker.output.err).to.equal(0);
      expect(lineOf(broker, 'stopped')).to.not.equal(undefined);
      expect(broker.output.err).to.equal('');
    }
  });

  it('that is killed amid compactions, again and again, loses no key and is found whole', async () => {
    const keys = 50;
    /** Of each key: the last value that was acknowledged, and those sent after it. */
    const possible = new Map<string, Set<string>>();
    let sent = 0;
    for (let round = 0; round < 3; round += 1) {
      const { clientPort } = await startReady({ retentionCheckMs: '100' });
      const broker = processes.at(-1)!;
      const bootstrap = `127.0.0.1:${clientPort}`;
      const client = new MillraceClient({ bootstrap });
      if (round === 0) {
        const config = { 'cleanup.policy': 'compact', 'min.cleanable.dirty.ratio': '0' };
        await client.admin.createTopic({ topic: 'table', config });
      }
      const producer = client.producer({ batchBytes: 20_000, deliveryTimeoutMs: 20_000 });
      const table = async (): Promise<Map<string, string>> => {
        const found = new Map<string, string>();
        for await (const { key, value } of client.consumer({ topic: 'table', stopAtEnd: true })) {
          found.set(Buffer.from(key ?? []).toString(), Buffer.from(value ?? []).toString());
        }
        return found;
      };
      const before = await table();
      expect(before.size, 'every key is there').to.equal(round === 0 ? 0 : keys);
      for (const [key, value] of before) {
        expect([...(possible.get(key) ?? [])], `${key} in round ${round}`).to.include(value);
        possible.set(key, new Set([value]));
      }
      const passes = async (): Promise<number> => {
        const { httpPort } = lineOf(broker, 'broker listens')!;
        const text = await (await fetch(`http://127.0.0.1:${httpPort}/metrics`)).text();
        return Number(/^millrace_compaction_passes_total (\d+)/m.exec(text)?.[1] ?? 0);
      };
      const update = async (): Promise<void> => {
        const sends = Array.from({ length: 500 }, async () => {
          sent += 1;
          const key = `key ${sent % keys}`;
          const value = `${sent} ${'x'.repeat(sent % 300)}`;
          const values = possible.get(key) ?? new Set<string>();
          values.add(value);
          possible.set(key, values);
          await producer.send({ topic: 'table', partition: 0, key, value });
          // What came before it in the log is over; what was sent since is not.
          for (const one of values) {
            if (one === value) break;
            values.delete(one);
          }
        });
        await Promise.all(sends);
      };
      while ((await passes()) < 2 + round) await update();
      const last = update();
      await new Promise((resolve) => setImmediate(resolve));
      broker.child.kill('SIGKILL');
      const outcome = last.catch(() => undefined);
      await client.close({ signal: AbortSignal.abort() }).catch(() => undefined);
      await outcome;
      await broker.ended;
      expect(broker.output.out).to.not.match(/damaged|fenced/);
    }
  }).timeout(180_000);

  it('gives metrics, with its event loop’s delay', async () => {
    const { httpPort } = await startReady();
    const text = await (await fetch(`http://127.0.0.1:${httpPort}/metrics`)).text();
    expect(text).to.match(/^millrace_nodejs_eventloop_lag_p99_seconds [0-9.e-]+$/m);
    expect(text).to.match(/^millrace_peer_sent_bytes_total \d+$/m);
  });

  it('says in one line which port is in use', async () => {
    const taken = net.createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as net.AddressInfo;
    for (const key of ['clientPort', 'peerPort', 'httpPort']) {
      const broker = start({ [key]: String(port), dataDir: path.join(directory, key) });
      expect(await broker.ended).to.equal(1);
      expect(broker.output.err).to.match(
        new RegExp(`^${key}: cannot listen on 127.0.0.1:${port}: .*EADDRINUSE.*\\n$`),
      );
    }
    taken.close();
  });

  it('says in one line that its data directory is in use, or another broker’s', async () => {
    await startReady();
    const second = start();
    expect(await second.ended).to.equal(1);
    expect(second.output.err).to.match(/^dataDir: cannot use [^\n]*in use[^\n]*\n$/);
    const first = processes[0]!;
    first.child.kill('SIGTERM');
    await first.ended;
    const other = start({ brokerId: '2', founders: '2@127.0.0.1:1' });
    expect(await other.ended).to.equal(1);
    expect(other.output.err).to.match(/^brokerId: 2 is not the owner of dataDir [^\n]*\n$/);
  });

  it('says in one line that its data directory belongs to another cluster', async () => {
    const first = await startReady();
    const founders = { seeds: `1@127.0.0.1:${first.peerPort}`, founders: '' };
    // Broker 2 founds a cluster of its own, and is then pointed at broker 1's.
    await startReady({
      brokerId: '2',
      dataDir: path.join(directory, '2'),
      founders: '2@127.0.0.1:1',
    });
    const lone = processes.at(-1)!;
    lone.child.kill('SIGTERM');
    await lone.ended;
    const stray = start({ brokerId: '2', dataDir: path.join(directory, '2'), ...founders });
    expect(await stray.ended).to.equal(1);
    expect(stray.output.err).to.match(OF_ANOTHER_CLUSTER);
    // A seed that does not answer, or is this broker itself, hides nothing.
    const seeds = `${founders.seeds},2@127.0.0.1:1,3@127.0.0.1:1`;
    const again = start({ brokerId: '2', dataDir: path.join(directory, '2'), ...founders, seeds });
    expect(await again.ended).to.equal(1);
    expect(again.output.err).to.match(OF_ANOTHER_CLUSTER);
  });

  it('says in one line what is wrong with its configuration', async () => {
    const broker = start({ clientPort: 'x' });
    expect(await broker.ended).to.equal(1);
    expect(broker.output.err).to.match(/^clientPort: [^\n]*\(from MILLRACE_CLIENT_PORT\)\n$/);
  });

  it('stops cleanly while it still waits for the other founders', async () => {
    const broker = start({ founders: '1@127.0.0.1:1,2@127.0.0.1:2' });
    await eventually('listening', () => lineOf(broker, 'broker listens') !== undefined, 50_000);
    broker.child.kill('SIGTERM');
    expect(await broker.ended).to.equal(0);
    expect(broker.output.err).to.equal('');
  });
});
