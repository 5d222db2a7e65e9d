// Original file: proto/millrace/peer/v1/peer.proto


export interface CallResponse {
  'body'?: (Buffer | Uint8Array | string);
}

export interface CallResponse__Output {
  'body': (Buffer);
}
