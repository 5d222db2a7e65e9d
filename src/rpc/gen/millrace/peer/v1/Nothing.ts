// Original file: /work/wt/wire/proto/millrace/peer/v1/peer.proto


export interface Nothing {
}

export interface Nothing__Output {
}
