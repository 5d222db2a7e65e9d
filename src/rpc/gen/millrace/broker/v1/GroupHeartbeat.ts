// Original file: proto/millrace/broker/v1/group.proto

import type { PartitionList as _millrace_broker_v1_PartitionList, PartitionList__Output as _millrace_broker_v1_PartitionList__Output } from '../../../millrace/broker/v1/PartitionList.js';
import type { Subscription as _millrace_broker_v1_Subscription, Subscription__Output as _millrace_broker_v1_Subscription__Output } from '../../../millrace/broker/v1/Subscription.js';
import type { Long } from '@grpc/proto-loader';

export interface GroupHeartbeat {
  'memberEpoch'?: (number);
  'assignmentVersion'?: (number | string | Long);
  'owned'?: (_millrace_broker_v1_PartitionList | null);
  'subscription'?: (_millrace_broker_v1_Subscription | null);
  'assignor'?: (string);
  'rack'?: (string);
  '_assignor'?: "assignor";
  '_rack'?: "rack";
}

export interface GroupHeartbeat__Output {
  'memberEpoch': (number);
  'assignmentVersion': (number);
  'owned': (_millrace_broker_v1_PartitionList__Output | null);
  'subscription': (_millrace_broker_v1_Subscription__Output | null);
  'assignor'?: (string);
  'rack'?: (string);
  '_assignor'?: "assignor";
  '_rack'?: "rack";
}
