// Original file: proto/millrace/broker/v1/cluster.proto


export interface TransferLeadershipRequest {
  'topic'?: (string);
  'partition'?: (number);
  'toBroker'?: (number);
  'metadataGroup'?: (boolean);
}

export interface TransferLeadershipRequest__Output {
  'topic': (string);
  'partition': (number);
  'toBroker': (number);
  'metadataGroup': (boolean);
}
