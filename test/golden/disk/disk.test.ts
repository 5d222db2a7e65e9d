import { expect } from 'chai';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { viewOf } from '../../../src/base/bytes.js';
import { crc32c } from '../../../src/base/crc32c.js';
import { incarnation, logIndex, raftGroupId, type Incarnation } from '../../../src/model/ids.js';
import { rewrittenEntry } from '../../../src/model/log-entry.js';
import { membershipOf } from '../../../src/model/membership.js';
import { decodeIdentity, encodeIdentity } from '../../../src/storage/broker-identity.js';
import {
  decodeStoredEntry,
  ENTRY_HEADER_BYTES,
  entryChain,
  entryKey,
  headerBytes,
  headerOf,
  writeEntryHeader,
  writeEntryValue,
} from '../../../src/storage/entry-codec.js';
import {
  decodeGenerationIdentity,
  encodeGenerationIdentity,
} from '../../../src/storage/log-map.js';
import {
  decodeFacts,
  decodeStateHeader,
  decodeWatermark,
  encodeFacts,
  encodeStateHeader,
  encodeWatermark,
  FREE_FACTS,
  SLOT_BYTES,
  type ReplicaFacts,
} from '../../../src/storage/record-codec.js';
import {
  decodeCheckpoint,
  decodeNote,
  decodeSnapshot,
  encodeCheckpoint,
  encodeNote,
  encodeSnapshot,
} from '../../../src/storage/state-files.js';
import { entry, hardState, id, IDENTITY, SPEC } from '../../conformance/broker-store.suite.js';

const FILE = new URL('./disk.golden.txt', import.meta.url);
const golden = new Map<string, string>(
  existsSync(FILE)
    ? readFileSync(FILE, 'utf8')
        .split('\n')
        .filter((line) => line !== '' && !line.startsWith('#'))
        .map((line) => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)])
    : [],
);

const LIFE: Incarnation = incarnation(0x123456789abc);
const FACTS: ReplicaFacts = {
  use: 'used',
  spec: SPEC,
  incarnation: LIFE,
  generation: 5,
  hardState: hardState(9, 2, true),
  lost: id(8, 1_000),
  snapshot: { last: id(7, 900), chain: 0x1_2345_6789_abcd },
  openingAttempts: 1,
  isCleanlyClosed: true,
  isSuspect: true,
  unsyncedBoot: 0,
  isTailLost: false,
  wasUnsynced: false,
  isGivenUp: false,
  diedUnverified: false,
};
const MARKED_FACTS: ReplicaFacts = {
  ...FACTS,
  unsyncedBoot: 0x1_2345_6789_abcd,
  isTailLost: true,
  wasUnsynced: true,
  diedUnverified: true,
};
const META = {
  last: id(7, 900),
  chain: 0x1_2345_6789_abcd,
  timeMs: 1_700_000_000_123,
  membership: membershipOf([1, 2, 3], [4]),
};
const STATE = new Uint8Array([1, 2, 3]);

function entryValue(): Uint8Array {
  const list = entry(3, 300, 'payload', 'batch');
  const header = headerOf(list, crc32c);
  const value = new Uint8Array(ENTRY_HEADER_BYTES + list.payload.length);
  const links = { runFirst: logIndex(290), membershipBefore: logIndex(12) };
  const chain = entryChain(77, header);
  writeEntryHeader(viewOf(value), 0, header, { chain, links, crc32c });
  value.set(list.payload, ENTRY_HEADER_BYTES);
  return value;
}

/** The same entry once compaction has left two bytes of it. */
function rewrittenValue(): Uint8Array {
  const list = rewrittenEntry(entry(3, 300, 'payload', 'batch'), Uint8Array.of(8, 9), crc32c);
  const header = headerOf(list, crc32c);
  const value = new Uint8Array(headerBytes(list) + list.payload.length);
  const links = { runFirst: logIndex(290), membershipBefore: logIndex(12) };
  const chain = entryChain(77, header);
  writeEntryValue(value, 0, list, { header, chain, links, crc32c });
  return value;
}

const GENERATION = { groupId: raftGroupId(7), generation: 5, incarnation: LIFE };
const WATERMARK = { generation: 5, incarnation: LIFE, last: id(9, 1_234), chain: 42 };

/** Every format on disk, as version 2 of the format has it. Slots without their zeros. */
const FORMATS: Readonly<Record<string, () => Uint8Array>> = {
  'entry-key': () => entryKey(logIndex(0x1_0203_0405)),
  'entry-value': entryValue,
  'entry-value-rewritten': rewrittenValue,
  'note-file': () => encodeNote(STATE, crc32c),
  'generation-identity': () => encodeGenerationIdentity(GENERATION, crc32c),
  'snapshot-file': () => Buffer.concat(encodeSnapshot({ meta: META, state: STATE }, crc32c)),
  'checkpoint-file': () =>
    Buffer.concat(encodeCheckpoint({ index: logIndex(950), state: STATE }, crc32c)),
  'broker-identity': () => encodeIdentity(IDENTITY, crc32c),
  'state-header-slot': () => encodeStateHeader({ sequence: 3, value: 128 }, crc32c),
  'facts-slot': () => encodeFacts({ sequence: 12, value: FACTS }, crc32c),
  'facts-slot-marked': () => encodeFacts({ sequence: 13, value: MARKED_FACTS }, crc32c),
  'facts-slot-free': () => encodeFacts({ sequence: 1, value: FREE_FACTS }, crc32c),
  'watermark-slot': () => encodeWatermark({ sequence: 99, value: WATERMARK }, crc32c),
};

