import type {
  handleServerStreamingCall,
  handleUnaryCall,
  ServiceDefinition,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { GatheredBytes, serializeGathered } from './gathered-bytes.js';
import type { FetchRequest__Output } from './gen/millrace/broker/v1/FetchRequest.js';
import type { FetchResponse } from './gen/millrace/broker/v1/FetchResponse.js';
import type { FetchedPartition } from './gen/millrace/broker/v1/FetchedPartition.js';
import type { RecordsHandlers } from './gen/millrace/broker/v1/Records.js';
import { protoTypes } from './proto.js';

/** Numbers of the fields `partitions` of the response, and `batches` of a partition. */
const PARTITIONS_FIELD = 1;
const BATCHES_FIELD = 4;

export interface FetchedBatches extends Omit<FetchedPartition, 'batches'> {
  /** Whole batches, one after another. Nobody may change them any more. */
  readonly batches: readonly Uint8Array[];
}

/** A fetch's answer whose batches lie where they were read. */
export interface GatheredFetchResponse extends Omit<FetchResponse, 'partitions'> {
  readonly partitions: readonly FetchedBatches[];
}

export interface GatheringRecordsHandlers extends UntypedServiceImplementation {
  readonly Fetch: handleUnaryCall<FetchRequest__Output, GatheredFetchResponse>;
  readonly FetchStream: handleServerStreamingCall<FetchRequest__Output, GatheredFetchResponse>;
  readonly Produce: RecordsHandlers['Produce'];
  readonly ProduceStream: RecordsHandlers['ProduceStream'];
}

/** The Records service; batches that it answers with are copied once, into the frame they leave in. */
export function gatheringRecordsService(): ServiceDefinition {
  const { service } = protoTypes().Records;
  const responseSerialize = (response: GatheredFetchResponse): Buffer =>
    serializeGathered(encodeFetchResponse(response));
  return {
    ...service,
    Fetch: { ...service.Fetch, responseSerialize },
    FetchStream: { ...service.FetchStream, responseSerialize },
  };
}

/** As protobuf: parts of one message that stand one after the other are one message. */
export function encodeFetchResponse({ partitions, ...rest }: GatheredFetchResponse): GatheredBytes {
  const { responseSerialize } = protoTypes().Records.service.FetchStream;
  const messages = partitions.map(({ batches, ...fields }) => {
    const alone = contentOf(responseSerialize({ partitions: [fields] }));
    const whole = batches.length === 0 ? new GatheredBytes([alone]) : undefined;
    return (whole ?? new GatheredBytes(batches).asField(BATCHES_FIELD, alone)).asField(
      PARTITIONS_FIELD,
    );
  });
  return GatheredBytes.concat([...messages, new GatheredBytes([responseSerialize(rest)])]);
}

/** What is in a message with nothing but one field that has a length of its own. */
function contentOf(message: Uint8Array): Uint8Array {
  let at = 1;
  while ((message[at] ?? 0) >= 0x80) at += 1;
  return message.subarray(at + 1);
}
