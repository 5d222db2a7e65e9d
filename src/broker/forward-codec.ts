import { ByteReader, ByteWriter, MalformedBytesError } from '../base/bytes.js';
import { BrokerError, isErrorCode, type LeaderHint } from '../model/errors.js';
import { brokerId, topicId } from '../model/ids.js';
import type {
  Acks,
  FetchedPartition,
  FetchRequest,
  FetchResult,
  ProduceRequest,
  ProduceResult,
} from './types.js';

/*
 * Produce and fetch as one broker passes them on to another, in the peer protocol's request and
 * response bodies. Each body starts with a version byte; integers that may be -1 are i64.
 */
const VERSION = 1;
/** -1 is an offset of a key too: it has none. */
const NO_KEY_OFFSET = -2;
const ACKS: readonly Acks[] = ['quorum', 'leader', 'none'];

export function encodeProduceRequest(request: ProduceRequest): Uint8Array {
  return new ByteWriter(request.batch.length + 128)
    .u8(VERSION)
    .string(request.topic)
    .uvarint(request.partition)
    .string(request.topicId ?? '')
    .u8(ACKS.indexOf(request.acks))
    .uvarint(request.timeoutMs)
    .i64(request.expectedOffset ?? -1)
    .i64(request.expectedKeyOffset ?? NO_KEY_OFFSET)
    .bytes(request.batch)
    .finish();
}

/** Not to be passed on again. */
export function decodeProduceRequest(body: Uint8Array): ProduceRequest {
  const r = open(body);
  const topic = r.string();
  const partition = r.uvarint();
  const id = r.string();
  const acks = ACKS[r.u8()];
  if (acks === undefined) throw new MalformedBytesError('unknown acks');
  const timeoutMs = r.uvarint();
  const expectedOffset = r.i64();
  const expectedKeyOffset = r.i64();
  // A copy: the batch outlives the message, and is stamped in place.
  const batch = r.bytes().slice();
  r.end();
  return {
    topic,
    partition,
    topicId: id === '' ? undefined : topicId(id),
    acks,
    batch,
    expectedOffset: expectedOffset < 0 ? undefined : expectedOffset,
    expectedKeyOffset: expectedKeyOffset === NO_KEY_OFFSET ? undefined : expectedKeyOffset,
    timeoutMs,
    allowForward: false,
  };
}

export function encodeProduceResult(result: ProduceResult): Uint8Array {
  const w = new ByteWriter(64).u8(VERSION).bool(result.error !== undefined);
  if (result.error !== undefined) {
    writeError(w, result.error);
  } else {
    w.i64(result.baseOffset).i64(result.appendTimeMs).uvarint(result.leaderEpoch);
    w.bool(result.isDuplicate).i64(result.logStartOffset).uvarint(result.brokerId);
  }
  return w.finish();
}

export function decodeProduceResult(body: Uint8Array): ProduceResult {
  const r = open(body);
  if (r.bool()) return { error: readError(r) };
  return {
    baseOffset: r.i64(),
    appendTimeMs: r.i64(),
    leaderEpoch: r.uvarint(),
    isDuplicate: r.bool(),
    logStartOffset: r.i64(),
    brokerId: brokerId(r.uvarint()),
  };
}

export function encodeFetchRequest(request: FetchRequest): Uint8Array {
  const w = new ByteWriter().u8(VERSION).uvarint(request.minBytes).uvarint(request.maxBytes);
  w.uvarint(request.maxWaitMs).bool(request.linearizable).uvarint(request.partitions.length);
  for (const p of request.partitions) {
    w.string(p.topic)
      .uvarint(p.partition)
      .string(p.topicId ?? '');
    w.i64(p.offset).uvarint(p.maxBytes).uvarint(p.leaderEpoch);
  }
  return w.finish();
}

