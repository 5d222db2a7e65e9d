// Original file: proto/millrace/broker/v1/cluster.proto

import type { Long } from '@grpc/proto-loader';

export interface InitProducerRequest {
  'producerId'?: (number | string | Long);
  'producerEpoch'?: (number);
  '_producerId'?: "producerId";
}

export interface InitProducerRequest__Output {
  'producerId'?: (number);
  'producerEpoch': (number);
  '_producerId'?: "producerId";
}
