// Original file: proto/millrace/broker/v1/cluster.proto


export interface AddPartitionsResponse {
  'topicId'?: (string);
  'partitions'?: (number);
}

export interface AddPartitionsResponse__Output {
  'topicId': (string);
  'partitions': (number);
}
