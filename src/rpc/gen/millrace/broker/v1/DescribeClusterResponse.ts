// Original file: proto/millrace/broker/v1/cluster.proto

import type { Broker as _millrace_broker_v1_Broker, Broker__Output as _millrace_broker_v1_Broker__Output } from '../../../millrace/broker/v1/Broker.js';
import type { GroupMember as _millrace_broker_v1_GroupMember, GroupMember__Output as _millrace_broker_v1_GroupMember__Output } from '../../../millrace/broker/v1/GroupMember.js';
import type { Long } from '@grpc/proto-loader';

export interface DescribeClusterResponse {
  'clusterId'?: (string);
  'brokers'?: (_millrace_broker_v1_Broker)[];
  'controller'?: (number);
  'controllerTerm'?: (number | string | Long);
  'metadataMembers'?: (_millrace_broker_v1_GroupMember)[];
  'metadataCommitIndex'?: (number | string | Long);
  'topics'?: (number);
  'partitions'?: (number);
}

export interface DescribeClusterResponse__Output {
  'clusterId': (string);
  'brokers': (_millrace_broker_v1_Broker__Output)[];
  'controller': (number);
  'controllerTerm': (number);
  'metadataMembers': (_millrace_broker_v1_GroupMember__Output)[];
  'metadataCommitIndex': (number);
  'topics': (number);
  'partitions': (number);
}
