import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { brokerId } from '../../../src/model/ids.js';
import { eventually, soon } from '../../support/eventually.js';
import {
  connectedPair,
  heartbeat,
  listeningPeer,
  startPeer,
  type TestPeer,
} from '../../support/peers.js';
import { TestProxy } from '../../support/proxy.js';

const PEER_PROCESS = fileURLToPath(new URL('../../support/peer-process.ts', import.meta.url));

function streamsEnded(peer: TestPeer): number {
  return peer.telemetry.lines.filter(({ text }) => text === 'peer stream ended').length;
}

describe('peer transport: lost connections', () => {
  let open: { stop(): Promise<void> }[] = [];
  let child: ChildProcess | undefined;
  afterEach(async () => {
    child?.kill('SIGKILL');
    child = undefined;
    await Promise.all(open.map((thing) => thing.stop()));
    open = [];
  });

  it('tells within milliseconds that a peer was killed, once', async () => {
    const a = await listeningPeer(1);
    open.push(a.transport);
    startPeer(a);
    const args = ['--import', 'tsx', PEER_PROCESS, '2', '1', String(a.address.port)];
    child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (await once(child.stdout!, 'data')) as [Buffer];
    const peer = { id: brokerId(2), host: '127.0.0.1', port: Number(line.toString()) };
    a.transport.setPeers([peer]);
    await eventually('link up', () => a.transport.isUp(peer.id));

    // How long the system takes to end a process, and with it its sockets, is the system's business.
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
    await soon('loss noticed', 250, () => a.lost.length > 0);
    expect(a.transport.isUp(peer.id)).to.equal(false);
    expect(a.lost).to.deep.equal([2]);
  });

  it('tells when every socket is reset and nothing listens any more', async () => {
    const proxy = new TestProxy();
    const a = await listeningPeer(1);
    const b = await listeningPeer(2);
    open.push(a.transport, b.transport, proxy);
    const port = await proxy.listen(b.address.port);
    a.transport.setPeers([{ ...b.address, port }]);
    b.transport.setPeers([]);
    startPeer(a);
    startPeer(b);
    await eventually('link up', () => a.transport.isUp(b.address.id));
    await proxy.die();
    await soon('loss noticed', 500, () => a.lost.length > 0);
    expect(a.lost).to.deep.equal([2]);
  });

  it('is up again at once, and says nothing, when only the connections broke', async () => {
    const proxy = new TestProxy();
    const a = await listeningPeer(1);
    const b = await listeningPeer(2);
    open.push(a.transport, b.transport, proxy);
    const port = await proxy.listen(b.address.port);
    a.transport.setPeers([{ ...b.address, port }]);
    b.transport.setPeers([a.address]);
    startPeer(a);
    startPeer(b);
    await eventually('link up', () => a.transport.isUp(b.address.id));
    const ended = streamsEnded(a);
    proxy.resetConnections();
    // It may be up again before anybody looks: that it was down is what its log says.
    await eventually('break noticed', () => streamsEnded(a) > ended);
    await soon('link up again', 400, () => a.transport.isUp(b.address.id));
    a.transport.send(b.address.id, [heartbeat(1, 2)]);
    await eventually('heard', () => b.heard.length === 1);
    expect(a.lost).to.be.empty;
  });

  it('tells of a loss again after the peer had come back', async () => {
    const [a, b] = await connectedPair();
    open.push(a.transport, b.transport);
    await b.transport.stop();
    await eventually('first loss', () => a.lost.length === 1);
    const again = await listeningPeer(2);
    open.push(again.transport);
    a.transport.setPeers([again.address]);
    again.transport.setPeers([a.address]);
    startPeer(again);
    await eventually('link up again', () => a.transport.isUp(again.address.id));
    await again.transport.stop();
    await eventually('second loss', () => a.lost.length === 2);
  });

  it('reconnects as soon as a peer that was away comes back', async () => {
    const a = await listeningPeer(1);
    const b = await listeningPeer(2);
    open.push(a.transport, b.transport);
    a.transport.setPeers([b.address]);
    b.transport.setPeers([a.address]);
    // Refused until b starts: a has backed off by then.
    startPeer(a);
    await eventually('refusals seen', () => streamsEnded(a) >= 6);
    startPeer(b);
    await soon('link up', 300, () => a.transport.isUp(b.address.id));
  });
});
