import { expect } from 'chai';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import process from 'node:process';

/** Runs a program until it has acknowledged `count` things, kills it, tells the last one. */
export async function killAfter(
  program: string,
  directory: string,
  count: number,
  options: {
    readonly env?: Readonly<Record<string, string>>;
    readonly whileRunning?: () => Promise<void>;
  } = {},
): Promise<{ opened: string; acknowledged: number }> {
  const child = spawn(process.execPath, ['--import', 'tsx', program, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...options.env },
  });
  let opened = '';
  let acknowledged = 0;
  let seen = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    if (opened === '') {
      opened = line;
      await options.whileRunning?.();
      continue;
    }
    acknowledged = Number(line);
    seen += 1;
    if (seen === count) child.kill('SIGKILL');
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  expect(child.signalCode).to.equal('SIGKILL');
  return { opened, acknowledged };
}
