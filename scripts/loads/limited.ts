/** Runs it for each item, at most `limit` at a time; the first failure is the whole's. */
export async function forEachLimited<Item>(
  items: Iterable<Item>,
  limit: number,
  run: (item: Item) => Promise<void>,
): Promise<void> {
  const iterator = items[Symbol.iterator]();
  const lane = async (): Promise<void> => {
    for (let next = iterator.next(); next.done !== true; next = iterator.next()) {
      await run(next.value);
    }
  };
  await Promise.all(Array.from({ length: limit }, lane));
}
