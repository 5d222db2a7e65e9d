/**
 * A list that grows at its end and shrinks at both. Constant time for all of it, on average; a place
 * that is given up is emptied at once, so that nothing lives longer than it is in here.
 */
export class Deque<T> {
  /** Everything before `head` is given up. */
  private items: (T | undefined)[] = [];
  private head = 0;

  get length(): number {
    return this.items.length - this.head;
  }

  /** Counted from the front; undefined outside. */
  at(position: number): T | undefined {
    return position < 0 ? undefined : this.items[this.head + position];
  }

  push(item: T): void {
    this.items.push(item);
  }

  /** Takes out the first. */
  shift(): T | undefined {
    if (this.length === 0) return undefined;
    const item = this.items[this.head];
    this.items[this.head] = undefined;
    this.head += 1;
    // Moving the rest costs no more than the giving up of as many places did.
    if (this.head * 2 >= this.items.length) {
      this.items = this.items.slice(this.head);
      this.head = 0;
    }
    return item;
  }

  /** Takes out the last. */
  pop(): T | undefined {
    return this.length === 0 ? undefined : this.items.pop();
  }

  /** A copy of [from, to), counted from the front. */
  slice(from: number, to: number): T[] {
    return this.items.slice(this.head + from, this.head + to) as T[];
  }

  /** Takes out everything. */
  clear(): T[] {
    const all = this.items.slice(this.head) as T[];
    this.items = [];
    this.head = 0;
    return all;
  }
}
