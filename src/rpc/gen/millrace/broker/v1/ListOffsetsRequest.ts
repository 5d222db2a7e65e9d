// Original file: proto/millrace/broker/v1/cluster.proto

import type { OffsetQuery as _millrace_broker_v1_OffsetQuery, OffsetQuery__Output as _millrace_broker_v1_OffsetQuery__Output } from '../../../millrace/broker/v1/OffsetQuery.js';

export interface ListOffsetsRequest {
  'queries'?: (_millrace_broker_v1_OffsetQuery)[];
  'linearizable'?: (boolean);
}

export interface ListOffsetsRequest__Output {
  'queries': (_millrace_broker_v1_OffsetQuery__Output)[];
  'linearizable': (boolean);
}
