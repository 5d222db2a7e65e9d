// Original file: proto/millrace/broker/v1/records.proto

import type { Long } from '@grpc/proto-loader';

export interface FetchPartition {
  'topic'?: (string);
  'partition'?: (number);
  'topicId'?: (string);
  'offset'?: (number | string | Long);
  'maxBytes'?: (number);
  'leaderEpoch'?: (number | string | Long);
}

export interface FetchPartition__Output {
  'topic': (string);
  'partition': (number);
  'topicId': (string);
  'offset': (number);
  'maxBytes': (number);
  'leaderEpoch': (number);
}
