// Original file: proto/millrace/broker/v1/group.proto

import type { GroupSummary as _millrace_broker_v1_GroupSummary, GroupSummary__Output as _millrace_broker_v1_GroupSummary__Output } from '../../../millrace/broker/v1/GroupSummary.js';

export interface ListGroupsResponse {
  'groups'?: (_millrace_broker_v1_GroupSummary)[];
  'hasMore'?: (boolean);
}

export interface ListGroupsResponse__Output {
  'groups': (_millrace_broker_v1_GroupSummary__Output)[];
  'hasMore': (boolean);
}