function hexOf(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString('hex');
  if (bytes.length !== SLOT_BYTES) return hex;
  const body = hex.slice(0, -8).replace(/(00)+$/, '');
  return `${body} …zeros… ${hex.slice(-8)}`;
}

describe('golden bytes of every disk format', () => {
  it('cover every format and nothing else', () => {
    if (process.env['REWRITE'] === '1') {
      const lines = Object.entries(FORMATS).map(([name, make]) => `${name} ${hexOf(make())}\n`);
      writeFileSync(FILE, `# Written with REWRITE=1; a change here breaks stored data.\n${lines.join('')}`);
      for (const [name, make] of Object.entries(FORMATS)) golden.set(name, hexOf(make()));
    }
    expect([...golden.keys()].sort()).to.deep.equal(Object.keys(FORMATS).sort());
  });

  for (const [name, make] of Object.entries(FORMATS)) {
    it(`${name} is written as ever`, () => {
      expect(hexOf(make())).to.equal(golden.get(name));
    });
  }

  it('are read back', () => {
    const list = entry(3, 300, 'payload', 'batch');
    const stored = decodeStoredEntry(entryKey(list.index), entryValue(), crc32c);
    expect(stored.entry).to.deep.equal(list);
    expect(stored.chain).to.equal(entryChain(77, stored.header));
    expect(stored.links).to.deep.equal({ runFirst: 290, membershipBefore: 12 });
    const rewritten = decodeStoredEntry(entryKey(list.index), rewrittenValue(), crc32c);
    const original = { length: 7, crc: crc32c(list.payload) };
    expect(rewritten).to.deep.equal({
      ...stored,
      entry: { ...list, payload: Uint8Array.of(8, 9), original },
    });
    expect(decodeNote(encodeNote(STATE, crc32c), crc32c)).to.deep.equal(STATE);
    const generation = encodeGenerationIdentity(GENERATION, crc32c);
    expect(decodeGenerationIdentity(generation, crc32c)).to.deep.equal(GENERATION);
    const snapshot = new Uint8Array(FORMATS['snapshot-file']!());
    expect(decodeSnapshot(snapshot, crc32c)).to.deep.equal({ meta: META, state: STATE });
    const checkpoint = new Uint8Array(FORMATS['checkpoint-file']!());
    expect(decodeCheckpoint(checkpoint, crc32c)).to.deep.equal({ index: 950, state: STATE });
    expect(decodeIdentity(encodeIdentity(IDENTITY, crc32c), crc32c)).to.deep.equal(IDENTITY);
    expect(decodeStateHeader(FORMATS['state-header-slot']!(), crc32c)).to.deep.equal({
      sequence: 3,
      value: 128,
    });
    expect(decodeFacts(FORMATS['facts-slot']!(), crc32c)).to.deep.equal({
      sequence: 12,
      value: FACTS,
    });
    for (const flag of ['isTailLost', 'isGivenUp', 'wasUnsynced', 'diedUnverified'] as const) {
      const value = { ...FACTS, [flag]: true };
      const slot = encodeFacts({ sequence: 14, value }, crc32c);
      expect(decodeFacts(slot, crc32c)?.value, flag).to.deep.equal(value);
    }
    expect(decodeFacts(FORMATS['facts-slot-marked']!(), crc32c)?.value).to.deep.equal(MARKED_FACTS);
    expect(decodeFacts(FORMATS['facts-slot-free']!(), crc32c)?.value).to.deep.equal(FREE_FACTS);
    expect(decodeWatermark(FORMATS['watermark-slot']!(), crc32c)).to.deep.equal({
      sequence: 99,
      value: WATERMARK,
    });
  });

  /** One reader a format: undefined, or an error of damage, for anything but what was written. */
  const READERS: Readonly<Record<string, (bytes: Uint8Array) => unknown>> = {
    'generation-identity': (bytes) => decodeGenerationIdentity(bytes, crc32c),
    'snapshot-file': (bytes) => decodeSnapshot(bytes, crc32c),
    'note-file': (bytes) => decodeNote(bytes, crc32c),
    'checkpoint-file': (bytes) => decodeCheckpoint(bytes, crc32c),
    'broker-identity': (bytes) => decodeIdentity(bytes, crc32c),
    'state-header-slot': (bytes) => decodeStateHeader(bytes, crc32c),
    'facts-slot': (bytes) => decodeFacts(bytes, crc32c),
    'watermark-slot': (bytes) => decodeWatermark(bytes, crc32c),
  };
  for (const [name, read] of Object.entries(READERS)) {
    it(`${name} with any bit flipped, or cut anywhere, is refused`, () => {
      const bytes = new Uint8Array(FORMATS[name]!());
      for (let bit = 0; bit < bytes.length * 8; bit += 1) {
        const flipped = Uint8Array.from(bytes);
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(read(flipped), `bit ${bit}`).to.equal(undefined);
      }
      for (let length = 0; length < bytes.length; length += 1) {
        expect(read(bytes.slice(0, length)), `length ${length}`).to.equal(undefined);
      }
    });
  }

  for (const [name, make] of [['entry-value', entryValue], ['entry-value-rewritten', rewrittenValue]] as const)
  it(`${name} with any bit flipped is refused by its checks or by its chain`, () => {
    const bytes = make();
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const flipped = Uint8Array.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      let isRefused: boolean;
      try {
        const stored = decodeStoredEntry(entryKey(logIndex(300)), flipped, crc32c);
        isRefused = entryChain(77, stored.header) !== stored.chain;
      } catch (error) {
        isRefused = error instanceof Error && error.name === 'StoreDamagedError';
      }
      expect(isRefused, `bit ${bit}`).to.equal(true);
    }
  });
});
