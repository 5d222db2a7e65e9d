// Original file: proto/millrace/broker/v1/group.proto


export interface LeaveGroup {
  'temporary'?: (boolean);
}

export interface LeaveGroup__Output {
  'temporary': (boolean);
}
