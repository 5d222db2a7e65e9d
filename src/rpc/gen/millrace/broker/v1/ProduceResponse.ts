// Original file: proto/millrace/broker/v1/records.proto

import type { Error as _millrace_common_v1_Error, Error__Output as _millrace_common_v1_Error__Output } from '../../../millrace/common/v1/Error.js';
import type { Long } from '@grpc/proto-loader';

export interface ProduceResponse {
  'correlationId'?: (number | string | Long);
  'error'?: (_millrace_common_v1_Error | null);
  'baseOffset'?: (number | string | Long);
  'appendTimeMs'?: (number | string | Long);
  'leaderEpoch'?: (number | string | Long);
  'brokerId'?: (number);
  'duplicate'?: (boolean);
  'logStartOffset'?: (number | string | Long);
}

export interface ProduceResponse__Output {
  'correlationId': (number);
  'error': (_millrace_common_v1_Error__Output | null);
  'baseOffset': (number);
  'appendTimeMs': (number);
  'leaderEpoch': (number);
  'brokerId': (number);
  'duplicate': (boolean);
  'logStartOffset': (number);
}
