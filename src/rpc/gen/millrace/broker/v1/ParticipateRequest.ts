// Original file: proto/millrace/broker/v1/group.proto

import type { JoinGroup as _millrace_broker_v1_JoinGroup, JoinGroup__Output as _millrace_broker_v1_JoinGroup__Output } from '../../../millrace/broker/v1/JoinGroup.js';
import type { GroupHeartbeat as _millrace_broker_v1_GroupHeartbeat, GroupHeartbeat__Output as _millrace_broker_v1_GroupHeartbeat__Output } from '../../../millrace/broker/v1/GroupHeartbeat.js';
import type { LeaveGroup as _millrace_broker_v1_LeaveGroup, LeaveGroup__Output as _millrace_broker_v1_LeaveGroup__Output } from '../../../millrace/broker/v1/LeaveGroup.js';
import type { Long } from '@grpc/proto-loader';

export interface ParticipateRequest {
  'sequence'?: (number | string | Long);
  'join'?: (_millrace_broker_v1_JoinGroup | null);
  'heartbeat'?: (_millrace_broker_v1_GroupHeartbeat | null);
  'leave'?: (_millrace_broker_v1_LeaveGroup | null);
  'request'?: "join"|"heartbeat"|"leave";
}

export interface ParticipateRequest__Output {
  'sequence': (number);
  'join'?: (_millrace_broker_v1_JoinGroup__Output | null);
  'heartbeat'?: (_millrace_broker_v1_GroupHeartbeat__Output | null);
  'leave'?: (_millrace_broker_v1_LeaveGroup__Output | null);
  'request'?: "join"|"heartbeat"|"leave";
}
