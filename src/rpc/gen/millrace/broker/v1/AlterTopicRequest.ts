// Original file: proto/millrace/broker/v1/cluster.proto


export interface AlterTopicRequest {
  'topic'?: (string);
  'set'?: ({[key: string]: string});
  'unset'?: (string)[];
}

export interface AlterTopicRequest__Output {
  'topic': (string);
  'set': ({[key: string]: string});
  'unset': (string)[];
}
