// Original file: proto/millrace/broker/v1/group.proto

import type { TopicPartitions as _millrace_broker_v1_TopicPartitions, TopicPartitions__Output as _millrace_broker_v1_TopicPartitions__Output } from '../../../millrace/broker/v1/TopicPartitions.js';

export interface DeleteGroupOffsetsResponse {
  'deleted'?: (_millrace_broker_v1_TopicPartitions)[];
}

export interface DeleteGroupOffsetsResponse__Output {
  'deleted': (_millrace_broker_v1_TopicPartitions__Output)[];
}
