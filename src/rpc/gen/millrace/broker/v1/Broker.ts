// Original file: proto/millrace/broker/v1/cluster.proto


export interface Broker {
  'id'?: (number);
  'host'?: (string);
  'port'?: (number);
  'rack'?: (string);
  'fenced'?: (boolean);
  'peerPort'?: (number);
  'httpPort'?: (number);
  'peerHost'?: (string);
}

export interface Broker__Output {
  'id': (number);
  'host': (string);
  'port': (number);
  'rack': (string);
  'fenced': (boolean);
  'peerPort': (number);
  'httpPort': (number);
  'peerHost': (string);
}
