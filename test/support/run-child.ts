import { spawn } from 'node:child_process';
import process from 'node:process';

/** Runs Node with these arguments to its end, or kills it then: how it ended and all that it wrote. */
export async function runNode(
  args: readonly string[],
  options: { readonly withinMs: number; readonly cwd?: string },
): Promise<{ readonly code: number | null; readonly output: string }> {
  const child = spawn(process.execPath, args, {
    cwd: options.cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  }
  const killer = setTimeout(() => child.kill('SIGKILL'), options.withinMs);
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  clearTimeout(killer);
  return { code, output };
}
