// Original file: proto/millrace/broker/v1/group.proto

import type { TopicPartitions as _millrace_broker_v1_TopicPartitions, TopicPartitions__Output as _millrace_broker_v1_TopicPartitions__Output } from '../../../millrace/broker/v1/TopicPartitions.js';
import type { Long } from '@grpc/proto-loader';

export interface ResetGroupOffsetsRequest {
  'group'?: (string);
  'topics'?: (_millrace_broker_v1_TopicPartitions)[];
  'offset'?: (number | string | Long);
  'timestampMs'?: (number | string | Long);
  'shiftBy'?: (number | string | Long);
  'earliest'?: (boolean);
  'latest'?: (boolean);
  'dryRun'?: (boolean);
  'to'?: "offset"|"timestampMs"|"shiftBy"|"earliest"|"latest";
}

export interface ResetGroupOffsetsRequest__Output {
  'group': (string);
  'topics': (_millrace_broker_v1_TopicPartitions__Output)[];
  'offset'?: (number);
  'timestampMs'?: (number);
  'shiftBy'?: (number);
  'earliest'?: (boolean);
  'latest'?: (boolean);
  'dryRun': (boolean);
  'to'?: "offset"|"timestampMs"|"shiftBy"|"earliest"|"latest";
}
