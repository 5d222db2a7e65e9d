// Original file: proto/millrace/broker/v1/group.proto

import type { MemberAssignment as _millrace_broker_v1_MemberAssignment, MemberAssignment__Output as _millrace_broker_v1_MemberAssignment__Output } from '../../../millrace/broker/v1/MemberAssignment.js';
import type { Long } from '@grpc/proto-loader';

export interface ParticipateResponse {
  'sequence'?: (number | string | Long);
  'memberId'?: (string);
  'memberEpoch'?: (number);
  'assignment'?: (_millrace_broker_v1_MemberAssignment | null);
  'heartbeatIntervalMs'?: (number);
}

export interface ParticipateResponse__Output {
  'sequence': (number);
  'memberId': (string);
  'memberEpoch': (number);
  'assignment': (_millrace_broker_v1_MemberAssignment__Output | null);
  'heartbeatIntervalMs': (number);
}
