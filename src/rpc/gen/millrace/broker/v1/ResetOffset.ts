// Original file: proto/millrace/broker/v1/group.proto

import type { Error as _millrace_common_v1_Error, Error__Output as _millrace_common_v1_Error__Output } from '../../../millrace/common/v1/Error.js';
import type { Long } from '@grpc/proto-loader';

export interface ResetOffset {
  'topic'?: (string);
  'partition'?: (number);
  'previousOffset'?: (number | string | Long);
  'offset'?: (number | string | Long);
  'error'?: (_millrace_common_v1_Error | null);
}

export interface ResetOffset__Output {
  'topic': (string);
  'partition': (number);
  'previousOffset': (number);
  'offset': (number);
  'error': (_millrace_common_v1_Error__Output | null);
}
