/**
 * A running digest of everything that happened, in order. Two runs of one seed must end with the
 * same digest; a difference means that something outside the seed decided.
 */
export class TraceHash {
  private a = 0x9e3779b9 | 0;
  private b = 0x85ebca6b | 0;

  add(...numbers: readonly number[]): void {
    for (const number of numbers) {
      this.word(number | 0);
      const high = Math.floor(number / 0x1_0000_0000);
      if (high !== 0) this.word(high | 0);
    }
  }

  addText(text: string): void {
    for (let i = 0; i < text.length; i += 1) this.word(text.charCodeAt(i));
  }

  /** Sixteen hex digits. */
  digest(): string {
    const hex = (n: number): string => (n >>> 0).toString(16).padStart(8, '0');
    return hex(this.a) + hex(this.b);
  }

  private word(word: number): void {
    this.a = Math.imul((this.a ^ word) + 0x165667b1, 0xcc9e2d51);
    this.a ^= this.a >>> 15;
    this.b = Math.imul((this.b + word) ^ (this.a << 7), 0x1b873593);
    this.b ^= this.b >>> 13;
  }
}
