// Original file: proto/millrace/peer/v1/peer.proto


export interface SnapshotChunk {
  'header'?: (Buffer | Uint8Array | string);
  'data'?: (Buffer | Uint8Array | string);
  'crc'?: (number);
  '_crc'?: "crc";
}

export interface SnapshotChunk__Output {
  'header': (Buffer);
  'data': (Buffer);
  'crc'?: (number);
  '_crc'?: "crc";
}
