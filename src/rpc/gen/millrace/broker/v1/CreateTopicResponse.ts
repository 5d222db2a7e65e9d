// Original file: proto/millrace/broker/v1/cluster.proto


export interface CreateTopicResponse {
  'topicId'?: (string);
  'partitions'?: (number);
  'replicationFactor'?: (number);
  'risk'?: (string);
}

export interface CreateTopicResponse__Output {
  'topicId': (string);
  'partitions': (number);
  'replicationFactor': (number);
  'risk': (string);
}
