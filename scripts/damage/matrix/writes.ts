import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, statfsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

import { FaultShim } from '../../lib/fault-shim/fault-shim.js';
import { SmallVolume } from '../small-volume.js';
import { NO_TALLY, sumOf, type Remark, type Tally } from './protocol.js';
import type { MatrixRow } from './table.js';
import type { WriteVerdict } from './write-case.js';
import type { FromWriter, ToWriter } from './writer.js';

const PROGRAM = fileURLToPath(new URL('./writer.ts', import.meta.url));
const VOLUME_BYTES = 24 << 20;
const VOLUME_BYTES_AFTER = 64 << 20;
/** From making the store itself to several tables and compactions. */
const FREE_BYTES_MIN = 64 * 1024;
const FREE_BYTES_STEP = 8 * 1024;
/** So many more syncs succeed at each point than at the one before. */
const SYNCS_STEP = 3;

export interface WriteOptions {
  readonly points: number;
  readonly seed: number;
  readonly scratch: string;
  readonly isOver: () => boolean;
  say(text: string): void;
}

/** A disk that is full at one point after another, then has room again and is written to for long. */
export async function diskFullRow(
  options: WriteOptions & { readonly writeMinutes: number },
): Promise<MatrixRow> {
  const row = { row: 'disk-full', of: options.points };
  const volume = SmallVolume.mount(path.join(options.scratch, 'volume'), VOLUME_BYTES);
  if (typeof volume === 'string') return { ...row, ...NOTHING, skipped: volume };
  const ballast = path.join(volume.directory, 'ballast');
  const writer = new Writer({});
  try {
    const found = await cases(options, volume.directory, writer, {
      begin: (at) => {
        const { bavail, bsize } = statfsSync(volume.directory);
        const fill = bavail * bsize - FREE_BYTES_MIN - at * FREE_BYTES_STEP;
        writeFileSync(ballast, new Uint8Array(Math.max(0, fill)));
      },
      calm: () => rmSync(ballast),
    });
    volume.resize(VOLUME_BYTES_AFTER);
    const { writes, wrong } = await writer.writeFor(options.writeMinutes * 60_000);
    options.say(
      `disk-full: ${writes} more writes in ${options.writeMinutes} min: ${wrong || 'well'}`,
    );
    const remark: Remark = { case: options.points, outcome: 'silent', text: wrong };
    const after = { ...NO_TALLY, outcomes: { silent: 1 }, remarks: [remark] };
    return { ...row, ...found, tally: wrong === '' ? found.tally : sumOf(found.tally, after) };
  } finally {
    await writer.end();
    volume.unmount();
  }
}

/** A sync that fails once, one point after another. */
export async function syncErrorRow(options: WriteOptions): Promise<MatrixRow> {
  const row = { row: 'sync-error', of: options.points };
  const under = path.join(options.scratch, 'syncs');
  const shim = FaultShim.make({ under, directory: `${under}-shim` });
  if (typeof shim === 'string') return { ...row, ...NOTHING, skipped: shim };
  const writer = new Writer(shim.environment);
  try {
    const found = await cases(options, under, writer, {
      // Every third point may hit the state file, whose loss ends a broker; the others one replica.
      begin: (at, name) => {
        shim.aim(at % 3 === 2 ? name : path.join(name, 'replicas'));
        shim.failSyncs({ passes: at * SYNCS_STEP, times: at % 2 === 0 ? 1 : 1_000 });
      },
      calm: () => shim.calm(),
    });
    return { ...row, ...found };
  } finally {
    await writer.end();
  }
}

const NOTHING = { tally: NO_TALLY, ackedAfterError: 0, skipped: undefined };

async function cases(
  options: WriteOptions,
  under: string,
  writer: Writer,
  disk: { begin(at: number, name: string): void; calm(): void },
): Promise<Pick<MatrixRow, 'tally' | 'ackedAfterError' | 'skipped'>> {
  let tally = NO_TALLY;
  let ackedAfterError = 0;
  for (let at = 0; at < options.points && !options.isOver(); at += 1) {
    const name = `case-${at}`;
    const directory = path.join(under, name);
    const began = performance.now();
    // The last one stays: it is written to for long.
    rmSync(path.join(under, `case-${at - 1}`), { recursive: true, force: true });
    disk.begin(at, name);
    const seed = options.seed + at;
    const verdict = await writer.run({ kind: 'case', directory, seed }, () => disk.calm());
    if (!verdict.hasFailed && verdict.outcome === 'intact') continue;
    ackedAfterError += verdict.ackedAfterError;
    tally = sumOf(tally, tallyOf(at, verdict, performance.now() - began));
  }
  return { tally, ackedAfterError, skipped: undefined };
}

function tallyOf(at: number, verdict: WriteVerdict, ms: number): Tally {
  const { outcome, detail, acknowledged } = verdict;
  const isOdd = outcome !== 'intact' || verdict.ackedAfterError > 0;
  const text = `${acknowledged} acknowledged: ${detail}`;
  return {
    ...NO_TALLY,
    cases: 1,
    outcomes: { [outcome]: 1 },
    ms,
    remarks: isOdd ? [{ case: at, outcome, text }] : [],
    reasons: { [detail.replaceAll(/\/\S+|\d+/g, '#')]: 1 },
  };
}

/** The process that writes. */
class Writer {
  private readonly child: ChildProcess;

  constructor(environment: Readonly<Record<string, string>>) {
    const env = { ...process.env, ...environment };
    this.child = fork(PROGRAM, { execArgv: ['--import', 'tsx'], stdio: 'inherit', env });
  }

  async run(message: ToWriter, calm: () => void): Promise<WriteVerdict> {
    this.child.send(message);
    for (;;) {
      const answer = await this.next();
      if (answer.kind === 'verdict') return answer.verdict;
      if (answer.kind !== 'failed') throw new Error(`the writer said ${answer.kind}`);
      calm();
      this.child.send({ kind: 'calm' } satisfies ToWriter);
    }
  }

  async writeFor(ms: number): Promise<{ readonly writes: number; readonly wrong: string }> {
    this.child.send({ kind: 'writeFor', ms } satisfies ToWriter);
    const answer = await this.next();
    return answer.kind === 'written' ? answer : { writes: 0, wrong: `said ${answer.kind}` };
  }

  async end(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    if (this.child.connected) this.child.disconnect();
    await once(this.child, 'exit');
  }

  private async next(): Promise<FromWriter> {
    const abort = new AbortController();
    const { signal } = abort;
    const ended = once(this.child, 'exit', { signal }).then(([code, by]) => {
      throw new Error(`the writer ended: ${String(code ?? by)}`);
    });
    const told = once(this.child, 'message', { signal }).then(([message]) => message as FromWriter);
    try {
      return await Promise.race([told, ended]);
    } finally {
      abort.abort();
      await Promise.allSettled([told, ended]);
    }
  }
}
