// Original file: proto/millrace/broker/v1/cluster.proto


export interface DeleteTopicRequest {
  'topic'?: (string);
  'timeoutMs'?: (number);
  'topicId'?: (string);
}

export interface DeleteTopicRequest__Output {
  'topic': (string);
  'timeoutMs': (number);
  'topicId': (string);
}
