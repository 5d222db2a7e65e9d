// Original file: proto/millrace/broker/v1/cluster.proto

import type { CommittedOffset as _millrace_broker_v1_CommittedOffset, CommittedOffset__Output as _millrace_broker_v1_CommittedOffset__Output } from '../../../millrace/broker/v1/CommittedOffset.js';
import type { Long } from '@grpc/proto-loader';

export interface CommitOffsetsRequest {
  'group'?: (string);
  'offsets'?: (_millrace_broker_v1_CommittedOffset)[];
  'memberId'?: (string);
  'memberEpoch'?: (number);
  'commitSequence'?: (number | string | Long);
}

export interface CommitOffsetsRequest__Output {
  'group': (string);
  'offsets': (_millrace_broker_v1_CommittedOffset__Output)[];
  'memberId': (string);
  'memberEpoch': (number);
  'commitSequence': (number);
}
