// Original file: proto/millrace/broker/v1/cluster.proto

import type { PartitionDescription as _millrace_broker_v1_PartitionDescription, PartitionDescription__Output as _millrace_broker_v1_PartitionDescription__Output } from '../../../millrace/broker/v1/PartitionDescription.js';
import type { ConfigChange as _millrace_broker_v1_ConfigChange, ConfigChange__Output as _millrace_broker_v1_ConfigChange__Output } from '../../../millrace/broker/v1/ConfigChange.js';
import type { Long } from '@grpc/proto-loader';

export interface DescribeTopicResponse {
  'topic'?: (string);
  'topicId'?: (string);
  'config'?: ({[key: string]: string});
  'effectiveConfig'?: ({[key: string]: string});
  'partitions'?: (_millrace_broker_v1_PartitionDescription)[];
  'configVersion'?: (number | string | Long);
  'configHistory'?: (_millrace_broker_v1_ConfigChange)[];
  'durabilityPromise'?: (string);
}

export interface DescribeTopicResponse__Output {
  'topic': (string);
  'topicId': (string);
  'config': ({[key: string]: string});
  'effectiveConfig': ({[key: string]: string});
  'partitions': (_millrace_broker_v1_PartitionDescription__Output)[];
  'configVersion': (number);
  'configHistory': (_millrace_broker_v1_ConfigChange__Output)[];
  'durabilityPromise': (string);
}
