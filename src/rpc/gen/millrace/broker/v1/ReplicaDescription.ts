// Original file: proto/millrace/broker/v1/cluster.proto

import type { Long } from '@grpc/proto-loader';

export interface ReplicaDescription {
  'brokerId'?: (number);
  'role'?: (string);
  'inSync'?: (boolean);
  'matchIndex'?: (number | string | Long);
  'repairing'?: (boolean);
}

export interface ReplicaDescription__Output {
  'brokerId': (number);
  'role': (string);
  'inSync': (boolean);
  'matchIndex': (number);
  'repairing': (boolean);
}
