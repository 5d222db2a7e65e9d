import type { Call, CompletionType } from '../../test/checker/line.js';

interface Commit {
  readonly offsets: ReadonlyMap<string, number>;
  /** The highest that was acknowledged when it was made, by key. */
  readonly floors: ReadonlyMap<string, number>;
}

/** Watches that what a group acknowledged as committed is never committed lower by who comes later. */
export class CommittedOffsets {
  backwards = 0;
  private readonly highest = new Map<string, number>();
  private readonly open = new Map<number, Commit>();

  invoked(p: number, call: Call): void {
    if (call.f !== 'commit') return;
    const offsets = new Map(Object.entries(call.offs));
    const floors = new Map([...offsets.keys()].map((key) => [key, this.highest.get(key) ?? 0]));
    this.open.set(p, { offsets, floors });
  }

  completed(p: number, type: CompletionType): void {
    const commit = this.open.get(p);
    this.open.delete(p);
    if (commit === undefined || type !== 'ok') return;
    for (const [key, offset] of commit.offsets) {
      if (offset < (commit.floors.get(key) ?? 0)) this.backwards += 1;
      this.highest.set(key, Math.max(this.highest.get(key) ?? 0, offset));
    }
  }
}
