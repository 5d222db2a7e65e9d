// Original file: proto/millrace/broker/v1/group.proto

import type { TopicPartitions as _millrace_broker_v1_TopicPartitions, TopicPartitions__Output as _millrace_broker_v1_TopicPartitions__Output } from '../../../millrace/broker/v1/TopicPartitions.js';

export interface DeleteGroupOffsetsRequest {
  'group'?: (string);
  'topics'?: (_millrace_broker_v1_TopicPartitions)[];
}

export interface DeleteGroupOffsetsRequest__Output {
  'group': (string);
  'topics': (_millrace_broker_v1_TopicPartitions__Output)[];
}
