// Original file: proto/millrace/broker/v1/cluster.proto


export interface CreateTopicRequest {
  'topic'?: (string);
  'partitions'?: (number);
  'replicationFactor'?: (number);
  'config'?: ({[key: string]: string});
  'noWait'?: (boolean);
  'timeoutMs'?: (number);
  'topicId'?: (string);
}

export interface CreateTopicRequest__Output {
  'topic': (string);
  'partitions': (number);
  'replicationFactor': (number);
  'config': ({[key: string]: string});
  'noWait': (boolean);
  'timeoutMs': (number);
  'topicId': (string);
}
