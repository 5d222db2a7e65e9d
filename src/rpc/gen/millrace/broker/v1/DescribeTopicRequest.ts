// Original file: proto/millrace/broker/v1/cluster.proto


export interface DescribeTopicRequest {
  'topic'?: (string);
}

export interface DescribeTopicRequest__Output {
  'topic': (string);
}
