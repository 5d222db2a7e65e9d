import { expect } from 'chai';
import { LIMITS } from '../../../src/model/limits.js';
import { eventually, soon } from '../../support/eventually.js';
import {
  append,
  BULK_QUEUE_BYTES,
  connectedPair,
  heartbeat,
  listeningPeer,
  startPeer,
  type TestPeer,
} from '../../support/peers.js';
import { TestProxy } from '../../support/proxy.js';

const MIB = 1024 * 1024;

/** Read rounds of the heartbeats and indexes of the appends that a peer heard, in order. */
function heardBy(peer: TestPeer): { control: number[]; bulk: number[] } {
  const control: number[] = [];
  const bulk: number[] = [];
  for (const { message } of peer.heard) {
    if (message.message.kind === 'heartbeatResponse') control.push(message.message.readRound);
    if (message.message.kind === 'appendRequest') bulk.push(message.message.entries[0]!.index);
  }
  return { control, bulk };
}

const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1);

describe('peer transport: messages', () => {
  let open: { stop(): Promise<void> }[] = [];
  afterEach(async () => {
    await Promise.all(open.map((thing) => thing.stop()));
    open = [];
  });

  async function pair(): Promise<readonly [TestPeer, TestPeer]> {
    const [a, b] = await connectedPair();
    open.push(a.transport, b.transport);
    return [a, b];
  }

  /** a speaks to b through a proxy; b reaches a directly. */
  async function pairThrough(proxy: TestProxy): Promise<readonly [TestPeer, TestPeer]> {
    const a = await listeningPeer(1);
    const b = await listeningPeer(2);
    open.push(a.transport, b.transport, proxy);
    const port = await proxy.listen(b.address.port);
    a.transport.setPeers([{ ...b.address, port }]);
    b.transport.setPeers([a.address]);
    startPeer(a);
    startPeer(b);
    await eventually('links up', () => a.transport.isUp(b.address.id));
    return [a, b];
  }

  it('delivers both kinds whole, in the order of their stream, both ways', async () => {
    const [a, b] = await pair();
    for (const n of upTo(300)) {
      expect(a.transport.send(b.address.id, [heartbeat(1, 2, n), append(1, 2, n, 1000)])).to.be
        .empty;
      expect(b.transport.send(a.address.id, [heartbeat(2, 1, n)])).to.be.empty;
    }
    await eventually('all heard', () => b.heard.length === 600 && a.heard.length === 300);
    expect(heardBy(b)).to.deep.equal({ control: upTo(300), bulk: upTo(300) });
    expect(heardBy(a).control).to.deep.equal(upTo(300));
    const payloads = b.heard.flatMap(({ message: { message } }) =>
      message.kind === 'appendRequest' ? message.entries.map(({ payload }) => payload) : [],
    );
    payloads.forEach((payload, i) => {
      expect([payload.length, payload[0], payload[999]]).to.deep.equal([
        1000,
        (i + 1) % 251,
        (i + 1) % 251,
      ]);
    });
  });

  it('carries a batch of the largest size', async () => {
    const [a, b] = await pair();
    const message = append(1, 2, 1, LIMITS.batchBytesMax);
    expect(a.transport.send(b.address.id, [message])).to.be.empty;
    await eventually('heard', () => b.heard.length === 1);
    expect(b.heard[0]!.message).to.deep.equal(message);
  });

  it('packs what waits into few envelopes', async () => {
    const [a, b] = await pair();
    a.transport.send(
      b.address.id,
      upTo(1000).map((n) => heartbeat(1, 2, n)),
    );
    await eventually('all heard', () => b.heard.length === 1000);
    expect(a.telemetry.values.get('peer_sent_envelopes_total')).to.be.at.most(2);
  });

  it('never lets control messages wait behind bulk', async () => {
    const [a, b] = await pairThrough(new TestProxy({ bytesPerSecond: 4 * MIB }));
    a.transport.send(
      b.address.id,
      upTo(8).map((n) => append(1, 2, n, MIB)),
    );
    a.transport.send(b.address.id, [heartbeat(1, 2, 7)]);
    await soon('control heard', 500, () => heardBy(b).control.length === 1);
    // Two of them take half a second.
    expect(heardBy(b).bulk.length).to.be.at.most(2);
    await eventually('bulk heard', () => heardBy(b).bulk.length === 8);
  });

  it('drops and returns what does not fit while the peer takes nothing, and recovers', async () => {
    const proxy = new TestProxy();
    const [a, b] = await pairThrough(proxy);
    proxy.stall();
    let dropped = 0;
    const total = (2 * BULK_QUEUE_BYTES) / MIB;
    for (const n of upTo(total)) {
      dropped += a.transport.send(b.address.id, [append(1, 2, n, MIB)]).length;
    }
    const keptBytes = (total - dropped) * MIB;
    // What the streams and the system hold comes on top of the queue.
    expect(keptBytes).to.be.within(BULK_QUEUE_BYTES - 2 * MIB, BULK_QUEUE_BYTES + 16 * MIB);
    expect(a.telemetry.values.get('peer_dropped_messages_total')).to.equal(dropped);
    proxy.resume();
    await eventually('the rest heard', () => heardBy(b).bulk.length === total - dropped);
    expect(heardBy(b).bulk).to.deep.equal(upTo(total - dropped));
  });

  it('returns messages to a peer that is not there', async () => {
    const a = await listeningPeer(1);
    open.push(a.transport);
    startPeer(a);
    expect(a.transport.send(a.address.id, [])).to.be.empty;
    const [b, c] = [heartbeat(1, 2), heartbeat(1, 2, 1)];
    expect(a.transport.send(b.message.to, [b, c])).to.deep.equal([b, c]);
  });

  it('follows a peer to its new address', async () => {
    const [a, b] = await pair();
    const moved = await listeningPeer(2);
    open.push(moved.transport);
    moved.transport.setPeers([a.address]);
    startPeer(moved);
    a.transport.setPeers([moved.address]);
    await eventually('heard there', () => {
      a.transport.send(b.address.id, [heartbeat(1, 2)]);
      return moved.heard.length > 0;
    });
    expect(b.heard).to.be.empty;
  });
});
