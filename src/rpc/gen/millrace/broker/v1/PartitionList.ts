// Original file: proto/millrace/broker/v1/group.proto

import type { TopicPartitions as _millrace_broker_v1_TopicPartitions, TopicPartitions__Output as _millrace_broker_v1_TopicPartitions__Output } from '../../../millrace/broker/v1/TopicPartitions.js';

export interface PartitionList {
  'topics'?: (_millrace_broker_v1_TopicPartitions)[];
}

export interface PartitionList__Output {
  'topics': (_millrace_broker_v1_TopicPartitions__Output)[];
}
