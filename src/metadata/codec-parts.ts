import { hexOf, MalformedBytesError, type ByteReader, type ByteWriter } from '../base/bytes.js';
import { sortedStringKeys } from '../base/collections.js';
import { brokerId, topicId, type BrokerId, type TopicId } from '../model/ids.js';
import { isTopicId } from './names.js';

// Pieces of all that the metadata writes: the log, its snapshots and the messages between brokers.

export function writeList<T>(
  w: ByteWriter,
  items: readonly T[],
  write: (to: ByteWriter, item: T) => unknown,
): void {
  w.uvarint(items.length);
  for (const item of items) write(w, item);
}

export function readList<T>(r: ByteReader, read: (from: ByteReader) => T): T[] {
  const count = r.uvarint();
  if (count > r.remaining) throw new MalformedBytesError(`${count} items in too few bytes`);
  const items: T[] = [];
  for (let i = 0; i < count; i += 1) items.push(read(r));
  return items;
}

export function writeIds(w: ByteWriter, ids: readonly number[]): void {
  writeList(w, ids, (to, id) => to.uvarint(id));
}

export function readBrokerIds(r: ByteReader): BrokerId[] {
  return readList(r, (from) => brokerId(from.uvarint()));
}

/** In ascending order of keys, so that equal maps have equal bytes. */
export function writeStringMap(w: ByteWriter, map: ReadonlyMap<string, string>): void {
  writeList(w, sortedStringKeys(map), (to, key) => to.string(key).string(map.get(key) ?? ''));
}

export function readStringMap(r: ByteReader): Map<string, string> {
  return new Map(readList(r, (from): [string, string] => [from.string(), from.string()]));
}

export function writeTopicId(w: ByteWriter, id: TopicId): void {
  if (!isTopicId(id)) throw new MalformedBytesError(`not a topic id: ${id}`);
  for (let i = 0; i < 32; i += 2) w.u8(Number.parseInt(id.slice(i, i + 2), 16));
}

export function readTopicId(r: ByteReader): TopicId {
  return topicId(hexOf(r.raw(16)));
}
