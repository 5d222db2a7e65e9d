// Original file: proto/millrace/broker/v1/cluster.proto

import type { Broker as _millrace_broker_v1_Broker, Broker__Output as _millrace_broker_v1_Broker__Output } from '../../../millrace/broker/v1/Broker.js';
import type { TopicMetadata as _millrace_broker_v1_TopicMetadata, TopicMetadata__Output as _millrace_broker_v1_TopicMetadata__Output } from '../../../millrace/broker/v1/TopicMetadata.js';
import type { Long } from '@grpc/proto-loader';

export interface GetMetadataResponse {
  'clusterId'?: (string);
  'brokers'?: (_millrace_broker_v1_Broker)[];
  'topics'?: (_millrace_broker_v1_TopicMetadata)[];
  'controller'?: (number);
  'metadataVersion'?: (number | string | Long);
}

export interface GetMetadataResponse__Output {
  'clusterId': (string);
  'brokers': (_millrace_broker_v1_Broker__Output)[];
  'topics': (_millrace_broker_v1_TopicMetadata__Output)[];
  'controller': (number);
  'metadataVersion': (number);
}
