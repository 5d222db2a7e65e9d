import { spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

import { ANSWER_MS, type Case } from './case.js';
import type { Patient } from './patient.js';

const CLI = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export async function run(
  args: readonly string[],
  stdin: string | Uint8Array = '',
): Promise<Ended> {
  const child = spawn(process.execPath, [CLI, ...args], { stdio: 'pipe' });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  child.stdin.on('error', () => undefined);
  child.stdin.end(stdin);
  const killer = setTimeout(() => child.kill('SIGKILL'), ANSWER_MS + 1_000);
  const [code] = (await once(child, 'close')) as [number | null];
  clearTimeout(killer);
  return { code, out, err };
}

/** A command line that must fail: exit code and what it says. */
export function command(
  patient: Patient,
  input: string,
  expected: RegExp,
  args: readonly string[],
  stdin?: string | Uint8Array,
): Case {
  return {
    input,
    expected,
    answer: async () => {
      const bootstrap = ['--bootstrap', patient.cluster.bootstrap.join(',')];
      const { code, err } = await run([...args, ...bootstrap], stdin);
      return `exit ${code ?? 'by signal'}: ${err.trim()}`;
    },
  };
}
