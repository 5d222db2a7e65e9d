import { expect } from 'chai';
import fc from 'fast-check';
import { MalformedBytesError } from '../../../src/base/bytes.js';
import { crc32c } from '../../../src/base/crc32c.js';
import {
  brokerId,
  incarnation,
  logIndex,
  offset,
  raftGroupId,
  term,
} from '../../../src/model/ids.js';
import type { EntryId, EntryKind, LogEntry } from '../../../src/model/log-entry.js';
import { NO_PRODUCER, RecordBatchBuilder } from '../../../src/model/record-batch-builder.js';
import { stampBatch } from '../../../src/model/record-batch.js';
import { membershipOf } from '../../../src/model/membership.js';
import type { PeerMessage, SnapshotHeader } from '../../../src/ports/transport.js';
import type { Message } from '../../../src/raft/message.js';
import {
  decodeMessages,
  decodeSnapshotHeader,
  encodeMessages,
  encodeSnapshotHeader,
  messageBytesBound,
} from '../../../src/rpc/message-codec.js';

const ENDS = { from: brokerId(1), to: brokerId(2) };
const INDEX_MAX = 2 ** 50;

const anyTerm = fc.integer({ min: 0, max: 2 ** 31 - 1 }).map(term);
const anyIndex = fc.maxSafeNat().map((n) => logIndex(n % INDEX_MAX));
const anyId: fc.Arbitrary<EntryId> = fc.record({ term: anyTerm, index: anyIndex });
const anyTarget = fc.option(
  fc.record({ index: anyIndex, life: fc.maxSafeNat().map(incarnation) }),
  { nil: undefined },
);
const anyKind = fc.constantFrom<EntryKind>('batch', 'command', 'membership', 'noop');
const anyBody = fc.record({
  term: anyTerm,
  kind: anyKind,
  timeMs: fc.maxSafeNat(),
  payload: fc.uint8Array({ maxLength: 200 }),
});
const base = {
  from: fc.constant(ENDS.from),
  to: fc.constant(ENDS.to),
  term: anyTerm,
  incarnation: fc.maxSafeNat().map(incarnation),
};

const anyAppend = fc
  .record({
    ...base,
    kind: fc.constant('appendRequest' as const),
    prev: anyId,
    bodies: fc.array(anyBody, { maxLength: 5 }),
    commit: anyIndex,
    repairTarget: anyTarget,
  })
  .map(({ bodies, ...rest }) => {
    const entries = bodies.map((body, i): LogEntry => ({
      ...body,
      index: logIndex(rest.prev.index + 1 + i),
    }));
    return { ...rest, entries };
  });

const anyMessage: fc.Arbitrary<Message> = fc.oneof(
  anyAppend,
  fc.record({ ...base, kind: fc.constant('preVoteRequest' as const), lastLog: anyId }),
  fc.record({
    ...base,
    kind: fc.constant('voteRequest' as const),
    lastLog: anyId,
    isTransfer: fc.boolean(),
  }),
  fc.record({
    ...base,
    kind: fc.constantFrom('preVoteResponse' as const, 'voteResponse' as const),
    granted: fc.boolean(),
    damaged: fc.boolean(),
  }),
  fc.record({
    ...base,
    kind: fc.constant('appendResponse' as const),
    prevIndex: anyIndex,
    outcome: fc.oneof(
      fc.record({ ok: fc.constant(true as const), match: anyIndex }),
      fc.record({ ok: fc.constant(false as const), hint: anyId }),
    ),
    repairing: fc.boolean(),
  }),
  fc.record({
    ...base,
    kind: fc.constant('heartbeatRequest' as const),
    commit: anyIndex,
    readRound: fc.maxSafeNat(),
    repairTarget: anyTarget,
  }),
  fc.record({
    ...base,
    kind: fc.constant('heartbeatResponse' as const),
    readRound: fc.maxSafeNat(),
    repairing: fc.boolean(),
  }),
  fc.record({ ...base, kind: fc.constantFrom('timeoutNow' as const, 'wakeRequest' as const) }),
  fc.record({ ...base, kind: fc.constant('quiesceRequest' as const), last: anyId }),
);

const anyPulse: fc.Arbitrary<PeerMessage> = fc.record({
  group: fc.constant(undefined),
  message: fc.record({
    kind: fc.constant('pulse' as const),
    from: fc.constant(ENDS.from),
    to: fc.constant(ENDS.to),
    boot: fc.maxSafeNat(),
    asleep: fc.record({ count: fc.maxSafeNat(), sum: fc.integer({ min: 0, max: 2 ** 32 - 1 }) }),
    disagrees: fc.boolean(),
  }),
});

const anyPeerMessage: fc.Arbitrary<PeerMessage> = fc.oneof(
  fc.record({ group: fc.maxSafeNat().map(raftGroupId), message: anyMessage }),
  anyPulse,
);

const anyHeader: fc.Arbitrary<SnapshotHeader> = fc.record({
  group: fc.maxSafeNat().map(raftGroupId),
  term: anyTerm,
  meta: fc.record({
    last: anyId,
    chain: fc.maxSafeNat(),
    timeMs: fc.maxSafeNat(),
    membership: fc.constant(membershipOf([1, 2, 3], [4])),
  }),
  repairTarget: anyTarget,
});

/** Runs a decoder on bytes that may be anything: it returns or throws MalformedBytesError. */
function mustNotCrash(decode: () => unknown): void {
  try {
    decode();
  } catch (error) {
    expect(error).to.be.instanceOf(MalformedBytesError);
  }
}

