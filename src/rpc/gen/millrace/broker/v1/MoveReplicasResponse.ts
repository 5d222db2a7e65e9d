// Original file: proto/millrace/broker/v1/cluster.proto


export interface MoveReplicasResponse {
}

export interface MoveReplicasResponse__Output {
}
