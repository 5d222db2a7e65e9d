import { once } from 'node:events';
import http2 from 'node:http2';
import net from 'node:net';
import { credentials, type StatusObject } from '@grpc/grpc-js';
import { expect } from 'chai';
import { brokerId } from '../../../src/model/ids.js';
import { callMetadata } from '../../../src/rpc/peer-metadata.js';
import { protoTypes } from '../../../src/rpc/proto.js';
import { FLOW_CONTROL_WINDOW_BYTES } from '../../../src/rpc/channel.js';
import { eventually } from '../../support/eventually.js';
import { connectedPair, heartbeat, type TestPeer } from '../../support/peers.js';

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

/** Sends bytes over a bare connection and waits until the other side has had enough, or a while. */
async function throwAt(port: number, bytes: Uint8Array | string): Promise<void> {
  const socket = net.connect({ host: '127.0.0.1', port });
  socket.on('error', () => undefined);
  socket.resume();
  await once(socket, 'connect');
  socket.write(bytes);
  socket.setTimeout(100, () => socket.destroy());
  await once(socket, 'close');
}

describe('peer transport: hostile input', () => {
  let a: TestPeer;
  let b: TestPeer;
  beforeEach(async () => {
    [a, b] = await connectedPair();
  });
  afterEach(async () => {
    await Promise.all([a.transport.stop(), b.transport.stop()]);
  });

  /** The link that was there before still carries messages, without having been interrupted. */
  async function expectUnharmed(): Promise<void> {
    const before = b.heard.length;
    expect(a.transport.isUp(b.address.id)).to.equal(true);
    a.transport.send(b.address.id, [heartbeat(1, 2)]);
    await eventually('heard', () => b.heard.length > before);
    expect(a.lost).to.be.empty;
  }

  it('is not harmed by bytes that are not HTTP/2', async () => {
    const noise = Buffer.alloc(100_000, 0);
    for (let i = 0; i < noise.length; i += 1) noise[i] = (i * 7919) & 0xff;
    const frames = Buffer.alloc(4096, 0xff);
    for (const bytes of [
      noise,
      'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
      PREFACE.slice(0, 10),
      PREFACE,
      Buffer.concat([Buffer.from(PREFACE), frames]),
      Buffer.concat([Buffer.from(PREFACE), noise]),
      '',
    ]) {
      await throwAt(b.address.port, bytes);
    }
    await expectUnharmed();
  });

  it('ends a stream with a malformed envelope and nothing else', async () => {
    const address = `127.0.0.1:${b.address.port}`;
    const client = new (protoTypes().Peer)(address, credentials.createInsecure());
    const metadata = callMetadata({ self: brokerId(5), clusterId: () => 'c1' }, 2);
    const call = client.control(metadata);
    call.on('error', () => undefined);
    call.resume();
    call.write({ messages: Buffer.from([1, 1, 77, 0, 0, 0]) });
    const status = await new Promise<StatusObject>((resolve) => call.once('status', resolve));
    client.close();
    expect(status.code).to.equal(3);
    expect(status.details).to.contain('message kind 77');
    await expectUnharmed();
  });

  it('refuses calls of the client API on the peer port', async () => {
    const address = `127.0.0.1:${b.address.port}`;
    const client = new (protoTypes().Cluster)(address, credentials.createInsecure());
    const code = await new Promise((resolve) =>
      client.getMetadata({}, (error) => resolve(error?.code)),
    );
    client.close();
    expect(code).to.equal(12);
    await expectUnharmed();
  });

  it('offers wide receive windows to those who send', async () => {
    const session = http2.connect(`http://127.0.0.1:${b.address.port}`);
    try {
      await eventually(
        'wide windows',
        () =>
          !session.connecting &&
          session.remoteSettings.initialWindowSize === FLOW_CONTROL_WINDOW_BYTES &&
          session.state.remoteWindowSize === FLOW_CONTROL_WINDOW_BYTES,
      );
    } finally {
      session.destroy();
    }
    expect(b.telemetry.lines.filter(({ level }) => level === 'warn')).to.be.empty;
  });
});
