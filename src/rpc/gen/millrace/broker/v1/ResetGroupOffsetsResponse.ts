// Original file: proto/millrace/broker/v1/group.proto

import type { ResetOffset as _millrace_broker_v1_ResetOffset, ResetOffset__Output as _millrace_broker_v1_ResetOffset__Output } from '../../../millrace/broker/v1/ResetOffset.js';

export interface ResetGroupOffsetsResponse {
  'offsets'?: (_millrace_broker_v1_ResetOffset)[];
}

export interface ResetGroupOffsetsResponse__Output {
  'offsets': (_millrace_broker_v1_ResetOffset__Output)[];
}
