// Original file: /work/wt/wire/proto/millrace/broker/v1/cluster.proto


export interface MoveReplicasResponse {
}

export interface MoveReplicasResponse__Output {
}
