import type { Http2Server } from 'node:http2';
import { Server } from '@grpc/grpc-js';
import { expect } from 'chai';
import { trackSockets } from '../../../src/rpc/flow-control.js';
import { listenOn } from '../../../src/rpc/grpc-server.js';
import { recordingTelemetry } from '../../support/telemetry.js';

describe('rpc/flow-control', () => {
  it('reaches the HTTP/2 server of a bound gRPC server of the pinned grpc-js', async () => {
    const server = new Server();
    const telemetry = recordingTelemetry();
    const listener = await listenOn(server, { host: '127.0.0.1', port: 0 }, telemetry.log);
    expect(trackSockets(server)).to.be.a('set');
    expect(telemetry.lines).to.be.empty;
    await listener.stop(100);
  });

  it('says so when there is none to reach', () => {
    const unbound = new Server();
    expect(trackSockets(unbound)).to.equal(undefined);
    Object.defineProperty(unbound, 'http2Servers', {
      value: new Map([[{}, {}]]),
      configurable: true,
    });
    expect(trackSockets(unbound)).to.equal(undefined);
    Object.defineProperty(unbound, 'http2Servers', { value: undefined });
    expect(trackSockets(unbound)).to.equal(undefined);
  });

  it('warns at start-up when the windows stay narrow, and serves nevertheless', async () => {
    const server = new Server();
    const hidden: Http2Server[] = [];
    Object.defineProperty(server, 'http2Servers', {
      value: {
        set: (http2: Http2Server) => hidden.push(http2),
        get: () => undefined,
        keys: () => [],
        delete: () => true,
      },
    });
    const telemetry = recordingTelemetry();
    const listener = await listenOn(server, { host: '127.0.0.1', port: 0 }, telemetry.log);
    expect(listener.port).to.be.above(0);
    expect(telemetry.lines.map(({ level }) => level)).to.deep.equal(['warn']);
    // grpc-js cannot find it either, so nobody else would close it.
    expect(hidden).to.have.length(1);
    for (const http2 of hidden) await new Promise((resolve) => http2.close(resolve));
  });
});
