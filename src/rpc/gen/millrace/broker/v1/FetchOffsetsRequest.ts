// Original file: proto/millrace/broker/v1/cluster.proto

import type { OffsetKey as _millrace_broker_v1_OffsetKey, OffsetKey__Output as _millrace_broker_v1_OffsetKey__Output } from '../../../millrace/broker/v1/OffsetKey.js';

export interface FetchOffsetsRequest {
  'group'?: (string);
  'partitions'?: (_millrace_broker_v1_OffsetKey)[];
}

export interface FetchOffsetsRequest__Output {
  'group': (string);
  'partitions': (_millrace_broker_v1_OffsetKey__Output)[];
}
