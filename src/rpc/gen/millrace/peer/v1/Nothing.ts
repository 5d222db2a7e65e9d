// Original file: proto/millrace/peer/v1/peer.proto


export interface Nothing {
}

export interface Nothing__Output {
}
