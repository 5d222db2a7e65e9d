import { setTimeout as delay } from 'node:timers/promises';
import type { ClientWritableStream, Metadata, ServerReadableStream } from '@grpc/grpc-js';
import { concatBytes } from '../base/bytes.js';
import type { Crc32c } from '../base/crc32c.js';
import { deferred } from '../base/deferred.js';
import { BrokerError } from '../model/errors.js';
import { LIMITS } from '../model/limits.js';
import type { Snapshot } from '../ports/log-store.js';
import type { SnapshotHeader } from '../ports/transport.js';
import type { PeerClient } from './gen/millrace/peer/v1/Peer.js';
import type { SnapshotChunk, SnapshotChunk__Output } from './gen/millrace/peer/v1/SnapshotChunk.js';
import type { SnapshotResult } from './gen/millrace/peer/v1/SnapshotResult.js';
import { decodeSnapshotHeader, encodeSnapshotHeader } from './message-codec.js';
import { errorFromStatus } from './status.js';

/** Beyond what the bytes need at the throttled rate: installing takes its time, too. */
const DEADLINE_SLACK_MS = 120_000;

/**
 * Sends snapshots, at most a few at a time and all together no faster than bytesPerSecondMax, so that
 * a replica that catches up does not crowd out the ones that keep up. Owned by PeerTransport.
 */
export class SnapshotSender {
  private readonly bytesPerSecondMax: number;
  private readonly crc32c: Crc32c;
  private sending = 0;
  /** When the bytes sent so far are paid for, in monotonic ms. */
  private paidUntilMs = 0;

  constructor(options: { readonly bytesPerSecondMax: number; readonly crc32c: Crc32c }) {
    this.bytesPerSecondMax = options.bytesPerSecondMax;
    this.crc32c = options.crc32c;
  }

  /** Resolves once the peer has taken it; rejects with BrokerError. */
  async send(
    client: PeerClient,
    metadata: Metadata,
    header: SnapshotHeader,
    snapshot: Snapshot,
  ): Promise<void> {
    if (snapshot.state.length > LIMITS.snapshotBytesMax) {
      throw new BrokerError(
        'INTERNAL',
        `a snapshot of ${snapshot.state.length} bytes is too large`,
      );
    }
    if (this.sending >= LIMITS.snapshotsSentAtOnceMax) {
      throw new BrokerError('THROTTLED', `already sending ${this.sending} snapshots`);
    }
    this.sending += 1;
    try {
      await this.stream(client, metadata, header, snapshot.state);
    } finally {
      this.sending -= 1;
    }
  }

  private async stream(
    client: PeerClient,
    metadata: Metadata,
    header: SnapshotHeader,
    state: Uint8Array,
  ): Promise<void> {
    const sendingMs = (state.length / this.bytesPerSecondMax) * 1000;
    const share = LIMITS.snapshotsSentAtOnceMax;
    const deadline = Date.now() + DEADLINE_SLACK_MS + sendingMs * 2 * share;
    const taken = deferred<undefined>();
    const progress = { isSettled: false };
    const call = client.installSnapshot(metadata, { deadline }, (error) => {
      progress.isSettled = true;
      if (error === null) taken.resolve(undefined);
      else taken.reject(errorFromStatus(error, { isWrite: false }));
    });
    // Awaited below; until then a rejection must not count as unhandled.
    const ended = taken.promise.catch(() => undefined);
    for (const chunk of this.chunks(header, state)) {
      if (progress.isSettled) break;
      await this.pay(chunk);
      await Promise.race([written(call, chunk), ended]);
    }
    call.end();
    await taken.promise;
  }

  private *chunks(header: SnapshotHeader, state: Uint8Array): Generator<SnapshotChunk> {
    yield { header: encodeSnapshotHeader(header, state.length) };
    for (let at = 0; at < state.length; at += LIMITS.snapshotChunkBytes) {
      yield { data: state.subarray(at, at + LIMITS.snapshotChunkBytes) };
    }
    yield { crc: this.crc32c(state) };
  }

  private async pay(chunk: SnapshotChunk): Promise<void> {
    const now = performance.now();
    const waitMs = this.paidUntilMs - now;
    const costMs = ((chunk.data?.length ?? 0) / this.bytesPerSecondMax) * 1000;
    this.paidUntilMs = Math.max(this.paidUntilMs, now) + costMs;
    if (waitMs >= 1) await delay(waitMs);
  }
}

/** Resolves when the chunk has left; maybe never, where the call ends before. */
function written(call: ClientWritableStream<SnapshotChunk>, chunk: SnapshotChunk): Promise<void> {
  return new Promise((resolve) => void call.write(chunk, () => resolve()));
}

export interface ReceivedSnapshot {
  readonly header: SnapshotHeader;
  readonly state: Uint8Array;
}

/**
 * Collects incoming snapshots. Owned by PeerServer. Invariants: the bytes that all senders together
 * announced never exceed the limit; what is handed over is whole and passed its checksum.
 */
export class SnapshotReceiver {
  private readonly crc32c: Crc32c;
  private receiving = 0;
  private announcedBytes = 0;

  constructor(crc32c: Crc32c) {
    this.crc32c = crc32c;
  }

  /** Rejects with BrokerError or MalformedBytesError. */
  async receive(
    call: ServerReadableStream<SnapshotChunk__Output, SnapshotResult>,
  ): Promise<ReceivedSnapshot> {
    if (this.receiving >= LIMITS.snapshotsReceivedAtOnceMax) {
      throw new BrokerError('THROTTLED', `already receiving ${this.receiving} snapshots`);
    }
    this.receiving += 1;
    let announced = 0;
    try {
      return await collect(call, this.crc32c, (bytes) => {
        if (this.announcedBytes + bytes > LIMITS.snapshotBytesMax) {
          throw new BrokerError('THROTTLED', `no room for a snapshot of ${bytes} bytes`);
        }
        announced = bytes;
        this.announcedBytes += bytes;
      });
    } finally {
      this.receiving -= 1;
      this.announcedBytes -= announced;
    }
  }
}

async function collect(
  call: ServerReadableStream<SnapshotChunk__Output, SnapshotResult>,
  crc32c: Crc32c,
  reserve: (bytes: number) => void,
): Promise<ReceivedSnapshot> {
  let first: ReturnType<typeof decodeSnapshotHeader> | undefined;
  const parts: Uint8Array[] = [];
  let bytes = 0;
  let crc: number | undefined;
  for await (const chunk of call as AsyncIterable<SnapshotChunk__Output>) {
    if (first === undefined) {
      first = decodeSnapshotHeader(chunk.header);
      reserve(first.stateBytes);
    }
    if (chunk.data.length > 0) parts.push(chunk.data);
    bytes += chunk.data.length;
    if (bytes > first.stateBytes) break;
    crc = chunk.crc;
  }
  if (first?.stateBytes !== bytes) {
    throw new BrokerError(
      'INVALID_ARGUMENT',
      `snapshot of ${bytes} bytes is not what its header says`,
    );
  }
  const state = concatBytes(parts);
  if (crc !== crc32c(state)) {
    throw new BrokerError('CORRUPT_BATCH', 'snapshot fails its CRC-32C');
  }
  return { header: first.header, state };
}
