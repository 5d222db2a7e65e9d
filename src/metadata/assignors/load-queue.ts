/** Something that carries a load, which may change at any time. */
export interface Loaded {
  readonly load: number;
  /** Decides between equal loads: the lower comes first. */
  readonly index: number;
}

export type LoadOrder = 'least' | 'most';

/**
 * Gives the least loaded, or the most. A heap that learns of a changed load when the item comes first:
 * an item whose load grows in a queue for the least, or shrinks in one for the most, is always given
 * when it is its turn; another one may be given late.
 */
export class LoadQueue<T extends Loaded> {
  private readonly order: LoadOrder;
  private readonly items: T[];
  /** Load of each item when it was put in its place. */
  private readonly loads: number[];

  constructor(items: readonly T[], order: LoadOrder) {
    this.order = order;
    this.items = [...items];
    this.loads = items.map(({ load }) => load);
    for (let at = (this.items.length >>> 1) - 1; at >= 0; at -= 1) this.sink(at);
  }

  first(): T | undefined {
    for (;;) {
      const item = this.items[0];
      if (item === undefined || item.load === this.loads[0]) return item;
      this.loads[0] = item.load;
      this.sink(0);
    }
  }

  dropFirst(): void {
    const item = this.items.pop();
    const load = this.loads.pop();
    if (item === undefined || load === undefined || this.items.length === 0) return;
    this.items[0] = item;
    this.loads[0] = load;
    this.sink(0);
  }

  private sink(from: number): void {
    let at = from;
    for (;;) {
      let next = at;
      for (let child = 2 * at + 1; child <= 2 * at + 2; child += 1) {
        if (child < this.items.length && this.isBefore(child, next)) next = child;
      }
      if (next === at) return;
      swap(this.items, at, next);
      swap(this.loads, at, next);
      at = next;
    }
  }

  private isBefore(a: number, b: number): boolean {
    const [loadA = 0, loadB = 0] = [this.loads[a], this.loads[b]];
    if (loadA === loadB) return (this.items[a]?.index ?? 0) < (this.items[b]?.index ?? 0);
    return this.order === 'least' ? loadA < loadB : loadA > loadB;
  }
}

function swap(list: unknown[], a: number, b: number): void {
  [list[a], list[b]] = [list[b], list[a]];
}
