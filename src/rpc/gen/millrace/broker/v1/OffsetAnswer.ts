// Original file: proto/millrace/broker/v1/cluster.proto

import type { Error as _millrace_common_v1_Error, Error__Output as _millrace_common_v1_Error__Output } from '../../../millrace/common/v1/Error.js';
import type { Long } from '@grpc/proto-loader';

export interface OffsetAnswer {
  'topic'?: (string);
  'partition'?: (number);
  'error'?: (_millrace_common_v1_Error | null);
  'offset'?: (number | string | Long);
  'timestampMs'?: (number | string | Long);
  'leaderEpoch'?: (number | string | Long);
}

export interface OffsetAnswer__Output {
  'topic': (string);
  'partition': (number);
  'error': (_millrace_common_v1_Error__Output | null);
  'offset': (number);
  'timestampMs': (number);
  'leaderEpoch': (number);
}
