// Original file: proto/millrace/broker/v1/records.proto

import type { FetchedPartition as _millrace_broker_v1_FetchedPartition, FetchedPartition__Output as _millrace_broker_v1_FetchedPartition__Output } from '../../../millrace/broker/v1/FetchedPartition.js';

export interface FetchResponse {
  'partitions'?: (_millrace_broker_v1_FetchedPartition)[];
  'brokerId'?: (number);
}

export interface FetchResponse__Output {
  'partitions': (_millrace_broker_v1_FetchedPartition__Output)[];
  'brokerId': (number);
}
