import { execFileSync } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

import { playPowerCut, type PowerCut, type PowerCutOptions } from './power-cut.js';

const SOURCE = fileURLToPath(new URL('shim.c', import.meta.url));
const FLAGS = ['-O2', '-fPIC', '-shared', '-w'];
const LIBRARIES = ['-ldl', '-lpthread'];
const COMPILE_MS_MAX = 60_000;

/** As shim.c has it. */
const MAGIC = 0x4d5246534849000an;
const CONTROL_BYTES = 4096;
const PREFIX_AT = 512;
const PREFIX_BYTES_MAX = 2048;
const AT = {
  syncFails: 8,
  syncPasses: 16,
  syncErrno: 24,
  syncDelayMs: 32,
  syncHangs: 40,
  writeFails: 48,
  writeErrno: 56,
  clockOffsetNs: 64,
} as const;
const COUNTS_AT = {
  syncs: 128,
  syncsFailed: 136,
  syncsDelayed: 144,
  syncsHanging: 152,
  writes: 160,
  writesFailed: 168,
  clockShifted: 176,
  processes: 184,
} as const;

export type DiskError = 'EIO' | 'ENOSPC' | 'EROFS';

/** What the library did so far; `syncsHanging` is now. */
export type ShimCounts = { readonly [name in keyof typeof COUNTS_AT]: number };

/**
 * The compiled library, made once a machine and kept in the temporary folder. A string in `missing`
 * says why there is none here.
 */
export function faultLibrary(): { readonly file: string } | { readonly missing: string } {
  if (process.platform !== 'linux') return { missing: `LD_PRELOAD is not for ${process.platform}` };
  const source = readFileSync(SOURCE);
  const key = createHash('sha256')
    .update(source)
    .update(FLAGS.join(' '))
    .digest('hex')
    .slice(0, 16);
  const file = path.join(os.tmpdir(), `millrace-fault-shim-${os.userInfo().uid}-${key}.so`);
  if (existsSync(file)) return { file };
  const compiled = `${file}.${process.pid}`;
  try {
    execFileSync('cc', [...FLAGS, '-o', compiled, SOURCE, ...LIBRARIES], {
      stdio: 'pipe',
      timeout: COMPILE_MS_MAX,
    });
    renameSync(compiled, file);
    return { file };
  } catch (error) {
    rmSync(compiled, { force: true });
    const text = error instanceof Error ? error.message.trim() : String(error);
    return { missing: `cc does not compile it: ${text.split('\n').slice(0, 3).join(' ')}` };
  }
}

/**
 * The disk below one directory and the wall clock, as one process sees them, under our command. The
 * process is started with `environment`; what is set holds from then on, for processes that run and
 * for those that are started later.
 *
 * Invariant: whoever plays a power cut has killed every process of this shim before.
 */
export class FaultShim {
  readonly environment: Readonly<Record<string, string>>;
  private readonly under: string;
  private readonly journal: string;
  private readonly bootIdFile: string;
  private readonly control: number;

  private constructor(library: string, under: string, directory: string) {
    this.under = under;
    this.journal = path.join(directory, 'journal');
    this.bootIdFile = path.join(directory, 'boot-id');
    const controlFile = path.join(directory, 'control');
    mkdirSync(path.join(this.journal, 'attic'), { recursive: true });
    const bytes = Buffer.alloc(CONTROL_BYTES);
    bytes.writeBigInt64LE(MAGIC, 0);
    writeFileSync(controlFile, bytes);
    writeFileSync(this.bootIdFile, `${randomUUID()}\n`);
    this.control = openSync(controlFile, 'r+');
    this.environment = {
      LD_PRELOAD: library,
      FAULT_SHIM_CONTROL: controlFile,
      FAULT_SHIM_UNDER: under,
      FAULT_SHIM_JOURNAL: this.journal,
      FAULT_SHIM_BOOT_ID: this.bootIdFile,
    };
  }

  /**
   * For files under `under`. `directory` is for the shim's own files, and on the same volume, or removed
   * files cannot come back with a power cut. A sentence if there is no compiler or no LD_PRELOAD here.
   */
  static make(options: { readonly under: string; readonly directory: string }): FaultShim | string {
    const library = faultLibrary();
    if ('missing' in library) return library.missing;
    mkdirSync(options.under, { recursive: true });
    mkdirSync(options.directory, { recursive: true });
    const directory = realpathSync(options.directory);
    return new FaultShim(library.file, realpathSync(options.under), directory);
  }

  /** Failing syncs and writes, delays and hangs are for files whose path begins so; all if left out. */
  aim(at = ''): void {
    const prefix = at === '' ? '' : path.resolve(this.under, at);
    const bytes = Buffer.alloc(PREFIX_BYTES_MAX);
    if (bytes.write(prefix) !== Buffer.byteLength(prefix)) throw new Error('the path is too long');
    writeSync(this.control, bytes, 0, bytes.length, PREFIX_AT);
  }

  /** So many syncs pass, so many fail. Forever if `times` is left out; 0 makes it whole again. */
  failSyncs(
    how: { readonly passes?: number; readonly times?: number; readonly error?: DiskError } = {},
  ): void {
    this.set('syncErrno', os.constants.errno[how.error ?? 'EIO']);
    this.set('syncPasses', how.passes ?? 0);
    this.set('syncFails', how.times ?? -1);
  }

  /** ENOSPC is for writes that make a file longer. */
  failWrites(how: { readonly times?: number; readonly error?: DiskError } = {}): void {
    this.set('writeErrno', os.constants.errno[how.error ?? 'EIO']);
    this.set('writeFails', how.times ?? -1);
  }

  delaySyncs(ms: number): void {
    this.set('syncDelayMs', ms);
  }

  /** Syncs wait until this is taken back, then do what they should. */
  hangSyncs(isHanging: boolean): void {
    this.set('syncHangs', isHanging ? 1 : 0);
  }

  shiftClock(ms: number): void {
    this.set('clockOffsetNs', ms * 1e6);
  }

  /** Everything as it should be. */
  calm(): void {
    this.failSyncs({ times: 0 });
    this.failWrites({ times: 0 });
    this.delaySyncs(0);
    this.hangSyncs(false);
    this.shiftClock(0);
  }

  counts(): ShimCounts {
    const bytes = Buffer.alloc(PREFIX_AT);
    readSync(this.control, bytes, 0, bytes.length, 0);
    const entries = Object.entries(COUNTS_AT).map(([name, at]) => [
      name,
      Number(bytes.readBigInt64LE(at)),
    ]);
    return Object.fromEntries(entries) as ShimCounts;
  }

  /** The machine lost power: what was not synced is gone, and the next process meets another boot. */
  powerCut(options: PowerCutOptions): PowerCut {
    const cut = playPowerCut(this.under, this.journal, options);
    writeFileSync(this.bootIdFile, `${randomUUID()}\n`);
    return cut;
  }

  close(): void {
    closeSync(this.control);
  }

  private set(name: keyof typeof AT, value: number): void {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(Math.round(value)));
    writeSync(this.control, bytes, 0, bytes.length, AT[name]);
  }
}