/** Not to be passed on again. */
export function decodeFetchRequest(body: Uint8Array): FetchRequest {
  const r = open(body);
  const head = {
    minBytes: r.uvarint(),
    maxBytes: r.uvarint(),
    maxWaitMs: r.uvarint(),
    linearizable: r.bool(),
    allowForward: false,
  };
  const partitions = readList(r, () => {
    const topic = r.string();
    const partition = r.uvarint();
    const id = r.string();
    return {
      topic,
      partition,
      topicId: id === '' ? undefined : topicId(id),
      offset: r.i64(),
      maxBytes: r.uvarint(),
      leaderEpoch: r.uvarint(),
    };
  });
  return { ...head, partitions };
}

export function encodeFetchResult(result: FetchResult): Uint8Array {
  let bytes = 1024;
  for (const p of result.partitions) for (const batch of p.batches) bytes += batch.length + 4;
  const w = new ByteWriter(bytes).u8(VERSION).uvarint(result.brokerId);
  w.uvarint(result.partitions.length);
  for (const p of result.partitions) {
    w.string(p.topic)
      .uvarint(p.partition)
      .bool(p.error !== undefined);
    if (p.error !== undefined) writeError(w, p.error);
    w.i64(p.highWatermark).i64(p.logStartOffset).uvarint(p.leaderEpoch).i64(p.nextOffset);
    w.uvarint(p.batches.length);
    for (const batch of p.batches) w.bytes(batch);
  }
  return w.finish();
}

export function decodeFetchResult(body: Uint8Array): FetchResult {
  const r = open(body);
  const broker = brokerId(r.uvarint());
  const partitions = readList(r, (): FetchedPartition => ({
    topic: r.string(),
    partition: r.uvarint(),
    error: r.bool() ? readError(r) : undefined,
    highWatermark: r.i64(),
    logStartOffset: r.i64(),
    leaderEpoch: r.uvarint(),
    nextOffset: r.i64(),
    batches: readList(r, () => r.bytes()),
  }));
  return { partitions, brokerId: broker };
}

function open(body: Uint8Array): ByteReader {
  const r = new ByteReader(body);
  const version = r.u8();
  if (version !== VERSION) throw new MalformedBytesError(`forwarded request version ${version}`);
  return r;
}

function readList<T>(r: ByteReader, item: () => T): T[] {
  const count = r.uvarint();
  if (count > r.remaining) throw new MalformedBytesError(`${count} items in too few bytes`);
  return Array.from({ length: count }, item);
}

function writeError(w: ByteWriter, error: BrokerError): void {
  const { leader, retryAfterMs, expectedSequence, logEndOffset } = error.facts;
  const { logStartOffset, highWatermark } = error.facts;
  w.string(error.code)
    .string(error.message)
    .bool(error.outcome === 'unknown');
  w.bool(leader !== undefined);
  if (leader !== undefined) {
    w.uvarint(leader.brokerId).string(leader.host).uvarint(leader.port).uvarint(leader.term);
  }
  const facts = [retryAfterMs, expectedSequence, logEndOffset, logStartOffset, highWatermark];
  for (const fact of facts) {
    w.i64(fact ?? -1);
  }
  w.i64(error.facts.keyOffset ?? NO_KEY_OFFSET);
}

function readError(r: ByteReader): BrokerError {
  const code = r.string();
  const message = r.string();
  const outcome = r.bool() ? 'unknown' : 'none';
  const leader: LeaderHint | undefined = r.bool()
    ? { brokerId: r.uvarint(), host: r.string(), port: r.uvarint(), term: r.uvarint() }
    : undefined;
  const fact = (): number | undefined => {
    const value = r.i64();
    return value === -1 ? undefined : value;
  };
  return new BrokerError(isErrorCode(code) ? code : 'INTERNAL', message, {
    outcome,
    leader,
    retryAfterMs: fact(),
    expectedSequence: fact(),
    logEndOffset: fact(),
    logStartOffset: fact(),
    highWatermark: fact(),
    ...keyOffsetFrom(r),
  });
}

function keyOffsetFrom(r: ByteReader): { keyOffset?: number } {
  const keyOffset = r.i64();
  return keyOffset === NO_KEY_OFFSET ? {} : { keyOffset };
}
