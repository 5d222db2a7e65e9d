// Original file: proto/millrace/broker/v1/cluster.proto


export interface AlterTopicResponse {
  'config'?: ({[key: string]: string});
}

export interface AlterTopicResponse__Output {
  'config': ({[key: string]: string});
}
