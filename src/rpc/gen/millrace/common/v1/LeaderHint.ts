// Original file: proto/millrace/common/v1/types.proto

import type { Long } from '@grpc/proto-loader';

export interface LeaderHint {
  'brokerId'?: (number);
  'host'?: (string);
  'port'?: (number);
  'term'?: (number | string | Long);
}

export interface LeaderHint__Output {
  'brokerId': (number);
  'host': (string);
  'port': (number);
  'term': (number);
}
