// Original file: proto/millrace/broker/v1/cluster.proto

import type { Long } from '@grpc/proto-loader';

export interface OffsetQuery {
  'topic'?: (string);
  'partition'?: (number);
  'timestampMs'?: (number | string | Long);
  'earliest'?: (boolean);
  'latest'?: (boolean);
  'maxTimestamp'?: (boolean);
  'at'?: "timestampMs"|"earliest"|"latest"|"maxTimestamp";
}

export interface OffsetQuery__Output {
  'topic': (string);
  'partition': (number);
  'timestampMs'?: (number);
  'earliest'?: (boolean);
  'latest'?: (boolean);
  'maxTimestamp'?: (boolean);
  'at'?: "timestampMs"|"earliest"|"latest"|"maxTimestamp";
}
