// Original file: proto/millrace/broker/v1/cluster.proto


export interface CreateTopicResponse {
  'topicId'?: (string);
  'partitions'?: (number);
  'replicationFactor'?: (number);
}

export interface CreateTopicResponse__Output {
  'topicId': (string);
  'partitions': (number);
  'replicationFactor': (number);
}
