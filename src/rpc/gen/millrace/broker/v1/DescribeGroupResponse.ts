// Original file: proto/millrace/broker/v1/group.proto

import type { GroupState as _millrace_broker_v1_GroupState, GroupState__Output as _millrace_broker_v1_GroupState__Output } from '../../../millrace/broker/v1/GroupState.js';
import type { GroupMemberDescription as _millrace_broker_v1_GroupMemberDescription, GroupMemberDescription__Output as _millrace_broker_v1_GroupMemberDescription__Output } from '../../../millrace/broker/v1/GroupMemberDescription.js';
import type { GroupPartition as _millrace_broker_v1_GroupPartition, GroupPartition__Output as _millrace_broker_v1_GroupPartition__Output } from '../../../millrace/broker/v1/GroupPartition.js';
import type { Long } from '@grpc/proto-loader';

export interface DescribeGroupResponse {
  'group'?: (string);
  'state'?: (_millrace_broker_v1_GroupState);
  'groupEpoch'?: (number);
  'assignmentEpoch'?: (number);
  'assignor'?: (string);
  'members'?: (_millrace_broker_v1_GroupMemberDescription)[];
  'partitions'?: (_millrace_broker_v1_GroupPartition)[];
  'lastCommitTimeMs'?: (number | string | Long);
  'coordinator'?: (number);
}

export interface DescribeGroupResponse__Output {
  'group': (string);
  'state': (_millrace_broker_v1_GroupState__Output);
  'groupEpoch': (number);
  'assignmentEpoch': (number);
  'assignor': (string);
  'members': (_millrace_broker_v1_GroupMemberDescription__Output)[];
  'partitions': (_millrace_broker_v1_GroupPartition__Output)[];
  'lastCommitTimeMs': (number);
  'coordinator': (number);
}