describe('rpc/message-codec', () => {
  it('gives back every envelope it was given', () => {
    fc.assert(
      fc.property(fc.array(anyPeerMessage, { maxLength: 10 }), (messages) => {
        expect(decodeMessages(encodeMessages(messages).joined(), ENDS)).to.deep.equal(messages);
      }),
      { numRuns: 300 },
    );
  });

  it('gives back rewritten batches, and refuses any that is not whole', () => {
    const builder = new RecordBatchBuilder();
    for (let i = 0; i < 3; i += 1) builder.append({ key: Uint8Array.of(i) }, 1_000);
    const payload = builder.finish(NO_PRODUCER, crc32c);
    stampBatch(payload, { baseOffset: offset(7), leaderEpoch: term(4) });
    const head = { index: logIndex(8), term: term(4), kind: 'batch' as const, timeMs: 5 };
    const entry = { ...head, payload, original: { length: 900, crc: 0xffff_ffff } };
    const ends = { ...ENDS, term: term(4), incarnation: incarnation(1) };
    const message = {
      ...{ kind: 'appendRequest' as const, ...ends, prev: { term: term(4), index: logIndex(7) } },
      ...{ entries: [entry], commit: logIndex(0), repairTarget: undefined },
    };
    const messages = [{ group: raftGroupId(1), message }];
    const bytes = encodeMessages(messages).joined();
    expect(decodeMessages(bytes, ENDS)).to.deep.equal(messages);
    const payloadAt = bytes.length - payload.length;
    // Base offset lies outside the batch's checksum; everything from the epoch on is checked.
    for (let bit = 8 * 8; bit < payload.length * 8; bit += 1) {
      const flipped = Uint8Array.from(bytes);
      const at = payloadAt + (bit >> 3);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << (bit & 7));
      expect(() => decodeMessages(flipped, ENDS), `bit ${bit}`).to.throw(MalformedBytesError);
    }
    const huge = { ...entry, original: { length: 2 ** 31, crc: 1 } };
    const wrong = encodeMessages([
      { ...messages[0]!, message: { ...message, entries: [huge] } },
    ]).joined();
    expect(() => decodeMessages(wrong, ENDS)).to.throw(MalformedBytesError);
  });

  it('never needs more bytes than the bound it plans with', () => {
    fc.assert(
      fc.property(anyPeerMessage, (message) => {
        const bytes = encodeMessages([message]).length;
        expect(bytes).to.be.at.most(messageBytesBound(message.message) + 16);
      }),
    );
  });

  it('gives back every snapshot header it was given', () => {
    fc.assert(
      fc.property(anyHeader, fc.maxSafeNat(), (header, stateBytes) => {
        const back = decodeSnapshotHeader(encodeSnapshotHeader(header, stateBytes));
        expect(back).to.deep.equal({ header, stateBytes });
      }),
    );
  });

  it('does not copy payloads', () => {
    const [append] = fc.sample(anyAppend, 1);
    const payload = new Uint8Array(1000).fill(7);
    const entry: LogEntry = {
      term: term(1),
      index: logIndex(append!.prev.index + 1),
      kind: 'batch',
      timeMs: 5,
      payload,
    };
    const message: Message = { ...append!, entries: [entry] };
    const bytes = encodeMessages([{ group: raftGroupId(1), message }]).joined();
    const [decoded] = decodeMessages(bytes, ENDS);
    const got = decoded!.message;
    expect(got.kind === 'appendRequest' && got.entries[0]!.payload.buffer).to.equal(bytes.buffer);
  });

  it('says who sent a message by its stream, not by its bytes', () => {
    fc.assert(
      fc.property(anyPeerMessage, (message) => {
        const ends = { from: brokerId(7), to: brokerId(8) };
        const [back] = decodeMessages(encodeMessages([message]).joined(), ends);
        expect([back!.message.from, back!.message.to]).to.deep.equal([7, 8]);
      }),
      { numRuns: 20 },
    );
  });

  it('throws nothing but MalformedBytesError on garbage', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (garbage) => {
        mustNotCrash(() => decodeMessages(garbage, ENDS));
        mustNotCrash(() => decodeMessages(Uint8Array.of(1, 1, ...garbage), ENDS));
        mustNotCrash(() => decodeSnapshotHeader(garbage));
      }),
      { numRuns: 2000 },
    );
  });

  it('throws nothing but MalformedBytesError on bytes that were changed or cut', () => {
    const anyChange = fc.record({
      messages: fc.array(anyPeerMessage, { minLength: 1, maxLength: 4 }),
      at: fc.nat(),
      to: fc.integer({ min: 0, max: 255 }),
      cut: fc.nat({ max: 20 }),
    });
    fc.assert(
      fc.property(anyChange, ({ messages, at, to, cut }) => {
        const bytes = encodeMessages(messages).joined();
        bytes[at % bytes.length] = to;
        mustNotCrash(() => decodeMessages(bytes, ENDS));
        mustNotCrash(() => decodeMessages(bytes.subarray(0, bytes.length - cut), ENDS));
      }),
      { numRuns: 2000 },
    );
  });

  it('refuses a term that could not be a leader epoch, and a version it does not know', () => {
    const message: Message = {
      kind: 'timeoutNow',
      ...ENDS,
      term: term(2 ** 31),
      incarnation: incarnation(1),
    };
    const bytes = encodeMessages([{ group: raftGroupId(1), message }]).joined();
    expect(() => decodeMessages(bytes, ENDS)).to.throw(MalformedBytesError, 'implausible term');
    bytes[0] = 2;
    expect(() => decodeMessages(bytes, ENDS)).to.throw(MalformedBytesError, 'version 2');
  });

  it('refuses a count of entries that the bytes cannot hold', () => {
    const hostile = Uint8Array.of(1, 1, 5, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f);
    expect(() => decodeMessages(hostile, ENDS)).to.throw(MalformedBytesError, 'entries in too few');
  });
});
