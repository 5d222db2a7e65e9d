// Original file: proto/millrace/broker/v1/cluster.proto


export interface MoveReplicasRequest {
  'topic'?: (string);
  'partition'?: (number);
  'replicas'?: (number)[];
}

export interface MoveReplicasRequest__Output {
  'topic': (string);
  'partition': (number);
  'replicas': (number)[];
}
