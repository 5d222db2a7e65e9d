// Original file: proto/millrace/broker/v1/cluster.proto

import type { Error as _millrace_common_v1_Error, Error__Output as _millrace_common_v1_Error__Output } from '../../../millrace/common/v1/Error.js';
import type { Long } from '@grpc/proto-loader';

export interface CommittedOffset {
  'topic'?: (string);
  'partition'?: (number);
  'offset'?: (number | string | Long);
  'metadata'?: (string);
  'error'?: (_millrace_common_v1_Error | null);
  'commitTimeMs'?: (number | string | Long);
}

export interface CommittedOffset__Output {
  'topic': (string);
  'partition': (number);
  'offset': (number);
  'metadata': (string);
  'error': (_millrace_common_v1_Error__Output | null);
  'commitTimeMs': (number);
}
