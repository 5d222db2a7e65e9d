import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Command } from 'commander';
import { MillraceClient } from '../../client/index.js';
import { CommandError, Output, UsageError, table, type Io } from '../io.js';
import { LocalCluster, type LocalBroker } from '../local-cluster.js';
import { command, wholeNumber } from '../options.js';
import { runTour } from '../tour.js';

interface LocalOptions {
  readonly dir?: string;
  readonly json?: boolean;
}

interface StartOptions extends LocalOptions {
  readonly brokers: number;
  readonly clientPort: number;
  readonly peerPort: number;
  readonly httpPort: number;
  readonly foreground?: boolean;
  readonly tour?: boolean | string;
}

const WATCH_MS = 500;

/** millrace local start|stop|status|kill|restart */
export function localCommand(io: Io): Command {
  return new Command('local')
    .description('run a cluster of broker processes on this machine')
    .addCommand(startCommand(io))
    .addCommand(stopCommand(io))
    .addCommand(statusCommand(io))
    .addCommand(killCommand(io))
    .addCommand(restartCommand(io));
}

function localLeaf(name: string, description: string): Command {
  return command(name, description).option(
    '--dir <path>',
    'where its files are (or MILLRACE_LOCAL_DIR; default ./.millrace/local)',
  );
}

function dirOf(io: Io, options: LocalOptions): string {
  return path.resolve(options.dir ?? io.env['MILLRACE_LOCAL_DIR'] ?? '.millrace/local');
}

function startCommand(io: Io): Command {
  const port = wholeNumber(1, 65_000);
  return localLeaf('start', 'start the brokers that do not run, and wait until they are ready')
    .option('--brokers <n>', 'how many, for a new cluster', wholeNumber(1, 9), 3)
    .option('--client-port <n>', 'of broker 1; the others follow', port, 7_401)
    .option('--peer-port <n>', 'of broker 1; the others follow', port, 7_501)
    .option('--http-port <n>', 'of broker 1; the others follow', port, 7_601)
    .option('--foreground', 'stay, and stop them all on Ctrl-C')
    .option('--tour [file]', 'run the tour instead, on a cluster of its own, then end')
    .action(async (options: StartOptions) => {
      const out = new Output(io, options.json === true);
      if (options.tour !== undefined && options.tour !== false) {
        await runTour(io, out, typeof options.tour === 'string' ? options.tour : undefined);
        return;
      }
      await start(io, out, options);
    });
}

async function start(io: Io, out: Output, options: StartOptions): Promise<void> {
  const dir = dirOf(io, options);
  const known = LocalCluster.open(dir);
  const cluster = known ?? create(dir, options);
  const interrupt = new AbortController();
  const unlisten = io.onInterrupt(() => interrupt.abort());
  try {
    const started = await cluster.start().catch((thrown: unknown) => {
      // Nothing was started: the next attempt may choose other ports.
      if (known === undefined) cluster.forget();
      throw thrown;
    });
    try {
      await cluster.ready();
    } catch (thrown) {
      await cluster.stop(started);
      throw thrown;
    }
    out.result(await statusOf(cluster), () => welcome(cluster, options.foreground === true));
    if (options.foreground !== true) return;
    const running = new Set(cluster.brokers.map((b) => b.id));
    while (!interrupt.signal.aborted) {
      report(out, cluster, running);
      await pause(WATCH_MS, undefined, { signal: interrupt.signal }).catch(() => undefined);
    }
    out.note('stopping ...');
    await cluster.stop();
    out.note('stopped');
  } finally {
    unlisten();
  }
}

function create(dir: string, options: StartOptions): LocalCluster {
  const { brokers, clientPort, peerPort, httpPort } = options;
  const ports = Array.from({ length: brokers }, (_, i) => ({
    client: clientPort + i,
    peer: peerPort + i,
    http: httpPort + i,
  }));
  const all = ports.flatMap((p) => [p.client, p.peer, p.http]);
  if (new Set(all).size !== all.length) throw new UsageError('the ranges of ports overlap');
  return LocalCluster.create(dir, { brokers, ports });
}

/** Says who came and who went since the last time. */
function report(out: Output, cluster: LocalCluster, running: Set<number>): void {
  for (const b of cluster.brokers) {
    const isRunning = cluster.pidOf(b) !== undefined;
    if (isRunning === running.has(b.id)) continue;
    if (isRunning) running.add(b.id);
    else running.delete(b.id);
    const what = isRunning ? 'runs again' : `ended; millrace local restart ${b.id} starts it again`;
    out.note(`broker ${b.id} ${what}`);
  }
}

