// Original file: proto/millrace/broker/v1/group.proto


export interface DeleteGroupResponse {
}

export interface DeleteGroupResponse__Output {
}
