// Original file: proto/millrace/broker/v1/cluster.proto

import type { Long } from '@grpc/proto-loader';

export interface GroupMember {
  'brokerId'?: (number);
  'role'?: (string);
  'matchIndex'?: (number | string | Long);
  'active'?: (boolean);
  'repairing'?: (boolean);
}

export interface GroupMember__Output {
  'brokerId': (number);
  'role': (string);
  'matchIndex': (number);
  'active': (boolean);
  'repairing': (boolean);
}
