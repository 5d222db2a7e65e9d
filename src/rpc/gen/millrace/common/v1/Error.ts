// Original file: proto/millrace/common/v1/types.proto

import type { LeaderHint as _millrace_common_v1_LeaderHint, LeaderHint__Output as _millrace_common_v1_LeaderHint__Output } from '../../../millrace/common/v1/LeaderHint.js';
import type { Long } from '@grpc/proto-loader';

export interface Error {
  'code'?: (string);
  'message'?: (string);
  'retriable'?: (boolean);
  'outcomeUnknown'?: (boolean);
  'leader'?: (_millrace_common_v1_LeaderHint | null);
  'retryAfterMs'?: (number);
  'expectedSequence'?: (number);
  'logStartOffset'?: (number | string | Long);
  'highWatermark'?: (number | string | Long);
  'logEndOffset'?: (number | string | Long);
  'keyOffset'?: (number | string | Long);
  '_keyOffset'?: "keyOffset";
}

export interface Error__Output {
  'code': (string);
  'message': (string);
  'retriable': (boolean);
  'outcomeUnknown': (boolean);
  'leader': (_millrace_common_v1_LeaderHint__Output | null);
  'retryAfterMs': (number);
  'expectedSequence': (number);
  'logStartOffset': (number);
  'highWatermark': (number);
  'logEndOffset': (number);
  'keyOffset'?: (number);
  '_keyOffset'?: "keyOffset";
}
