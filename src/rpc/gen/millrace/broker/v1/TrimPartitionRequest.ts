// Original file: proto/millrace/broker/v1/cluster.proto

import type { Long } from '@grpc/proto-loader';

export interface TrimPartitionRequest {
  'topic'?: (string);
  'partition'?: (number);
  'beforeOffset'?: (number | string | Long);
  'topicId'?: (string);
}

export interface TrimPartitionRequest__Output {
  'topic': (string);
  'partition': (number);
  'beforeOffset': (number);
  'topicId': (string);
}
