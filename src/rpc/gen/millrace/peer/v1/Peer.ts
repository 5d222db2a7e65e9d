// Original file: proto/millrace/peer/v1/peer.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { CallRequest as _millrace_peer_v1_CallRequest, CallRequest__Output as _millrace_peer_v1_CallRequest__Output } from '../../../millrace/peer/v1/CallRequest.js';
import type { CallResponse as _millrace_peer_v1_CallResponse, CallResponse__Output as _millrace_peer_v1_CallResponse__Output } from '../../../millrace/peer/v1/CallResponse.js';
import type { Envelope as _millrace_peer_v1_Envelope, Envelope__Output as _millrace_peer_v1_Envelope__Output } from '../../../millrace/peer/v1/Envelope.js';
import type { Nothing as _millrace_peer_v1_Nothing, Nothing__Output as _millrace_peer_v1_Nothing__Output } from '../../../millrace/peer/v1/Nothing.js';
import type { SnapshotChunk as _millrace_peer_v1_SnapshotChunk, SnapshotChunk__Output as _millrace_peer_v1_SnapshotChunk__Output } from '../../../millrace/peer/v1/SnapshotChunk.js';
import type { SnapshotResult as _millrace_peer_v1_SnapshotResult, SnapshotResult__Output as _millrace_peer_v1_SnapshotResult__Output } from '../../../millrace/peer/v1/SnapshotResult.js';

export interface PeerClient extends grpc.Client {
  Bulk(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_millrace_peer_v1_Envelope, _millrace_peer_v1_Nothing__Output>;
  Bulk(options?: grpc.CallOptions): grpc.ClientDuplexStream<_millrace_peer_v1_Envelope, _millrace_peer_v1_Nothing__Output>;
  bulk(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_millrace_peer_v1_Envelope, _millrace_peer_v1_Nothing__Output>;
  bulk(options?: grpc.CallOptions): grpc.ClientDuplexStream<_millrace_peer_v1_Envelope, _millrace_peer_v1_Nothing__Output>;
  
  Call(argument: _millrace_peer_v1_CallRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_peer_v1_CallResponse__Output>): grpc.ClientUnaryCall;
  Call(argument: _millrace_peer_v1_CallRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_peer_v1_CallResponse__Output>): grpc.ClientUnaryCall;
  Call(argument: _millrace_peer_v1_CallRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_peer_v1_CallResponse__Output>): grpc.ClientUnaryCall;
  Call(argument: _millrace_peer_v1_CallRequest, callback: grpc.requestCallback<_millrace_peer_v1_CallResponse__Output>): grpc.ClientUnaryCall;
  call(argument: _millrace_peer_v1_CallRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_peer_v1_CallResponse__Output>): grpc.ClientUnaryCall;
  call(argument: _millrace_peer_v1_CallRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_peer_v1_CallResponse__Output>): grpc.ClientUnaryCall;
  call(argument: _millrace_peer_v1_CallRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_peer_v1_CallResponse__Output>): grpc.ClientUnaryCall;
  call(argument: _millrace_peer_v1_CallRequest, callback: grpc.requestCallback<_millrace_peer_v1_CallResponse__Output>): grpc.ClientUnaryCall;
  
  Control(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_millrace_peer_v1_Envelope, _millrace_peer_v1_Nothing__Output>;
  Control(options?: grpc.CallOptions): grpc.ClientDuplexStream<_millrace_peer_v1_Envelope, _millrace_peer_v1_Nothing__Output>;
  control(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_millrace_peer_v1_Envelope, _millrace_peer_v1_Nothing__Output>;
  control(options?: grpc.CallOptions): grpc.ClientDuplexStream<_millrace_peer_v1_Envelope, _millrace_peer_v1_Nothing__Output>;
  
  InstallSnapshot(metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_peer_v1_SnapshotResult__Output>): grpc.ClientWritableStream<_millrace_peer_v1_SnapshotChunk>;
  InstallSnapshot(metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_peer_v1_SnapshotResult__Output>): grpc.ClientWritableStream<_millrace_peer_v1_SnapshotChunk>;
  InstallSnapshot(options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_peer_v1_SnapshotResult__Output>): grpc.ClientWritableStream<_millrace_peer_v1_SnapshotChunk>;
  InstallSnapshot(callback: grpc.requestCallback<_millrace_peer_v1_SnapshotResult__Output>): grpc.ClientWritableStream<_millrace_peer_v1_SnapshotChunk>;
  installSnapshot(metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_peer_v1_SnapshotResult__Output>): grpc.ClientWritableStream<_millrace_peer_v1_SnapshotChunk>;
  installSnapshot(metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_peer_v1_SnapshotResult__Output>): grpc.ClientWritableStream<_millrace_peer_v1_SnapshotChunk>;
  installSnapshot(options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_peer_v1_SnapshotResult__Output>): grpc.ClientWritableStream<_millrace_peer_v1_SnapshotChunk>;
  installSnapshot(callback: grpc.requestCallback<_millrace_peer_v1_SnapshotResult__Output>): grpc.ClientWritableStream<_millrace_peer_v1_SnapshotChunk>;
  
}

export interface PeerHandlers extends grpc.UntypedServiceImplementation {
  Bulk: grpc.handleBidiStreamingCall<_millrace_peer_v1_Envelope__Output, _millrace_peer_v1_Nothing>;
  
  Call: grpc.handleUnaryCall<_millrace_peer_v1_CallRequest__Output, _millrace_peer_v1_CallResponse>;
  
  Control: grpc.handleBidiStreamingCall<_millrace_peer_v1_Envelope__Output, _millrace_peer_v1_Nothing>;
  
  InstallSnapshot: grpc.handleClientStreamingCall<_millrace_peer_v1_SnapshotChunk__Output, _millrace_peer_v1_SnapshotResult>;
  
}

export interface PeerDefinition extends grpc.ServiceDefinition {
  Bulk: MethodDefinition<_millrace_peer_v1_Envelope, _millrace_peer_v1_Nothing, _millrace_peer_v1_Envelope__Output, _millrace_peer_v1_Nothing__Output>
  Call: MethodDefinition<_millrace_peer_v1_CallRequest, _millrace_peer_v1_CallResponse, _millrace_peer_v1_CallRequest__Output, _millrace_peer_v1_CallResponse__Output>
  Control: MethodDefinition<_millrace_peer_v1_Envelope, _millrace_peer_v1_Nothing, _millrace_peer_v1_Envelope__Output, _millrace_peer_v1_Nothing__Output>
  InstallSnapshot: MethodDefinition<_millrace_peer_v1_SnapshotChunk, _millrace_peer_v1_SnapshotResult, _millrace_peer_v1_SnapshotChunk__Output, _millrace_peer_v1_SnapshotResult__Output>
}
