// Original file: proto/millrace/peer/v1/peer.proto


export interface Envelope {
  'messages'?: (Buffer | Uint8Array | string);
}

export interface Envelope__Output {
  'messages': (Buffer);
}
