// Original file: proto/millrace/broker/v1/group.proto

import type { PartitionList as _millrace_broker_v1_PartitionList, PartitionList__Output as _millrace_broker_v1_PartitionList__Output } from '../../../millrace/broker/v1/PartitionList.js';
import type { Subscription as _millrace_broker_v1_Subscription, Subscription__Output as _millrace_broker_v1_Subscription__Output } from '../../../millrace/broker/v1/Subscription.js';

export interface JoinGroup {
  'group'?: (string);
  'memberId'?: (string);
  'memberEpoch'?: (number);
  'owned'?: (_millrace_broker_v1_PartitionList | null);
  'instanceId'?: (string);
  'rack'?: (string);
  'clientId'?: (string);
  'subscription'?: (_millrace_broker_v1_Subscription | null);
  'assignor'?: (string);
  'sessionTimeoutMs'?: (number);
  'rebalanceTimeoutMs'?: (number);
}

export interface JoinGroup__Output {
  'group': (string);
  'memberId': (string);
  'memberEpoch': (number);
  'owned': (_millrace_broker_v1_PartitionList__Output | null);
  'instanceId': (string);
  'rack': (string);
  'clientId': (string);
  'subscription': (_millrace_broker_v1_Subscription__Output | null);
  'assignor': (string);
  'sessionTimeoutMs': (number);
  'rebalanceTimeoutMs': (number);
}
