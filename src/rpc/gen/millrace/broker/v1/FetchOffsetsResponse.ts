// Original file: proto/millrace/broker/v1/cluster.proto

import type { CommittedOffset as _millrace_broker_v1_CommittedOffset, CommittedOffset__Output as _millrace_broker_v1_CommittedOffset__Output } from '../../../millrace/broker/v1/CommittedOffset.js';

export interface FetchOffsetsResponse {
  'offsets'?: (_millrace_broker_v1_CommittedOffset)[];
}

export interface FetchOffsetsResponse__Output {
  'offsets': (_millrace_broker_v1_CommittedOffset__Output)[];
}
