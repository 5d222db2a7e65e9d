import { expect } from 'chai';
import { credentials, Metadata } from '@grpc/grpc-js';
import { crc32c } from '../../../src/base/crc32c.js';
import { BrokerError } from '../../../src/model/errors.js';
import { brokerId, incarnation, logIndex, raftGroupId, term } from '../../../src/model/ids.js';
import { LIMITS } from '../../../src/model/limits.js';
import { membershipOf } from '../../../src/model/membership.js';
import type { SnapshotHeader } from '../../../src/ports/transport.js';
import type { SnapshotChunk } from '../../../src/rpc/gen/millrace/peer/v1/SnapshotChunk.js';
import { encodeSnapshotHeader } from '../../../src/rpc/message-codec.js';
import { callMetadata } from '../../../src/rpc/peer-metadata.js';
import { protoTypes } from '../../../src/rpc/proto.js';
import { SnapshotSender } from '../../../src/rpc/snapshot-stream.js';
import type { PeerClient } from '../../../src/rpc/gen/millrace/peer/v1/Peer.js';
import { errorFromStatus } from '../../../src/rpc/status.js';
import { eventually } from '../../support/eventually.js';
import { connectedPair, type TestPeer, type TestPeerOptions } from '../../support/peers.js';

const HEADER: SnapshotHeader = {
  group: raftGroupId(4),
  term: term(7),
  meta: {
    last: { term: term(6), index: logIndex(1000) },
    chain: 12345,
    timeMs: 99,
    membership: membershipOf([1, 2]),
  },
  repairTarget: { index: logIndex(1200), life: incarnation(2) },
};

function stateOf(bytes: number): Uint8Array {
  const state = new Uint8Array(bytes);
  for (let i = 0; i < bytes; i += 1) state[i] = (i * 31) & 0xff;
  return state;
}

/** Sends these chunks by hand; resolves with the error's code, or undefined if they were taken. */
async function sendRaw(
  to: TestPeer,
  chunks: readonly SnapshotChunk[],
): Promise<string | undefined> {
  const address = `127.0.0.1:${to.address.port}`;
  const client = new (protoTypes().Peer)(address, credentials.createInsecure());
  const metadata = callMetadata({ self: brokerId(1), clusterId: () => 'c1' }, to.id);
  try {
    return await new Promise((resolve) => {
      const call = client.installSnapshot(metadata, (error) =>
        resolve(error === null ? undefined : errorFromStatus(error, { isWrite: false }).code),
      );
      call.on('error', () => undefined);
      for (const chunk of chunks) call.write(chunk);
      call.end();
    });
  } finally {
    client.close();
  }
}

