// Original file: proto/millrace/broker/v1/records.proto

import type { FetchPartition as _millrace_broker_v1_FetchPartition, FetchPartition__Output as _millrace_broker_v1_FetchPartition__Output } from '../../../millrace/broker/v1/FetchPartition.js';

export interface FetchRequest {
  'partitions'?: (_millrace_broker_v1_FetchPartition)[];
  'minBytes'?: (number);
  'maxBytes'?: (number);
  'maxWaitMs'?: (number);
  'linearizable'?: (boolean);
  'allowForward'?: (boolean);
  'allowFollower'?: (boolean);
  'maxStalenessMs'?: (number);
}

export interface FetchRequest__Output {
  'partitions': (_millrace_broker_v1_FetchPartition__Output)[];
  'minBytes': (number);
  'maxBytes': (number);
  'maxWaitMs': (number);
  'linearizable': (boolean);
  'allowForward': (boolean);
  'allowFollower': (boolean);
  'maxStalenessMs': (number);
}
