import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { CallRequest as _millrace_peer_v1_CallRequest, CallRequest__Output as _millrace_peer_v1_CallRequest__Output } from './millrace/peer/v1/CallRequest.js';
import type { CallResponse as _millrace_peer_v1_CallResponse, CallResponse__Output as _millrace_peer_v1_CallResponse__Output } from './millrace/peer/v1/CallResponse.js';
import type { Envelope as _millrace_peer_v1_Envelope, Envelope__Output as _millrace_peer_v1_Envelope__Output } from './millrace/peer/v1/Envelope.js';
import type { Nothing as _millrace_peer_v1_Nothing, Nothing__Output as _millrace_peer_v1_Nothing__Output } from './millrace/peer/v1/Nothing.js';
import type { PeerClient as _millrace_peer_v1_PeerClient, PeerDefinition as _millrace_peer_v1_PeerDefinition } from './millrace/peer/v1/Peer.js';
import type { SnapshotChunk as _millrace_peer_v1_SnapshotChunk, SnapshotChunk__Output as _millrace_peer_v1_SnapshotChunk__Output } from './millrace/peer/v1/SnapshotChunk.js';
import type { SnapshotResult as _millrace_peer_v1_SnapshotResult, SnapshotResult__Output as _millrace_peer_v1_SnapshotResult__Output } from './millrace/peer/v1/SnapshotResult.js';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  millrace: {
    peer: {
      v1: {
        CallRequest: MessageTypeDefinition<_millrace_peer_v1_CallRequest, _millrace_peer_v1_CallRequest__Output>
        CallResponse: MessageTypeDefinition<_millrace_peer_v1_CallResponse, _millrace_peer_v1_CallResponse__Output>
        Envelope: MessageTypeDefinition<_millrace_peer_v1_Envelope, _millrace_peer_v1_Envelope__Output>
        Nothing: MessageTypeDefinition<_millrace_peer_v1_Nothing, _millrace_peer_v1_Nothing__Output>
        Peer: SubtypeConstructor<typeof grpc.Client, _millrace_peer_v1_PeerClient> & { service: _millrace_peer_v1_PeerDefinition }
        SnapshotChunk: MessageTypeDefinition<_millrace_peer_v1_SnapshotChunk, _millrace_peer_v1_SnapshotChunk__Output>
        SnapshotResult: MessageTypeDefinition<_millrace_peer_v1_SnapshotResult, _millrace_peer_v1_SnapshotResult__Output>
      }
    }
  }
}

