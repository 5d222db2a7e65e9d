import { expect } from 'chai';
import fc from 'fast-check';
import { BrokerError } from '../../../src/model/errors.js';
import { encodeFetchResponse, type FetchedBatches } from '../../../src/rpc/fetch-response.js';
import { protoTypes } from '../../../src/rpc/proto.js';
import { errorToWire } from '../../../src/rpc/status.js';

const anyPartition = fc.record({
  topic: fc.string({ minLength: 1, maxLength: 40 }),
  partition: fc.nat(9_999),
  batches: fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 4 }),
  highWatermark: fc.integer({ min: -1, max: 2 ** 52 }),
  logStartOffset: fc.integer({ min: -1, max: 2 ** 52 }),
  leaderEpoch: fc.nat(),
  nextOffset: fc.maxSafeNat(),
});

function read(partitions: readonly FetchedBatches[], brokerId: number): object {
  const { responseDeserialize } = protoTypes().Records.service.FetchStream;
  return responseDeserialize(Buffer.from(encodeFetchResponse({ partitions, brokerId }).joined()));
}

describe('rpc/fetch-response', () => {
  it('is what protobuf would have written, batches joined', () => {
    fc.assert(
      fc.property(
        fc.array(anyPartition, { maxLength: 4 }),
        fc.nat(1_000),
        (partitions, brokerId) => {
          expect(read(partitions, brokerId)).to.deep.equal({
            partitions: partitions.map((p) => {
              return { ...p, error: null, batches: Buffer.concat(p.batches) };
            }),
            brokerId,
          });
        },
      ),
    );
  });

  it('holds batches of every size, and leaves them where they are', () => {
    const small = { topic: 't', partition: 1, error: null };
    for (const bytes of [1, 127, 128, 16_383, 16_384, 2_097_152]) {
      const batch = new Uint8Array(bytes).fill(1);
      const encoded = encodeFetchResponse({ partitions: [{ ...small, batches: [batch] }] });
      batch.fill(2);
      const { responseDeserialize } = protoTypes().Records.service.FetchStream;
      const [found] = responseDeserialize(Buffer.from(encoded.joined())).partitions;
      expect(found?.batches.length).to.equal(bytes);
      expect(found?.batches.at(-1)).to.equal(2);
    }
  });

  it('says of a partition that failed why, and nothing else', () => {
    const error = errorToWire(new BrokerError('NOT_LEADER', 'broker 2 leads'));
    const failed = { topic: 't', partition: 1, error, batches: [], highWatermark: -1 };
    const served = { topic: 't', partition: 2, error: null, batches: [Uint8Array.of(7)] };
    expect(read([failed, served], 3)).to.have.nested.property(
      'partitions[0].error.code',
      'NOT_LEADER',
    );
    expect(read([failed, served], 3)).to.have.nested.property('partitions[1].batches[0]', 7);
  });
});
