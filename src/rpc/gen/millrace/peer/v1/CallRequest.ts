// Original file: proto/millrace/peer/v1/peer.proto


export interface CallRequest {
  'method'?: (string);
  'body'?: (Buffer | Uint8Array | string);
}

export interface CallRequest__Output {
  'method': (string);
  'body': (Buffer);
}
