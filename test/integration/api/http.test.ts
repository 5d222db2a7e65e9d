import { once } from 'node:events';
import net from 'node:net';
import { expect } from 'chai';
import { HttpListener } from '../../../src/api/http/listener.js';
import type { BrokerHealth } from '../../../src/broker/types.js';
import { closed } from '../../support/closed-socket.js';

describe('HTTP: health and metrics', () => {
  let listener: HttpListener;
  let base: string;
  let port: number;
  let health: BrokerHealth;
  beforeEach(async () => {
    health = { live: true, ready: false, reason: 'waits for broker 2' };
    listener = new HttpListener({
      health: () => health,
      metrics: { contentType: 'text/plain; version=0.0.4', text: async () => 'millrace_x 1\n' },
    });
    port = await listener.listen('127.0.0.1', 0);
    base = `http://127.0.0.1:${port}`;
  });
  afterEach(() => listener.stop());

  const get = async (path: string, method = 'GET'): Promise<readonly [number, string]> => {
    const response = await fetch(base + path, { method });
    return [response.status, await response.text()];
  };

  it('tells whether the broker lives and whether it is ready, and why not', async () => {
    expect(await get('/health/live')).to.deep.equal([200, 'live\n']);
    expect(await get('/health/ready')).to.deep.equal([503, 'not ready: waits for broker 2\n']);
    health = { live: true, ready: true, reason: '' };
    expect(await get('/health/ready?x=1')).to.deep.equal([200, 'ready\n']);
    health = { live: true, ready: true, reason: 'a replica was stopped' };
    expect(await get('/health/ready')).to.deep.equal([200, 'ready, but a replica was stopped\n']);
    health = { live: false, ready: false, reason: 'gone' };
    expect(await get('/health/live')).to.deep.equal([503, 'not live: gone\n']);
  });

  it('gives metrics in the type that Prometheus expects', async () => {
    const response = await fetch(`${base}/metrics`);
    expect(response.headers.get('content-type')).to.contain('version=0.0.4');
    expect(await response.text()).to.equal('millrace_x 1\n');
  });

  it('answers nothing else', async () => {
    expect((await get('/'))[0]).to.equal(404);
    expect((await get('/../etc/passwd'))[0]).to.equal(404);
    expect((await get('/metrics', 'POST'))[0]).to.equal(405);
    expect(await get('/health/live', 'HEAD')).to.deep.equal([200, '']);
  });

  it('is not harmed by garbage', async () => {
    for (const bytes of [
      '\0\0\0\0\r\n\r\n',
      `GET / HTTP/1.1\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`,
    ]) {
      const socket = net.connect({ host: '127.0.0.1', port });
      // What the server has not read when it hangs up ends in a reset: that is no failure.
      socket.on('error', () => undefined);
      socket.resume();
      socket.write(bytes);
      await closed(socket);
    }
    expect((await get('/health/live'))[0]).to.equal(200);
  });

  it('stops with connections open', async () => {
    const socket = net.connect({ host: '127.0.0.1', port });
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    const isClosed = closed(socket);
    await listener.stop();
    await isClosed;
  });
});
