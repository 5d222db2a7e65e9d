/** Keys in ascending order. Sealed code iterates maps through this: insertion order is not state. */
export function sortedKeys<V>(map: ReadonlyMap<number, V>): number[] {
  return [...map.keys()].sort((a, b) => a - b);
}

/** Code-unit order, the same on every machine; never a locale's. */
export function compareStrings(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

export function sortedStringKeys<V>(map: ReadonlyMap<string, V>): string[] {
  return [...map.keys()].sort(compareStrings);
}

/** First position in [0, length) whose item is not below; `isBelow` must be true then false. */
export function lowerBound(length: number, isBelow: (at: number) => boolean): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isBelow(middle)) low = middle + 1;
    else high = middle;
  }
  return low;
}
