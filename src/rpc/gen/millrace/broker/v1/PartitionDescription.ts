// Original file: proto/millrace/broker/v1/cluster.proto

import type { Error as _millrace_common_v1_Error, Error__Output as _millrace_common_v1_Error__Output } from '../../../millrace/common/v1/Error.js';
import type { ReplicaDescription as _millrace_broker_v1_ReplicaDescription, ReplicaDescription__Output as _millrace_broker_v1_ReplicaDescription__Output } from '../../../millrace/broker/v1/ReplicaDescription.js';
import type { Long } from '@grpc/proto-loader';

export interface PartitionDescription {
  'partition'?: (number);
  'error'?: (_millrace_common_v1_Error | null);
  'leader'?: (number);
  'leaderEpoch'?: (number | string | Long);
  'replicas'?: (_millrace_broker_v1_ReplicaDescription)[];
  'logStartOffset'?: (number | string | Long);
  'highWatermark'?: (number | string | Long);
  'sizeBytes'?: (number | string | Long);
  'raftGroup'?: (number | string | Long);
  'compactedTo'?: (number | string | Long);
}

export interface PartitionDescription__Output {
  'partition': (number);
  'error': (_millrace_common_v1_Error__Output | null);
  'leader': (number);
  'leaderEpoch': (number);
  'replicas': (_millrace_broker_v1_ReplicaDescription__Output)[];
  'logStartOffset': (number);
  'highWatermark': (number);
  'sizeBytes': (number);
  'raftGroup': (number);
  'compactedTo': (number);
}
