// Original file: proto/millrace/broker/v1/cluster.proto


export interface AddPartitionsRequest {
  'topic'?: (string);
  'partitions'?: (number);
  'noWait'?: (boolean);
  'timeoutMs'?: (number);
  'topicId'?: (string);
}

export interface AddPartitionsRequest__Output {
  'topic': (string);
  'partitions': (number);
  'noWait': (boolean);
  'timeoutMs': (number);
  'topicId': (string);
}
