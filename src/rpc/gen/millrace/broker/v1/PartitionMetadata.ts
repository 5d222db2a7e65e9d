// Original file: proto/millrace/broker/v1/cluster.proto

import type { Long } from '@grpc/proto-loader';

export interface PartitionMetadata {
  'partition'?: (number);
  'replicas'?: (number)[];
  'leader'?: (number);
  'leaderEpoch'?: (number | string | Long);
}

export interface PartitionMetadata__Output {
  'partition': (number);
  'replicas': (number)[];
  'leader': (number);
  'leaderEpoch': (number);
}
