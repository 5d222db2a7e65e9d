// Original file: proto/millrace/broker/v1/group.proto


export interface TopicPartitions {
  'topic'?: (string);
  'topicId'?: (string);
  'partitions'?: (number)[];
}

export interface TopicPartitions__Output {
  'topic': (string);
  'topicId': (string);
  'partitions': (number)[];
}
