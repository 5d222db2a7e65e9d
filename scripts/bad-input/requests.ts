import { crc32c } from '../../src/base/crc32c.js';
import { NO_PRODUCER, RecordBatchBuilder } from '../../src/model/record-batch-builder.js';
import type { Case } from './case.js';
import { fetchAt, produce, rawMessage } from './grpc.js';
import type { Patient } from './patient.js';

const MIB = 1024 * 1024;

/** What programs send that know the API, but not its rules. */
export function requests(p: Patient): Case[] {
  const bad = /(INVALID_BATCH|CORRUPT_BATCH): /;
  return [
    produce(p, 'a batch over the limit', /BATCH_TOO_LARGE: /, batchOf(2 * MIB)),
    rawMessage(p, 'a message over the limit', /RESOURCE_EXHAUSTED/, new Uint8Array(40 * MIB)),
    rawMessage(
      p,
      'a message that is no protobuf',
      /INTERNAL: Error deserializing request/,
      new Uint8Array(1_000).fill(0xff),
    ),
    produce(p, 'a batch with a wrong CRC', /CORRUPT_BATCH: /, wrongCrc()),
    produce(p, 'a batch with a wrong count', bad, batchWith(57, 7)),
    produce(p, 'a batch with count -1', bad, batchWith(57, -1)),
    produce(p, 'a batch of a negative length', bad, batchWith(8, -1)),
    produce(p, 'a batch of a length beyond its end', bad, batchWith(8, 1 << 20)),
    produce(p, 'a batch with wrong offsets', bad, batchWith(23, 5)),
    produce(p, 'a batch that starts at an offset of its own', bad, batchWith(4, 99)),
    produce(p, 'a batch of 10 bytes', bad, new Uint8Array(10)),
    produce(p, 'an empty batch', /[A-Z_]+: /, new Uint8Array(0)),
    produce(p, 'an expected offset of -1', /INVALID_ARGUMENT: expected_offset: /, batchOf(1), {
      expectedOffset: -1,
    }),
    produce(p, 'an expected offset without a quorum', /INVALID_ARGUMENT: .* quorum/, batchOf(1), {
      expectedOffset: 0,
      acks: 'ACKS_LEADER',
    }),
    produce(p, 'an expected offset beyond the end', /EXPECTATION_FAILED: /, batchOf(1), {
      expectedOffset: Number.MAX_SAFE_INTEGER,
    }),
    fetchAt(p, 'a fetch beyond the end', /OFFSET_OUT_OF_RANGE: /, 999),
    fetchAt(p, 'a fetch before the start', /OFFSET_OUT_OF_RANGE: /, 0),
    fetchAt(p, 'a fetch at offset -5', /INVALID_ARGUMENT|OFFSET_OUT_OF_RANGE/, -5),
  ];
}

function batchOf(bytes: number): Uint8Array {
  const builder = new RecordBatchBuilder();
  builder.append({ value: new Uint8Array(bytes) }, 1_700_000_000_000);
  return builder.finish(NO_PRODUCER, crc32c).slice();
}

/** A good batch with one field set to another value, and the checksum right again. */
function batchWith(at: number, value: number): Uint8Array {
  const batch = batchOf(20);
  const view = new DataView(batch.buffer, batch.byteOffset);
  view.setInt32(at, value);
  view.setUint32(17, crc32c(batch.subarray(21)));
  return batch;
}

function wrongCrc(): Uint8Array {
  const batch = batchOf(20);
  batch[70] = (batch[70] ?? 0) ^ 1;
  return batch;
}
