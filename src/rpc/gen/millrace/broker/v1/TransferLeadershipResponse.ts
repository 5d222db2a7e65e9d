// Original file: proto/millrace/broker/v1/cluster.proto

import type { Long } from '@grpc/proto-loader';

export interface TransferLeadershipResponse {
  'leader'?: (number);
  'leaderEpoch'?: (number | string | Long);
}

export interface TransferLeadershipResponse__Output {
  'leader': (number);
  'leaderEpoch': (number);
}
