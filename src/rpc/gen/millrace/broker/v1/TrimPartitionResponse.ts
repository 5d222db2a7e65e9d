// Original file: proto/millrace/broker/v1/cluster.proto

import type { Long } from '@grpc/proto-loader';

export interface TrimPartitionResponse {
  'logStartOffset'?: (number | string | Long);
}

export interface TrimPartitionResponse__Output {
  'logStartOffset': (number);
}