function welcome(cluster: LocalCluster, isForeground: boolean): string[] {
  const isDefault = cluster.brokers[0]?.clientPort === 7_401 && cluster.brokers.length === 3;
  const run = isDefault ? 'npx millrace' : `MILLRACE_BOOTSTRAP=${cluster.bootstrap} npx millrace`;
  return [
    ...table(
      ['BROKER', 'CLIENTS', 'PEERS', 'HTTP', 'PID'],
      cluster.brokers.map((b) => [
        String(b.id),
        `127.0.0.1:${b.clientPort}`,
        `127.0.0.1:${b.peerPort}`,
        `http://127.0.0.1:${b.httpPort}/metrics`,
        String(cluster.pidOf(b) ?? '-'),
      ]),
    ),
    '',
    `${cluster.brokers.length} broker(s) are ready; data and logs are in ${cluster.dir}`,
    '',
    `Try next${isForeground ? ', in another terminal' : ''}:`,
    `  ${run} topic create logs --partitions 12${cluster.brokers.length >= 3 ? ' --replication-factor 3' : ''}`,
    `  ${run} produce logs --file package-lock.json --raw`,
    `  ${run} topic describe logs`,
    `  npx millrace local kill 1`,
    `  ${run} consume logs --from-beginning --exit-at-end --raw | wc -c`,
    ...(isForeground ? ['', 'Ctrl-C stops them.'] : ['  npx millrace local stop']),
  ];
}

async function statusOf(cluster: LocalCluster): Promise<unknown> {
  const brokers = await Promise.all(
    cluster.brokers.map(async (b) => ({
      ...b,
      pid: cluster.pidOf(b),
      health: await cluster.health(b),
    })),
  );
  return { dir: cluster.dir, bootstrap: cluster.bootstrap, brokers };
}

function stopCommand(io: Io): Command {
  return localLeaf('stop', 'stop all brokers; their data stays').action(
    async (options: LocalOptions) => {
      const cluster = LocalCluster.mustOpen(dirOf(io, options));
      const running = cluster.brokers.filter((b) => cluster.pidOf(b) !== undefined);
      await cluster.stop();
      new Output(io, options.json === true).result({ stopped: running.map((b) => b.id) }, () => [
        running.length === 0 ? 'none was running' : `stopped ${running.length} broker(s)`,
      ]);
    },
  );
}

function statusCommand(io: Io): Command {
  return localLeaf('status', 'which brokers run, and where').action(
    async (options: LocalOptions) => {
      const cluster = LocalCluster.mustOpen(dirOf(io, options));
      const health = await Promise.all(cluster.brokers.map(async (b) => await cluster.health(b)));
      const led = await leaderships(cluster);
      const out = new Output(io, options.json === true);
      const status = await statusOf(cluster);
      out.result(status, () =>
        table(
          ['BROKER', 'STATE', 'PID', 'CLIENTS', 'HTTP', 'LEADS', 'LOG'],
          cluster.brokers.map((b, i) => [
            String(b.id),
            health[i],
            String(cluster.pidOf(b) ?? '-'),
            `127.0.0.1:${b.clientPort}`,
            `127.0.0.1:${b.httpPort}`,
            led.get(b.id),
            b.logFile,
          ]),
        ),
      );
    },
  );
}

/** How many partitions each broker leads; empty if nobody answers. */
async function leaderships(cluster: LocalCluster): Promise<Map<number, number>> {
  const led = new Map<number, number>();
  if (!cluster.brokers.some((b) => cluster.pidOf(b) !== undefined)) return led;
  const client = new MillraceClient({ bootstrap: cluster.bootstrap, timeoutMs: 2_000 });
  try {
    const { topics } = await client.admin.metadata({ linearizable: false });
    for (const b of cluster.brokers) if (cluster.pidOf(b) !== undefined) led.set(b.id, 0);
    for (const p of topics.flatMap((t) => t.partitions)) {
      if (p.leader !== undefined) led.set(p.leader, (led.get(p.leader) ?? 0) + 1);
    }
  } catch {
    // The table then has dashes.
  } finally {
    await client.close();
  }
  return led;
}

function killCommand(io: Io): Command {
  return localLeaf('kill', 'kill -9 a broker: it gets no chance to say goodbye')
    .argument('<broker>', '', wholeNumber(1))
    .action(async (id: number, options: LocalOptions) => {
      const cluster = LocalCluster.mustOpen(dirOf(io, options));
      const pid = await cluster.kill(cluster.broker(id));
      new Output(io, options.json === true).result({ broker: id, pid }, () => [
        `killed broker ${id} (pid ${pid}); millrace local restart ${id} starts it again`,
      ]);
    });
}

function brokerIds(text: string, before: readonly number[] = []): readonly number[] {
  return [...before, wholeNumber(1)(text)];
}

function restartCommand(io: Io): Command {
  return localLeaf('restart', 'stop brokers if they run, start them, wait until they are ready')
    .argument('[broker...]', 'default: all, one after the other', brokerIds)
    .action(async (ids: readonly number[], options: LocalOptions) => {
      const cluster = LocalCluster.mustOpen(dirOf(io, options));
      const brokers: readonly LocalBroker[] =
        ids.length === 0 ? cluster.brokers : ids.map((id) => cluster.broker(id));
      for (const broker of brokers) {
        await cluster.stop([broker]);
        await cluster.start([broker]);
        await cluster.ready([broker]);
      }
      const pids = brokers.map((b) => ({ broker: b.id, pid: cluster.pidOf(b) }));
      if (pids.some((p) => p.pid === undefined)) throw new CommandError('a broker ended again');
      new Output(io, options.json === true).result(pids, () =>
        pids.map((p) => `broker ${p.broker} runs (pid ${p.pid ?? 0})`),
      );
    });
}
