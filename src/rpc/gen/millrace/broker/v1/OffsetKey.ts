// Original file: proto/millrace/broker/v1/cluster.proto


export interface OffsetKey {
  'topic'?: (string);
  'partition'?: (number);
}

export interface OffsetKey__Output {
  'topic': (string);
  'partition': (number);
}
