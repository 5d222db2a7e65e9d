// Original file: proto/millrace/broker/v1/records.proto

import type { Error as _millrace_common_v1_Error, Error__Output as _millrace_common_v1_Error__Output } from '../../../millrace/common/v1/Error.js';
import type { Long } from '@grpc/proto-loader';

export interface FetchedPartition {
  'topic'?: (string);
  'partition'?: (number);
  'error'?: (_millrace_common_v1_Error | null);
  'batches'?: (Buffer | Uint8Array | string);
  'highWatermark'?: (number | string | Long);
  'logStartOffset'?: (number | string | Long);
  'leaderEpoch'?: (number | string | Long);
  'nextOffset'?: (number | string | Long);
}

export interface FetchedPartition__Output {
  'topic': (string);
  'partition': (number);
  'error': (_millrace_common_v1_Error__Output | null);
  'batches': (Buffer);
  'highWatermark': (number);
  'logStartOffset': (number);
  'leaderEpoch': (number);
  'nextOffset': (number);
}
