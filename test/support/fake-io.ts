import type { Writable } from 'node:stream';
import { PassThrough, Readable } from 'node:stream';
import type { Io } from '../../src/cli/io.js';

/** An Io that keeps what is written. */
export class FakeIo implements Io {
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly outBytes: Buffer[] = [];
  err = '';
  interrupt: () => void = () => undefined;

  constructor(
    options: { stdin?: string; env?: Readonly<Record<string, string | undefined>> } = {},
  ) {
    this.stdin = Readable.from([Buffer.from(options.stdin ?? '')]);
    this.env = options.env ?? {};
    const stdout = new PassThrough();
    stdout.on('data', (chunk: Buffer) => this.outBytes.push(chunk));
    const stderr = new PassThrough();
    stderr.on('data', (chunk: Buffer) => (this.err += chunk.toString()));
    this.stdout = stdout;
    this.stderr = stderr;
  }

  get out(): string {
    return Buffer.concat(this.outBytes).toString();
  }

  onInterrupt(run: () => void): () => void {
    this.interrupt = run;
    return () => undefined;
  }
}
