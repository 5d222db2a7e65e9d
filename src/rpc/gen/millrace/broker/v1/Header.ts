// Original file: proto/millrace/broker/v1/records.proto


export interface Header {
  'key'?: (string);
  'value'?: (Buffer | Uint8Array | string);
  '_value'?: "value";
}

export interface Header__Output {
  'key': (string);
  'value'?: (Buffer);
  '_value'?: "value";
}
