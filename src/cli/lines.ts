const NEWLINE = 0x0a;
const RETURN = 0x0d;

/** Takes one line as source[start, end). A promise means: wait before the next one. */
export type LineTaker = (
  source: Uint8Array,
  start: number,
  end: number,
) => Promise<void> | undefined;

/**
 * Cuts a stream of bytes into lines, without looking at anything but line ends: what is between is
 * not text to it. With `keepsEnds`, the lines put together again are the input, byte for byte: each
 * has its own line end, and the last one may have none. Without, LF and CR LF are taken off.
 */
export class LineSplitter {
  private readonly take: LineTaker;
  private readonly keepsEnds: boolean;
  /** The beginning of a line whose end has not come yet. */
  private pieces: Uint8Array[] = [];

  constructor(take: LineTaker, keepsEnds: boolean) {
    this.take = take;
    this.keepsEnds = keepsEnds;
  }

  async push(chunk: Buffer): Promise<void> {
    let start = 0;
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, start)) {
      const end = at + 1;
      const wait =
        this.pieces.length === 0
          ? this.line(chunk, start, end)
          : this.joined(chunk.subarray(start, end));
      start = end;
      if (wait !== undefined) await wait;
    }
    // Copied: the caller may use its buffer again.
    if (start < chunk.length) this.pieces.push(Uint8Array.from(chunk.subarray(start)));
  }

  /** The last line, if it has no line end. */
  async end(): Promise<void> {
    if (this.pieces.length === 0) return;
    const wait = this.joined(new Uint8Array());
    if (wait !== undefined) await wait;
  }

  private joined(rest: Uint8Array): Promise<void> | undefined {
    const whole = Buffer.concat([...this.pieces, rest]);
    this.pieces = [];
    return this.line(whole, 0, whole.length);
  }

  private line(source: Uint8Array, start: number, end: number): Promise<void> | undefined {
    if (this.keepsEnds) return this.take(source, start, end);
    let last = end;
    if (last > start && source[last - 1] === NEWLINE) {
      last -= 1;
      if (last > start && source[last - 1] === RETURN) last -= 1;
    }
    return this.take(source, start, last);
  }
}
