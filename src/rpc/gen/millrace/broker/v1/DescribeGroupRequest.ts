// Original file: proto/millrace/broker/v1/group.proto


export interface DescribeGroupRequest {
  'group'?: (string);
  'noLag'?: (boolean);
}

export interface DescribeGroupRequest__Output {
  'group': (string);
  'noLag': (boolean);
}
