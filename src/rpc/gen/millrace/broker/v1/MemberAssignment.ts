// Original file: proto/millrace/broker/v1/group.proto

import type { TopicPartitions as _millrace_broker_v1_TopicPartitions, TopicPartitions__Output as _millrace_broker_v1_TopicPartitions__Output } from '../../../millrace/broker/v1/TopicPartitions.js';
import type { Long } from '@grpc/proto-loader';

export interface MemberAssignment {
  'version'?: (number | string | Long);
  'partitions'?: (_millrace_broker_v1_TopicPartitions)[];
  'pending'?: (_millrace_broker_v1_TopicPartitions)[];
  'targetEpoch'?: (number);
}

export interface MemberAssignment__Output {
  'version': (number);
  'partitions': (_millrace_broker_v1_TopicPartitions__Output)[];
  'pending': (_millrace_broker_v1_TopicPartitions__Output)[];
  'targetEpoch': (number);
}
