// Original file: proto/millrace/broker/v1/records.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { FetchRequest as _millrace_broker_v1_FetchRequest, FetchRequest__Output as _millrace_broker_v1_FetchRequest__Output } from '../../../millrace/broker/v1/FetchRequest.js';
import type { FetchResponse as _millrace_broker_v1_FetchResponse, FetchResponse__Output as _millrace_broker_v1_FetchResponse__Output } from '../../../millrace/broker/v1/FetchResponse.js';
import type { ProduceRequest as _millrace_broker_v1_ProduceRequest, ProduceRequest__Output as _millrace_broker_v1_ProduceRequest__Output } from '../../../millrace/broker/v1/ProduceRequest.js';
import type { ProduceResponse as _millrace_broker_v1_ProduceResponse, ProduceResponse__Output as _millrace_broker_v1_ProduceResponse__Output } from '../../../millrace/broker/v1/ProduceResponse.js';

export interface RecordsClient extends grpc.Client {
  Fetch(argument: _millrace_broker_v1_FetchRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_FetchResponse__Output>): grpc.ClientUnaryCall;
  Fetch(argument: _millrace_broker_v1_FetchRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_FetchResponse__Output>): grpc.ClientUnaryCall;
  Fetch(argument: _millrace_broker_v1_FetchRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_FetchResponse__Output>): grpc.ClientUnaryCall;
  Fetch(argument: _millrace_broker_v1_FetchRequest, callback: grpc.requestCallback<_millrace_broker_v1_FetchResponse__Output>): grpc.ClientUnaryCall;
  fetch(argument: _millrace_broker_v1_FetchRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_FetchResponse__Output>): grpc.ClientUnaryCall;
  fetch(argument: _millrace_broker_v1_FetchRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_FetchResponse__Output>): grpc.ClientUnaryCall;
  fetch(argument: _millrace_broker_v1_FetchRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_FetchResponse__Output>): grpc.ClientUnaryCall;
  fetch(argument: _millrace_broker_v1_FetchRequest, callback: grpc.requestCallback<_millrace_broker_v1_FetchResponse__Output>): grpc.ClientUnaryCall;
  
  FetchStream(argument: _millrace_broker_v1_FetchRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_millrace_broker_v1_FetchResponse__Output>;
  FetchStream(argument: _millrace_broker_v1_FetchRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_millrace_broker_v1_FetchResponse__Output>;
  fetchStream(argument: _millrace_broker_v1_FetchRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_millrace_broker_v1_FetchResponse__Output>;
  fetchStream(argument: _millrace_broker_v1_FetchRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_millrace_broker_v1_FetchResponse__Output>;
  
  Produce(argument: _millrace_broker_v1_ProduceRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_ProduceResponse__Output>): grpc.ClientUnaryCall;
  Produce(argument: _millrace_broker_v1_ProduceRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_ProduceResponse__Output>): grpc.ClientUnaryCall;
  Produce(argument: _millrace_broker_v1_ProduceRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_ProduceResponse__Output>): grpc.ClientUnaryCall;
  Produce(argument: _millrace_broker_v1_ProduceRequest, callback: grpc.requestCallback<_millrace_broker_v1_ProduceResponse__Output>): grpc.ClientUnaryCall;
  produce(argument: _millrace_broker_v1_ProduceRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_ProduceResponse__Output>): grpc.ClientUnaryCall;
  produce(argument: _millrace_broker_v1_ProduceRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_ProduceResponse__Output>): grpc.ClientUnaryCall;
  produce(argument: _millrace_broker_v1_ProduceRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_ProduceResponse__Output>): grpc.ClientUnaryCall;
  produce(argument: _millrace_broker_v1_ProduceRequest, callback: grpc.requestCallback<_millrace_broker_v1_ProduceResponse__Output>): grpc.ClientUnaryCall;
  
  ProduceStream(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_millrace_broker_v1_ProduceRequest, _millrace_broker_v1_ProduceResponse__Output>;
  ProduceStream(options?: grpc.CallOptions): grpc.ClientDuplexStream<_millrace_broker_v1_ProduceRequest, _millrace_broker_v1_ProduceResponse__Output>;
  produceStream(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_millrace_broker_v1_ProduceRequest, _millrace_broker_v1_ProduceResponse__Output>;
  produceStream(options?: grpc.CallOptions): grpc.ClientDuplexStream<_millrace_broker_v1_ProduceRequest, _millrace_broker_v1_ProduceResponse__Output>;
  
}

export interface RecordsHandlers extends grpc.UntypedServiceImplementation {
  Fetch: grpc.handleUnaryCall<_millrace_broker_v1_FetchRequest__Output, _millrace_broker_v1_FetchResponse>;
  
  FetchStream: grpc.handleServerStreamingCall<_millrace_broker_v1_FetchRequest__Output, _millrace_broker_v1_FetchResponse>;
  
  Produce: grpc.handleUnaryCall<_millrace_broker_v1_ProduceRequest__Output, _millrace_broker_v1_ProduceResponse>;
  
  ProduceStream: grpc.handleBidiStreamingCall<_millrace_broker_v1_ProduceRequest__Output, _millrace_broker_v1_ProduceResponse>;
  
}

export interface RecordsDefinition extends grpc.ServiceDefinition {
  Fetch: MethodDefinition<_millrace_broker_v1_FetchRequest, _millrace_broker_v1_FetchResponse, _millrace_broker_v1_FetchRequest__Output, _millrace_broker_v1_FetchResponse__Output>
  FetchStream: MethodDefinition<_millrace_broker_v1_FetchRequest, _millrace_broker_v1_FetchResponse, _millrace_broker_v1_FetchRequest__Output, _millrace_broker_v1_FetchResponse__Output>
  Produce: MethodDefinition<_millrace_broker_v1_ProduceRequest, _millrace_broker_v1_ProduceResponse, _millrace_broker_v1_ProduceRequest__Output, _millrace_broker_v1_ProduceResponse__Output>
  ProduceStream: MethodDefinition<_millrace_broker_v1_ProduceRequest, _millrace_broker_v1_ProduceResponse, _millrace_broker_v1_ProduceRequest__Output, _millrace_broker_v1_ProduceResponse__Output>
}
