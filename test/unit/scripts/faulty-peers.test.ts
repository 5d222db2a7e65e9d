import { expect } from 'chai';

import { FaultyPeers, NO_FAULTS } from '../../../scripts/lib/faulty-peers.js';
import type { Peers } from '../../../src/main/start-broker.js';
import { brokerId, raftGroupId } from '../../../src/model/ids.js';
import type { GroupMessage, PeerAddress, PeerMessage } from '../../../src/ports/transport.js';
import { eventually } from '../../support/eventually.js';

const TO = brokerId(2);

/** Stands for the transport: keeps what it is given. */
class Kept {
  readonly sent: PeerMessage[] = [];
  peers: readonly PeerAddress[] = [];
  called: unknown;

  asPeers(): Peers {
    return {
      start: () => undefined,
      send: (_to, messages) => {
        this.sent.push(...messages);
        return [];
      },
      sendSnapshot: async () => undefined,
      setPeers: (peers) => (this.peers = peers),
      call: async (to) => {
        this.called = to;
        return new Uint8Array();
      },
      handle: () => undefined,
    };
  }
}

function messages(count: number): PeerMessage[] {
  return Array.from({ length: count }, (_, i) => ({
    group: raftGroupId(i),
    message: { from: brokerId(1), to: TO } as GroupMessage['message'],
  }));
}

describe('the wires of a broker in chaos runs', () => {
  let kept: Kept;
  let peers: FaultyPeers;

  beforeEach(() => {
    kept = new Kept();
    peers = new FaultyPeers(kept.asPeers(), new Map([[7_002, 9_002]]), 1);
  });

  it('change nothing without faults', () => {
    const all = messages(100);
    expect(peers.send(TO, all)).to.deep.equal([]);
    expect(kept.sent).to.deep.equal(all);
    const counts = { sent: 100, repeated: 0, held: 0, lost: 0 };
    expect(peers.order(NO_FAULTS)).to.deep.equal(counts);
    expect(peers.order(NO_FAULTS)).to.deep.equal({ ...counts, sent: 0 });
  });

  it('send every message twice, the second time later', async () => {
    peers.order({ ...NO_FAULTS, repeatedShare: 1, heldMsMax: 5 });
    const all = messages(20);
    peers.send(TO, all);
    expect(kept.sent).to.deep.equal(all);
    await eventually('all came twice', () => kept.sent.length === 40);
    expect(new Set(kept.sent).size).to.equal(20);
    expect(peers.order(NO_FAULTS).repeated).to.equal(20);
  });

  it('let later messages overtake those held back, and lose none of them', async () => {
    peers.order({ ...NO_FAULTS, heldShare: 0.5, heldMsMax: 20 });
    const all = messages(100);
    peers.send(TO, all);
    expect(kept.sent.length).to.be.within(1, 99);
    await eventually('all came', () => kept.sent.length === 100);
    expect(kept.sent).to.not.deep.equal(all);
    expect(new Set(kept.sent).size).to.equal(100);
  });

  it('lose a share', () => {
    peers.order({ ...NO_FAULTS, lostShare: 0.5 });
    peers.send(TO, messages(200));
    const { lost } = peers.order(NO_FAULTS);
    expect(lost).to.be.within(50, 150);
    expect(kept.sent.length).to.equal(200 - lost);
  });

  it('lead to a peer through its proxy, also before the cluster has a directory', async () => {
    const known = { id: TO, host: '127.0.0.1', port: 7_002 };
    const unknown = { id: brokerId(3), host: '127.0.0.1', port: 7_003 };
    peers.setPeers([known, unknown]);
    expect(kept.peers).to.deep.equal([{ ...known, port: 9_002 }, unknown]);
    await peers.call(known, 'm', new Uint8Array(), { deadlineMs: 1 });
    expect(kept.called).to.deep.equal({ ...known, port: 9_002 });
    await peers.call(TO, 'm', new Uint8Array(), { deadlineMs: 1 });
    expect(kept.called).to.equal(TO);
  });
});
