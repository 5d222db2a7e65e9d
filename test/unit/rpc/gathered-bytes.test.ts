import { once } from 'node:events';
import {
  Client,
  credentials,
  Server,
  type ClientDuplexStream,
  type ServerDuplexStream,
} from '@grpc/grpc-js';
import { expect } from 'chai';
import fc from 'fast-check';
import { ByteWriter } from '../../../src/base/bytes.js';
import {
  GatheredBytes,
  GatheringWriter,
  serializeGathered,
} from '../../../src/rpc/gathered-bytes.js';
import { listenOn } from '../../../src/rpc/grpc-server.js';
import { encodeBatchRequest } from '../../../src/rpc/produce-stream.js';
import { protoTypes } from '../../../src/rpc/proto.js';
import { recordingTelemetry } from '../../support/telemetry.js';

const anyPart = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.uint8Array({ minLength: 1_000, maxLength: 1_100 }),
);

describe('rpc/gathered-bytes', () => {
  it('is what a writer that copies everything would have written', () => {
    fc.assert(
      fc.property(fc.array(anyPart, { maxLength: 8 }), (values) => {
        const plain = new ByteWriter();
        const gathering = new GatheringWriter();
        for (const value of values) {
          plain.uvarint(value.length).bytes(value).u32(7);
          gathering.uvarint(value.length).bytes(value).u32(7);
        }
        const wanted = plain.finish();
        const gathered = gathering.gathered();
        expect(gathered.length).to.equal(wanted.length);
        expect(gathered.byteLength).to.equal(wanted.length);
        expect(gathered.joined()).to.deep.equal(wanted);
      }),
    );
  });

  it('takes large bytes where they are, until they are copied', () => {
    const large = new Uint8Array(5_000).fill(1);
    const gathered = new GatheringWriter().u8(9).bytes(large).gathered();
    large.fill(2);
    expect(gathered.joined().at(-1)).to.equal(2);
  });

  it('starts over once it has handed out what it gathered', () => {
    const w = new GatheringWriter();
    w.raw(new Uint8Array(2_000)).gathered();
    expect(w.u8(3).gathered().joined()).to.deep.equal(Uint8Array.of(3));
  });

  it('encodes a produce request as protobuf does', () => {
    const { requestDeserialize } = protoTypes().Records.service.ProduceStream;
    const fields = { correlationId: 5, topic: 'orders', partition: 3, timeoutMs: 700 };
    for (const bytes of [1, 300, 70_000]) {
      const batch = new Uint8Array(bytes).map((_, i) => i);
      const wire = Buffer.from(encodeBatchRequest({ ...fields, batch }).joined());
      const read = requestDeserialize(wire);
      expect(read).to.include({ ...fields, payload: 'batch' });
      expect(new Uint8Array(read.batch ?? [])).to.deep.equal(batch);
    }
  });

  it('travels through the pinned grpc-js, which knows it only as what a serializer returned', async () => {
    const echo = {
      path: '/test/Echo',
      requestStream: true,
      responseStream: true,
      requestSerialize: serializeGathered,
      requestDeserialize: (bytes: Buffer) => bytes,
      responseSerialize: serializeGathered,
      responseDeserialize: (bytes: Buffer) => bytes,
    } as const;
    const server = new Server();
    server.addService(
      { echo },
      {
        echo: (call: ServerDuplexStream<Buffer, GatheredBytes>) => {
          call.on('data', (bytes: Buffer) => {
            call.write(new GatheredBytes([bytes.subarray(0, 3), bytes.subarray(3)]));
          });
          call.on('end', () => call.end());
        },
      },
    );
    const address = { host: '127.0.0.1', port: 0 };
    const listener = await listenOn(server, address, recordingTelemetry().log);
    const client = new Client(`127.0.0.1:${listener.port}`, credentials.createInsecure());
    try {
      const call: ClientDuplexStream<GatheredBytes, Buffer> = client.makeBidiStreamRequest(
        echo.path,
        echo.requestSerialize,
        echo.responseDeserialize,
      );
      const sent = new GatheredBytes([Uint8Array.of(1, 2, 3, 4), new Uint8Array(100_000).fill(5)]);
      call.write(sent);
      const [back] = (await once(call, 'data')) as [Buffer];
      expect(new Uint8Array(back)).to.deep.equal(sent.joined());
      call.end();
      await once(call.resume(), 'end');
    } finally {
      client.close();
      await listener.stop(100);
    }
  });
});
