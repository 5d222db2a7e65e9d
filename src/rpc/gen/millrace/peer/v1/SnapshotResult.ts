// Original file: proto/millrace/peer/v1/peer.proto


export interface SnapshotResult {
}

export interface SnapshotResult__Output {
}
