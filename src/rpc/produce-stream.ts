import type { ClientDuplexStream } from '@grpc/grpc-js';
import { GatheredBytes, serializeGathered } from './gathered-bytes.js';
import type { ProduceRequest } from './gen/millrace/broker/v1/ProduceRequest.js';
import type { ProduceResponse__Output } from './gen/millrace/broker/v1/ProduceResponse.js';
import type { RecordsClient } from './gen/millrace/broker/v1/Records.js';
import { protoTypes } from './proto.js';

/** Number of the request's field `batch`. */
const BATCH_FIELD = 6;

export interface BatchRequest extends Omit<ProduceRequest, 'batch' | 'plain' | 'payload'> {
  /** Must not change until it was answered, or the stream has ended. */
  readonly batch: Uint8Array;
}

export type BatchStream = ClientDuplexStream<BatchRequest, ProduceResponse__Output>;

/** A produce stream that copies a batch once, into the frame it leaves in. */
export function openBatchStream(records: RecordsClient): BatchStream {
  const { path, responseDeserialize } = protoTypes().Records.service.ProduceStream;
  return records.makeBidiStreamRequest(path, serializeRequest, responseDeserialize);
}

/** As protobuf; whoever reads it takes fields in any order. */
export function encodeBatchRequest({ batch, ...fields }: BatchRequest): GatheredBytes {
  const { requestSerialize } = protoTypes().Records.service.ProduceStream;
  return new GatheredBytes([batch]).asField(BATCH_FIELD, requestSerialize(fields));
}

function serializeRequest(request: BatchRequest): Buffer {
  return serializeGathered(encodeBatchRequest(request));
}
