// Original file: proto/millrace/broker/v1/group.proto

import type { GroupState as _millrace_broker_v1_GroupState, GroupState__Output as _millrace_broker_v1_GroupState__Output } from '../../../millrace/broker/v1/GroupState.js';

export interface GroupSummary {
  'group'?: (string);
  'state'?: (_millrace_broker_v1_GroupState);
  'members'?: (number);
  'committedPartitions'?: (number);
}

export interface GroupSummary__Output {
  'group': (string);
  'state': (_millrace_broker_v1_GroupState__Output);
  'members': (number);
  'committedPartitions': (number);
}
