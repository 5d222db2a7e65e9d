import { crc32c } from '../../src/base/crc32c.js';
import { brokerId, incarnation, logIndex, raftGroupId, term } from '../../src/model/ids.js';
import { LIMITS } from '../../src/model/limits.js';
import type { PeerAddress, PeerMessage, SnapshotHeader } from '../../src/ports/transport.js';
import { PeerTransport } from '../../src/rpc/peer-transport.js';
import { eventually } from './eventually.js';
import { recordingTelemetry, type RecordingTelemetry } from './telemetry.js';

/** One broker's transport with everything it heard. */
export interface TestPeer {
  readonly id: number;
  readonly transport: PeerTransport;
  readonly telemetry: RecordingTelemetry;
  readonly address: PeerAddress;
  readonly heard: { readonly from: number; readonly message: PeerMessage }[];
  readonly snapshots: {
    readonly from: number;
    readonly header: SnapshotHeader;
    readonly state: Uint8Array;
  }[];
  readonly lost: number[];
}

export interface TestPeerOptions {
  readonly clusterId?: string | (() => string);
  readonly snapshotBytesPerSecondMax?: number;
}

/** Listens on a free port of 127.0.0.1; does not start. */
export async function listeningPeer(id: number, options: TestPeerOptions = {}): Promise<TestPeer> {
  const telemetry = recordingTelemetry();
  const cluster = options.clusterId ?? 'c1';
  const transport = new PeerTransport({
    identity: {
      self: brokerId(id),
      clusterId: () => (typeof cluster === 'string' ? cluster : cluster()),
    },
    snapshotBytesPerSecondMax: options.snapshotBytesPerSecondMax ?? 1024 * 1024 * 1024,
    crc32c,
    telemetry,
  });
  const port = await transport.listen('127.0.0.1', 0);
  const address = { id: brokerId(id), host: '127.0.0.1', port };
  return { id, transport, telemetry, address, heard: [], snapshots: [], lost: [] };
}

export function startPeer(peer: TestPeer): void {
  peer.transport.start({
    messages: (from, messages) => {
      for (const message of messages) peer.heard.push({ from, message });
    },
    snapshot: async (from, header, state) => {
      peer.snapshots.push({ from, header, state });
    },
    connectionLost: (id) => peer.lost.push(id),
  });
}

/** Two brokers of one cluster whose links are up. */
export async function connectedPair(
  options: TestPeerOptions = {},
): Promise<readonly [TestPeer, TestPeer]> {
  const a = await listeningPeer(1, options);
  const b = await listeningPeer(2, options);
  for (const peer of [a, b]) {
    peer.transport.setPeers([a.address, b.address]);
    startPeer(peer);
  }
  await eventually(
    'links up',
    () => a.transport.isUp(b.address.id) && b.transport.isUp(a.address.id),
  );
  return [a, b];
}

export function heartbeat(from: number, to: number, readRound = 0): PeerMessage {
  return {
    group: raftGroupId(1),
    message: {
      kind: 'heartbeatResponse',
      from: brokerId(from),
      to: brokerId(to),
      term: term(1),
      incarnation: incarnation(1),
      readRound,
      repairing: false,
    },
  };
}

/** An append of one entry at `index` with a payload of this many bytes. */
export function append(from: number, to: number, index: number, payloadBytes: number): PeerMessage {
  return {
    group: raftGroupId(1),
    message: {
      kind: 'appendRequest',
      from: brokerId(from),
      to: brokerId(to),
      term: term(1),
      incarnation: incarnation(1),
      prev: { term: term(1), index: logIndex(index - 1) },
      commit: logIndex(0),
      repairTarget: undefined,
      entries: [
        {
          term: term(1),
          index: logIndex(index),
          kind: 'batch',
          timeMs: 1,
          payload: new Uint8Array(payloadBytes).fill(index % 251),
        },
      ],
    },
  };
}

export const BULK_QUEUE_BYTES = LIMITS.peerBulkQueueBytesMax;
