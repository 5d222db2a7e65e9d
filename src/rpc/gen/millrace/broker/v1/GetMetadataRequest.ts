// Original file: proto/millrace/broker/v1/cluster.proto


export interface GetMetadataRequest {
  'topics'?: (string)[];
  'linearizable'?: (boolean);
}

export interface GetMetadataRequest__Output {
  'topics': (string)[];
  'linearizable': (boolean);
}