describe('peer transport: snapshots', () => {
  let open: TestPeer[] = [];
  afterEach(async () => {
    await Promise.all(open.map((peer) => peer.transport.stop()));
    open = [];
  });

  async function pair(options: TestPeerOptions = {}): Promise<readonly [TestPeer, TestPeer]> {
    const peers = await connectedPair(options);
    open.push(...peers);
    return peers;
  }

  for (const bytes of [0, 1, LIMITS.snapshotChunkBytes, 3 * LIMITS.snapshotChunkBytes + 17]) {
    it(`hands over ${bytes} bytes whole`, async () => {
      const [a, b] = await pair();
      const state = stateOf(bytes);
      await a.transport.sendSnapshot(b.address.id, HEADER, { meta: HEADER.meta, state });
      expect(b.snapshots).to.have.length(1);
      expect(b.snapshots[0]!.from).to.equal(1);
      expect(b.snapshots[0]!.header).to.deep.equal(HEADER);
      expect(Buffer.compare(b.snapshots[0]!.state, state)).to.equal(0);
    });
  }

  it('goes no faster than it may', async () => {
    const snapshot = { meta: HEADER.meta, state: stateOf(2 * 1024 * 1024) };
    const tookMs = async (bytesPerSecond: number): Promise<number> => {
      const [a, b] = await pair({ snapshotBytesPerSecondMax: bytesPerSecond });
      const startedAt = performance.now();
      await a.transport.sendSnapshot(b.address.id, HEADER, snapshot);
      return performance.now() - startedAt;
    };
    const freelyMs = await tookMs(1024 * 1024 * 1024);
    // Half a second, and what this machine takes in any case.
    expect(await tookMs(4 * 1024 * 1024)).to.be.within(400, 3_000 + 10 * freelyMs);
  });

  it('waits for no stream that fetches have taken', async () => {
    const [a, b] = await pair();
    let waiting = 0;
    b.transport.handle('partition.fetch', () => {
      waiting += 1;
      return new Promise(() => undefined);
    });
    let ended = 0;
    const fetches = Array.from({ length: LIMITS.streamsPerConnectionMax }, () =>
      a.transport
        .call(b.address.id, 'partition.fetch', new Uint8Array(0), { deadlineMs: 60_000 })
        .catch(() => (ended += 1)),
    );
    await eventually('all streams are taken', () => waiting === fetches.length);
    await a.transport.sendSnapshot(b.address.id, HEADER, { meta: HEADER.meta, state: stateOf(9) });
    expect(b.snapshots).to.have.length(1);
    expect(ended).to.equal(0);
    await b.transport.stop();
    await Promise.all(fetches);
  });

  it('reports a peer that cannot be reached', async () => {
    const [a, b] = await pair();
    await b.transport.stop();
    let failure: unknown;
    try {
      await a.transport.sendSnapshot(b.address.id, HEADER, {
        meta: HEADER.meta,
        state: stateOf(9),
      });
    } catch (error) {
      failure = error;
    }
    expect(failure).to.be.instanceOf(BrokerError);
  });

  it('ends with its call, though nobody says what became of a chunk', async () => {
    const sender = new SnapshotSender({ bytesPerSecondMax: 2 ** 40, crc32c });
    const snapshot = { meta: HEADER.meta, state: stateOf(LIMITS.snapshotChunkBytes) };
    const send = (): Promise<void> => {
      const client = {
        installSnapshot: (_metadata: unknown, _options: unknown, done: (error: Error) => void) => {
          const error = Object.assign(new Error('gone'), { code: 14, metadata: new Metadata() });
          // As grpc-js: what was to be written when a call ended is never told of.
          const write = (): void => void setImmediate(done, error);
          return { write, end: () => undefined };
        },
      } as unknown as PeerClient;
      return sender.send(client, new Metadata(), HEADER, snapshot);
    };
    const codes: string[] = [];
    for (let i = 0; i <= LIMITS.snapshotsSentAtOnceMax; i += 1) {
      await send().catch((error: unknown) => codes.push(BrokerError.from(error).code));
    }
    expect(new Set(codes)).to.deep.equal(new Set(['BROKER_UNAVAILABLE']));
    expect(codes).to.have.length(LIMITS.snapshotsSentAtOnceMax + 1);
  });

  it('takes no snapshot that is damaged, short, long, cut or nonsense', async () => {
    const [, b] = await pair();
    const data = Buffer.from(stateOf(1000));
    const header = Buffer.from(encodeSnapshotHeader(HEADER, 1000));
    const crc = crc32c(data);
    const flipped = Buffer.from(data);
    flipped[500]! ^= 1;
    expect(await sendRaw(b, [{ header }, { data: flipped }, { crc }])).to.equal('CORRUPT_BATCH');
    expect(await sendRaw(b, [{ header }, { data }])).to.equal('CORRUPT_BATCH');
    expect(await sendRaw(b, [{ header }, { data: data.subarray(1) }, { crc }])).to.equal(
      'INVALID_ARGUMENT',
    );
    expect(await sendRaw(b, [{ header }, { data }, { data }, { crc }])).to.equal(
      'INVALID_ARGUMENT',
    );
    expect(await sendRaw(b, [])).to.equal('INVALID_ARGUMENT');
    expect(await sendRaw(b, [{ header: Buffer.from([9, 9]) }])).to.equal('INVALID_ARGUMENT');
    const tooLarge = Buffer.from(encodeSnapshotHeader(HEADER, LIMITS.snapshotBytesMax + 1));
    expect(await sendRaw(b, [{ header: tooLarge }])).to.equal('THROTTLED');
    expect(b.snapshots).to.be.empty;
    expect(await sendRaw(b, [{ header }, { data }, { crc }])).to.equal(undefined);
    expect(b.snapshots).to.have.length(1);
  });
});
