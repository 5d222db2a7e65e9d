import { expect } from 'chai';
import { brokerId, incarnation, logIndex, raftGroupId, term } from '../../../src/model/ids.js';
import type { EntryId } from '../../../src/model/log-entry.js';
import { membershipOf } from '../../../src/model/membership.js';
import type { SnapshotHeader } from '../../../src/ports/transport.js';
import type { Message } from '../../../src/raft/message.js';
import {
  decodeMessages,
  decodeSnapshotHeader,
  encodeMessages,
  encodeSnapshotHeader,
} from '../../../src/rpc/message-codec.js';

const ENDS = { from: brokerId(1), to: brokerId(2) };
const base = { ...ENDS, term: term(300), incarnation: incarnation(0x1_0000_0001) };
const id = (t: number, index: number): EntryId => ({ term: term(t), index: logIndex(index) });

/** A batch of three records in term 3, at offset 5, of which compaction has left none. */
const EMPTIED =
  '0000000000000005000000310000000302db3669d80000000000020000000000' +
  '0003e800000000000003eaffffffffffffffffffffffffffff00000000';
const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));

/** Version 1, message by message: envelope of one, group 5. Brokers of two releases must agree. */
const GOLDEN: readonly (readonly [string, Message])[] = [
  ['0101 01 05 ac02 8180808010 03 8102', { kind: 'preVoteRequest', ...base, lastLog: id(3, 257) }],
  [
    '0101 02 05 ac02 8180808010 03 8102 01',
    { kind: 'voteRequest', ...base, lastLog: id(3, 257), isTransfer: true },
  ],
  [
    '0101 03 05 ac02 8180808010 01 00',
    { kind: 'preVoteResponse', ...base, granted: true, damaged: false },
  ],
  [
    '0101 04 05 ac02 8180808010 00 01',
    { kind: 'voteResponse', ...base, granted: false, damaged: true },
  ],
  [
    '0101 04 05 ac02 8180808010 01 02',
    { kind: 'voteResponse', ...base, granted: true, damaged: true, lostTail: true },
  ],
  [
    '0101 05 05 ac02 8180808010 03 04 02 0a 07 02 03 01 e807 03 010203 ac02 04 e907 00',
    {
      kind: 'appendRequest',
      ...base,
      prev: id(3, 4),
      commit: logIndex(2),
      repairTarget: { index: logIndex(9), life: incarnation(7) },
      entries: [
        { ...id(3, 5), kind: 'batch', timeMs: 1000, payload: Uint8Array.of(1, 2, 3) },
        { ...id(300, 6), kind: 'noop', timeMs: 1001, payload: new Uint8Array(0) },
      ],
    },
  ],
  [
    `0101 05 05 ac02 8180808010 03 04 02 00 01 03 81 e807 ac02 01020304 3d ${EMPTIED}`,
    {
      kind: 'appendRequest',
      ...base,
      prev: id(3, 4),
      commit: logIndex(2),
      repairTarget: undefined,
      entries: [
        {
          ...{ ...id(3, 5), kind: 'batch', timeMs: 1000, payload: bytesOf(EMPTIED) },
          original: { length: 300, crc: 0x0102_0304 },
        },
      ],
    },
  ],
  [
    '0101 06 05 ac02 8180808010 04 00 01 06',
    {
      kind: 'appendResponse',
      ...base,
      prevIndex: logIndex(4),
      repairing: false,
      outcome: { ok: true, match: logIndex(6) },
    },
  ],
  [
    '0101 06 05 ac02 8180808010 04 01 00 02 03',
    {
      kind: 'appendResponse',
      ...base,
      prevIndex: logIndex(4),
      repairing: true,
      outcome: { ok: false, hint: id(2, 3) },
    },
  ],
  [
    '0101 07 05 ac02 8180808010 80808080808008 11 00',
    {
      kind: 'heartbeatRequest',
      ...base,
      commit: logIndex(2 ** 45),
      readRound: 17,
      repairTarget: undefined,
    },
  ],
  [
    '0101 08 05 ac02 8180808010 11 01',
    { kind: 'heartbeatResponse', ...base, readRound: 17, repairing: true },
  ],
  ['0101 09 05 ac02 8180808010', { kind: 'timeoutNow', ...base }],
  [
    '0101 0a 05 ac02 8180808010 03 8102',
    { kind: 'quiesceRequest', ...base, last: id(3, 257) },
  ],
  ['0101 0b 05 ac02 8180808010', { kind: 'wakeRequest', ...base }],
];

const hex = (text: string): string => text.replaceAll(' ', '');

describe('peer codec, version 1', () => {
  for (const [bytes, message] of GOLDEN) {
    const peerMessage = { group: raftGroupId(5), message };
    it(`keeps the bytes of ${message.kind}: ${bytes}`, () => {
      expect(Buffer.from(encodeMessages([peerMessage]).joined()).toString('hex')).to.equal(hex(bytes));
      const back = decodeMessages(Uint8Array.from(Buffer.from(hex(bytes), 'hex')), ENDS);
      expect(back).to.deep.equal([peerMessage]);
    });
  }

  it('keeps the bytes of a pulse', () => {
    const asleep = { count: 300, sum: 0xfffe_fdfc };
    const pulse = { kind: 'pulse', ...ENDS, boot: 257, asleep, disagrees: true } as const;
    const peerMessage = { group: undefined, message: pulse };
    const bytes = hex('0101 0c 8102 ac02 fffefdfc 01');
    expect(Buffer.from(encodeMessages([peerMessage]).joined()).toString('hex')).to.equal(bytes);
    const back = decodeMessages(Uint8Array.from(Buffer.from(bytes, 'hex')), ENDS);
    expect(back).to.deep.equal([peerMessage]);
  });

  it('keeps the bytes of a snapshot header', () => {
    const header: SnapshotHeader = {
      group: raftGroupId(5),
      term: term(300),
      meta: { last: id(3, 257), chain: 2 ** 40, timeMs: 1000, membership: membershipOf([1, 2], [3]) },
      repairTarget: undefined,
    };
    const bytes = hex('01 05 ac02 03 8102 808080808020 e807 09 01 02 01 02 00 01 03 00 00 00 8008');
    expect(Buffer.from(encodeSnapshotHeader(header, 1024)).toString('hex')).to.equal(bytes);
    expect(decodeSnapshotHeader(Buffer.from(bytes, 'hex'))).to.deep.equal({
      header,
      stateBytes: 1024,
    });
  });
});
