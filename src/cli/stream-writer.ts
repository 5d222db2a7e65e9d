import { once } from 'node:events';
import type { Writable } from 'node:stream';

/**
 * Writes to a stream that may be slow or go away: waits while it is full, and takes a closed pipe
 * (`millrace consume ... | head`) as a wish to stop, not as an error.
 */
export class StreamWriter {
  private readonly stream: Writable;
  private failure: Error | undefined;
  private isGone = false;

  constructor(stream: Writable) {
    this.stream = stream;
    stream.on('error', (error: NodeJS.ErrnoException) => {
      this.isGone = true;
      if (error.code !== 'EPIPE') this.failure = error;
    });
    stream.on('close', () => {
      this.isGone = true;
    });
  }

  get isClosed(): boolean {
    return this.isGone;
  }

  /** Resolves once there is room for more. Rejects if writing failed, but not for a closed pipe. */
  async write(bytes: Uint8Array): Promise<void> {
    if (!this.isGone && bytes.length > 0 && !this.stream.write(bytes)) await this.drained();
    if (this.failure !== undefined) throw this.failure;
  }

  /** Resolves once everything written has left. */
  async end(): Promise<void> {
    if (!this.isGone && this.stream.writableLength > 0) {
      await new Promise<void>((resolve) => this.stream.write('', () => resolve()));
    }
    if (this.failure !== undefined) throw this.failure;
  }

  private async drained(): Promise<void> {
    const abort = new AbortController();
    try {
      // A closed pipe may come as an error or as a close; neither must be waited for for ever.
      await Promise.race(
        ['drain', 'close', 'error'].map(async (event) => {
          await once(this.stream, event, { signal: abort.signal });
        }),
      );
    } catch {
      this.isGone = true;
    } finally {
      abort.abort();
    }
  }
}
