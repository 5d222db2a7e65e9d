import { expect } from 'chai';
import net from 'node:net';

import { Link } from '../../scripts/lib/link.js';
import { isConnectionRefused } from '../../src/rpc/peer-probe.js';
import { eventually } from '../support/eventually.js';

/** Answers what it hears. */
async function echo(port = 0): Promise<net.Server> {
  const server = net.createServer((socket) => {
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return server;
}

function portOf(server: net.Server): number {
  return (server.address() as net.AddressInfo).port;
}

/** A client that says something and keeps what it hears. */
class Caller {
  heard = '';
  isClosed = false;
  private readonly socket: net.Socket;

  constructor(port: number) {
    this.socket = net.connect({ port, host: '127.0.0.1' });
    this.socket.on('error', () => undefined);
    this.socket.on('data', (chunk: Buffer) => (this.heard += chunk.toString()));
    this.socket.on('close', () => (this.isClosed = true));
  }

  say(text: string): void {
    this.socket.write(text);
  }

  hangUp(): void {
    this.socket.destroy();
  }
}

describe('a link between brokers in chaos runs', function () {
  this.timeout(60_000);
  let server: net.Server;
  let link: Link;
  let port: number;
  let caller: Caller;

  beforeEach(async () => {
    server = await echo();
    link = new Link(portOf(server), 1);
    port = await link.listen();
    caller = new Caller(port);
    caller.say('one ');
    await eventually('it was heard', () => caller.heard === 'one ');
  });
  afterEach(() => {
    caller.hangUp();
    link.stop();
    server.close();
  });

  it('resets connections and refuses new ones while it is cut', async () => {
    expect(link.connections).to.equal(1);
    await link.set({ kind: 'cut' });
    await eventually('the connection is gone', () => caller.isClosed);
    expect(link.connections).to.equal(0);
    expect(await isConnectionRefused('127.0.0.1', port)).to.equal(true);
    await link.set({ kind: 'open' });
    const next = new Caller(port);
    next.say('two');
    await eventually('the next one goes through', () => next.heard === 'two');
    next.hangUp();
  });

  it('closes nothing while it is silent, and brings what was said once it is not', async () => {
    await link.set({ kind: 'silent' });
    caller.say('two');
    const other = new Caller(port);
    other.say('three');
    expect(await isConnectionRefused('127.0.0.1', port)).to.equal(false);
    expect([caller.heard, caller.isClosed]).to.deep.equal(['one ', false]);
    expect([other.heard, other.isClosed]).to.deep.equal(['', false]);
    await link.set({ kind: 'open' });
    await eventually('all arrives', () => caller.heard === 'one two' && other.heard === 'three');
    other.hangUp();
  });

  it('keeps the order of what it delays and has to send again', async () => {
    await link.set({ kind: 'slow', delayMs: 20, jitterMs: 20, lostShare: 0.5, resendMs: 30 });
    const fromMs = performance.now();
    let want = 'one ';
    // How many chunks become of what is said, each of which may be lost, is the system's business.
    for (let i = 0; i < 20 || link.resent === 0; i += 1) {
      caller.say(`${i} `);
      want += `${i} `;
      await new Promise((resolve) => setImmediate(resolve));
    }
    await eventually('all arrives', () => caller.heard.length >= want.length);
    expect(caller.heard).to.equal(want);
    // The time to send again, of one that had no delay before it.
    expect(performance.now() - fromMs).to.be.greaterThan(25);
  });

  it('refuses as a process would that is gone, until it is back', async () => {
    const target = portOf(server);
    caller.hangUp();
    await eventually('nobody is connected', () => caller.isClosed);
    await new Promise<void>((resolve) => server.close(() => resolve()));
    expect(await isConnectionRefused('127.0.0.1', port)).to.equal(true);
    server = await echo(target);
    await eventually('it is reached again', async () => {
      const again = new Caller(port);
      again.say('back');
      await eventually('answered or closed', () => again.heard === 'back' || again.isClosed);
      again.hangUp();
      return again.heard === 'back';
    });
  });
});
