// Original file: proto/millrace/broker/v1/cluster.proto

import type { Long } from '@grpc/proto-loader';

export interface AlterTopicResponse {
  'config'?: ({[key: string]: string});
  'configVersion'?: (number | string | Long);
  'risk'?: (string);
}

export interface AlterTopicResponse__Output {
  'config': ({[key: string]: string});
  'configVersion': (number);
  'risk': (string);
}
