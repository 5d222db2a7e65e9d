// Original file: proto/millrace/broker/v1/group.proto

import type { Subscription as _millrace_broker_v1_Subscription, Subscription__Output as _millrace_broker_v1_Subscription__Output } from '../../../millrace/broker/v1/Subscription.js';
import type { TopicPartitions as _millrace_broker_v1_TopicPartitions, TopicPartitions__Output as _millrace_broker_v1_TopicPartitions__Output } from '../../../millrace/broker/v1/TopicPartitions.js';

export interface GroupMemberDescription {
  'memberId'?: (string);
  'instanceId'?: (string);
  'clientId'?: (string);
  'clientHost'?: (string);
  'rack'?: (string);
  'memberEpoch'?: (number);
  'subscription'?: (_millrace_broker_v1_Subscription | null);
  'assignor'?: (string);
  'sessionTimeoutMs'?: (number);
  'rebalanceTimeoutMs'?: (number);
  'assigned'?: (_millrace_broker_v1_TopicPartitions)[];
  'revoking'?: (_millrace_broker_v1_TopicPartitions)[];
  'target'?: (_millrace_broker_v1_TopicPartitions)[];
  'connected'?: (boolean);
  'away'?: (boolean);
}

export interface GroupMemberDescription__Output {
  'memberId': (string);
  'instanceId': (string);
  'clientId': (string);
  'clientHost': (string);
  'rack': (string);
  'memberEpoch': (number);
  'subscription': (_millrace_broker_v1_Subscription__Output | null);
  'assignor': (string);
  'sessionTimeoutMs': (number);
  'rebalanceTimeoutMs': (number);
  'assigned': (_millrace_broker_v1_TopicPartitions__Output)[];
  'revoking': (_millrace_broker_v1_TopicPartitions__Output)[];
  'target': (_millrace_broker_v1_TopicPartitions__Output)[];
  'connected': (boolean);
  'away': (boolean);
}
