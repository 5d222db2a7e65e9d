import type { Writable } from 'node:stream';
import { PassThrough, Readable } from 'node:stream';
import type { Io } from '../../../src/cli/io.js';

/** An Io that keeps what is written. */
export class FakeIo implements Io {
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly env: Record<string, string | undefined>;
  out = '';
  err = '';
  interrupt: () => void = () => undefined;

  constructor(options: { stdin?: string; env?: Record<string, string> } = {}) {
    this.stdin = Readable.from([Buffer.from(options.stdin ?? '')]);
    this.env = options.env ?? {};
    const stdout = new PassThrough();
    stdout.on('data', (chunk: Buffer) => (this.out += chunk.toString()));
    const stderr = new PassThrough();
    stderr.on('data', (chunk: Buffer) => (this.err += chunk.toString()));
    this.stdout = stdout;
    this.stderr = stderr;
  }

  onInterrupt(run: () => void): () => void {
    this.interrupt = run;
    return () => undefined;
  }
}
