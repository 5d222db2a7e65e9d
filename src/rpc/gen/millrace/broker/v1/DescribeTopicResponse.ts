// Original file: proto/millrace/broker/v1/cluster.proto

import type { PartitionDescription as _millrace_broker_v1_PartitionDescription, PartitionDescription__Output as _millrace_broker_v1_PartitionDescription__Output } from '../../../millrace/broker/v1/PartitionDescription.js';

export interface DescribeTopicResponse {
  'topic'?: (string);
  'topicId'?: (string);
  'config'?: ({[key: string]: string});
  'effectiveConfig'?: ({[key: string]: string});
  'partitions'?: (_millrace_broker_v1_PartitionDescription)[];
}

export interface DescribeTopicResponse__Output {
  'topic': (string);
  'topicId': (string);
  'config': ({[key: string]: string});
  'effectiveConfig': ({[key: string]: string});
  'partitions': (_millrace_broker_v1_PartitionDescription__Output)[];
}
