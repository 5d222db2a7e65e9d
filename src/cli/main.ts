#!/usr/bin/env node
import type { Io } from './io.js';
import { runCli } from './program.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const io: Io = {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  onInterrupt: (run) => {
    // The second time, the impatient user is taken at their word.
    const once = (): void => {
      stop();
      run();
    };
    const stop = (): void => {
      for (const name of SIGNALS) process.off(name, once);
    };
    for (const name of SIGNALS) process.on(name, once);
    return stop;
  },
};

// A reader of our output that went away is no reason for a stack trace.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

// Not process.exit: what was written must leave first.
process.exitCode = await runCli(io, process.argv.slice(2));
process.stdin.destroy();
