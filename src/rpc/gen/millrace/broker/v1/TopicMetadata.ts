// Original file: proto/millrace/broker/v1/cluster.proto

import type { PartitionMetadata as _millrace_broker_v1_PartitionMetadata, PartitionMetadata__Output as _millrace_broker_v1_PartitionMetadata__Output } from '../../../millrace/broker/v1/PartitionMetadata.js';
import type { Error as _millrace_common_v1_Error, Error__Output as _millrace_common_v1_Error__Output } from '../../../millrace/common/v1/Error.js';
import type { Long } from '@grpc/proto-loader';

export interface TopicMetadata {
  'topic'?: (string);
  'topicId'?: (string);
  'partitions'?: (_millrace_broker_v1_PartitionMetadata)[];
  'config'?: ({[key: string]: string});
  'error'?: (_millrace_common_v1_Error | null);
  'configVersion'?: (number | string | Long);
}

export interface TopicMetadata__Output {
  'topic': (string);
  'topicId': (string);
  'partitions': (_millrace_broker_v1_PartitionMetadata__Output)[];
  'config': ({[key: string]: string});
  'error': (_millrace_common_v1_Error__Output | null);
  'configVersion': (number);
}
