// Original file: proto/millrace/broker/v1/group.proto

import type { Error as _millrace_common_v1_Error, Error__Output as _millrace_common_v1_Error__Output } from '../../../millrace/common/v1/Error.js';
import type { Long } from '@grpc/proto-loader';

export interface GroupPartition {
  'topic'?: (string);
  'topicId'?: (string);
  'partition'?: (number);
  'committedOffset'?: (number | string | Long);
  'metadata'?: (string);
  'commitTimeMs'?: (number | string | Long);
  'logStartOffset'?: (number | string | Long);
  'highWatermark'?: (number | string | Long);
  'lagRecords'?: (number | string | Long);
  'lagMs'?: (number | string | Long);
  'memberId'?: (string);
  'error'?: (_millrace_common_v1_Error | null);
}

export interface GroupPartition__Output {
  'topic': (string);
  'topicId': (string);
  'partition': (number);
  'committedOffset': (number);
  'metadata': (string);
  'commitTimeMs': (number);
  'logStartOffset': (number);
  'highWatermark': (number);
  'lagRecords': (number);
  'lagMs': (number);
  'memberId': (string);
  'error': (_millrace_common_v1_Error__Output | null);
}
