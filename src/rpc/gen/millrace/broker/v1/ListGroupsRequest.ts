// Original file: proto/millrace/broker/v1/group.proto


export interface ListGroupsRequest {
  'prefix'?: (string);
  'after'?: (string);
  'limit'?: (number);
}

export interface ListGroupsRequest__Output {
  'prefix': (string);
  'after': (string);
  'limit': (number);
}
