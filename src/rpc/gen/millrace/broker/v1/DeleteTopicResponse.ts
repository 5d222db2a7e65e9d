// Original file: proto/millrace/broker/v1/cluster.proto


export interface DeleteTopicResponse {
}

export interface DeleteTopicResponse__Output {
}
