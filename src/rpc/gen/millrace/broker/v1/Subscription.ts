// Original file: proto/millrace/broker/v1/group.proto


export interface Subscription {
  'topics'?: (string)[];
  'pattern'?: (string);
}

export interface Subscription__Output {
  'topics': (string)[];
  'pattern': (string);
}
