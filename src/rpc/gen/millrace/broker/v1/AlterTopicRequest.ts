// Original file: proto/millrace/broker/v1/cluster.proto

import type { Long } from '@grpc/proto-loader';

export interface AlterTopicRequest {
  'topic'?: (string);
  'set'?: ({[key: string]: string});
  'unset'?: (string)[];
  'expectedVersion'?: (number | string | Long);
  'topicId'?: (string);
  '_expectedVersion'?: "expectedVersion";
}

export interface AlterTopicRequest__Output {
  'topic': (string);
  'set': ({[key: string]: string});
  'unset': (string)[];
  'expectedVersion'?: (number);
  'topicId': (string);
  '_expectedVersion'?: "expectedVersion";
}
