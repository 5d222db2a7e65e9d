// Original file: proto/millrace/broker/v1/group.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { DeleteGroupOffsetsRequest as _millrace_broker_v1_DeleteGroupOffsetsRequest, DeleteGroupOffsetsRequest__Output as _millrace_broker_v1_DeleteGroupOffsetsRequest__Output } from '../../../millrace/broker/v1/DeleteGroupOffsetsRequest.js';
import type { DeleteGroupOffsetsResponse as _millrace_broker_v1_DeleteGroupOffsetsResponse, DeleteGroupOffsetsResponse__Output as _millrace_broker_v1_DeleteGroupOffsetsResponse__Output } from '../../../millrace/broker/v1/DeleteGroupOffsetsResponse.js';
import type { DeleteGroupRequest as _millrace_broker_v1_DeleteGroupRequest, DeleteGroupRequest__Output as _millrace_broker_v1_DeleteGroupRequest__Output } from '../../../millrace/broker/v1/DeleteGroupRequest.js';
import type { DeleteGroupResponse as _millrace_broker_v1_DeleteGroupResponse, DeleteGroupResponse__Output as _millrace_broker_v1_DeleteGroupResponse__Output } from '../../../millrace/broker/v1/DeleteGroupResponse.js';
import type { DescribeGroupRequest as _millrace_broker_v1_DescribeGroupRequest, DescribeGroupRequest__Output as _millrace_broker_v1_DescribeGroupRequest__Output } from '../../../millrace/broker/v1/DescribeGroupRequest.js';
import type { DescribeGroupResponse as _millrace_broker_v1_DescribeGroupResponse, DescribeGroupResponse__Output as _millrace_broker_v1_DescribeGroupResponse__Output } from '../../../millrace/broker/v1/DescribeGroupResponse.js';
import type { ListGroupsRequest as _millrace_broker_v1_ListGroupsRequest, ListGroupsRequest__Output as _millrace_broker_v1_ListGroupsRequest__Output } from '../../../millrace/broker/v1/ListGroupsRequest.js';
import type { ListGroupsResponse as _millrace_broker_v1_ListGroupsResponse, ListGroupsResponse__Output as _millrace_broker_v1_ListGroupsResponse__Output } from '../../../millrace/broker/v1/ListGroupsResponse.js';
import type { ParticipateRequest as _millrace_broker_v1_ParticipateRequest, ParticipateRequest__Output as _millrace_broker_v1_ParticipateRequest__Output } from '../../../millrace/broker/v1/ParticipateRequest.js';
import type { ParticipateResponse as _millrace_broker_v1_ParticipateResponse, ParticipateResponse__Output as _millrace_broker_v1_ParticipateResponse__Output } from '../../../millrace/broker/v1/ParticipateResponse.js';
import type { ResetGroupOffsetsRequest as _millrace_broker_v1_ResetGroupOffsetsRequest, ResetGroupOffsetsRequest__Output as _millrace_broker_v1_ResetGroupOffsetsRequest__Output } from '../../../millrace/broker/v1/ResetGroupOffsetsRequest.js';
import type { ResetGroupOffsetsResponse as _millrace_broker_v1_ResetGroupOffsetsResponse, ResetGroupOffsetsResponse__Output as _millrace_broker_v1_ResetGroupOffsetsResponse__Output } from '../../../millrace/broker/v1/ResetGroupOffsetsResponse.js';

export interface GroupsClient extends grpc.Client {
  DeleteGroup(argument: _millrace_broker_v1_DeleteGroupRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_DeleteGroupResponse__Output>): grpc.ClientUnaryCall;
  DeleteGroup(argument: _millrace_broker_v1_DeleteGroupRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_DeleteGroupResponse__Output>): grpc.ClientUnaryCall;
  DeleteGroup(argument: _millrace_broker_v1_DeleteGroupRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_DeleteGroupResponse__Output>): grpc.ClientUnaryCall;
  DeleteGroup(argument: _millrace_broker_v1_DeleteGroupRequest, callback: grpc.requestCallback<_millrace_broker_v1_DeleteGroupResponse__Output>): grpc.ClientUnaryCall;
  deleteGroup(argument: _millrace_broker_v1_DeleteGroupRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_DeleteGroupResponse__Output>): grpc.ClientUnaryCall;
  deleteGroup(argument: _millrace_broker_v1_DeleteGroupRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_DeleteGroupResponse__Output>): grpc.ClientUnaryCall;
  deleteGroup(argument: _millrace_broker_v1_DeleteGroupRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_DeleteGroupResponse__Output>): grpc.ClientUnaryCall;
  deleteGroup(argument: _millrace_broker_v1_DeleteGroupRequest, callback: grpc.requestCallback<_millrace_broker_v1_DeleteGroupResponse__Output>): grpc.ClientUnaryCall;
  
  DeleteGroupOffsets(argument: _millrace_broker_v1_DeleteGroupOffsetsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_DeleteGroupOffsetsResponse__Output>): grpc.ClientUnaryCall;
  DeleteGroupOffsets(argument: _millrace_broker_v1_DeleteGroupOffsetsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_DeleteGroupOffsetsResponse__Output>): grpc.ClientUnaryCall;
  DeleteGroupOffsets(argument: _millrace_broker_v1_DeleteGroupOffsetsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_DeleteGroupOffsetsResponse__Output>): grpc.ClientUnaryCall;
  DeleteGroupOffsets(argument: _millrace_broker_v1_DeleteGroupOffsetsRequest, callback: grpc.requestCallback<_millrace_broker_v1_DeleteGroupOffsetsResponse__Output>): grpc.ClientUnaryCall;
  deleteGroupOffsets(argument: _millrace_broker_v1_DeleteGroupOffsetsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_DeleteGroupOffsetsResponse__Output>): grpc.ClientUnaryCall;
  deleteGroupOffsets(argument: _millrace_broker_v1_DeleteGroupOffsetsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_DeleteGroupOffsetsResponse__Output>): grpc.ClientUnaryCall;
  deleteGroupOffsets(argument: _millrace_broker_v1_DeleteGroupOffsetsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_DeleteGroupOffsetsResponse__Output>): grpc.ClientUnaryCall;
  deleteGroupOffsets(argument: _millrace_broker_v1_DeleteGroupOffsetsRequest, callback: grpc.requestCallback<_millrace_broker_v1_DeleteGroupOffsetsResponse__Output>): grpc.ClientUnaryCall;
  
  DescribeGroup(argument: _millrace_broker_v1_DescribeGroupRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_DescribeGroupResponse__Output>): grpc.ClientUnaryCall;
  DescribeGroup(argument: _millrace_broker_v1_DescribeGroupRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_DescribeGroupResponse__Output>): grpc.ClientUnaryCall;
  DescribeGroup(argument: _millrace_broker_v1_DescribeGroupRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_DescribeGroupResponse__Output>): grpc.ClientUnaryCall;
  DescribeGroup(argument: _millrace_broker_v1_DescribeGroupRequest, callback: grpc.requestCallback<_millrace_broker_v1_DescribeGroupResponse__Output>): grpc.ClientUnaryCall;
  describeGroup(argument: _millrace_broker_v1_DescribeGroupRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_DescribeGroupResponse__Output>): grpc.ClientUnaryCall;
  describeGroup(argument: _millrace_broker_v1_DescribeGroupRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_DescribeGroupResponse__Output>): grpc.ClientUnaryCall;
  describeGroup(argument: _millrace_broker_v1_DescribeGroupRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_DescribeGroupResponse__Output>): grpc.ClientUnaryCall;
  describeGroup(argument: _millrace_broker_v1_DescribeGroupRequest, callback: grpc.requestCallback<_millrace_broker_v1_DescribeGroupResponse__Output>): grpc.ClientUnaryCall;
  
  ListGroups(argument: _millrace_broker_v1_ListGroupsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_ListGroupsResponse__Output>): grpc.ClientUnaryCall;
  ListGroups(argument: _millrace_broker_v1_ListGroupsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_ListGroupsResponse__Output>): grpc.ClientUnaryCall;
  ListGroups(argument: _millrace_broker_v1_ListGroupsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_ListGroupsResponse__Output>): grpc.ClientUnaryCall;
  ListGroups(argument: _millrace_broker_v1_ListGroupsRequest, callback: grpc.requestCallback<_millrace_broker_v1_ListGroupsResponse__Output>): grpc.ClientUnaryCall;
  listGroups(argument: _millrace_broker_v1_ListGroupsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_ListGroupsResponse__Output>): grpc.ClientUnaryCall;
  listGroups(argument: _millrace_broker_v1_ListGroupsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_ListGroupsResponse__Output>): grpc.ClientUnaryCall;
  listGroups(argument: _millrace_broker_v1_ListGroupsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_ListGroupsResponse__Output>): grpc.ClientUnaryCall;
  listGroups(argument: _millrace_broker_v1_ListGroupsRequest, callback: grpc.requestCallback<_millrace_broker_v1_ListGroupsResponse__Output>): grpc.ClientUnaryCall;
  
  Participate(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_millrace_broker_v1_ParticipateRequest, _millrace_broker_v1_ParticipateResponse__Output>;
  Participate(options?: grpc.CallOptions): grpc.ClientDuplexStream<_millrace_broker_v1_ParticipateRequest, _millrace_broker_v1_ParticipateResponse__Output>;
  participate(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_millrace_broker_v1_ParticipateRequest, _millrace_broker_v1_ParticipateResponse__Output>;
  participate(options?: grpc.CallOptions): grpc.ClientDuplexStream<_millrace_broker_v1_ParticipateRequest, _millrace_broker_v1_ParticipateResponse__Output>;
  
  ResetGroupOffsets(argument: _millrace_broker_v1_ResetGroupOffsetsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_ResetGroupOffsetsResponse__Output>): grpc.ClientUnaryCall;
  ResetGroupOffsets(argument: _millrace_broker_v1_ResetGroupOffsetsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_ResetGroupOffsetsResponse__Output>): grpc.ClientUnaryCall;
  ResetGroupOffsets(argument: _millrace_broker_v1_ResetGroupOffsetsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_ResetGroupOffsetsResponse__Output>): grpc.ClientUnaryCall;
  ResetGroupOffsets(argument: _millrace_broker_v1_ResetGroupOffsetsRequest, callback: grpc.requestCallback<_millrace_broker_v1_ResetGroupOffsetsResponse__Output>): grpc.ClientUnaryCall;
  resetGroupOffsets(argument: _millrace_broker_v1_ResetGroupOffsetsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_ResetGroupOffsetsResponse__Output>): grpc.ClientUnaryCall;
  resetGroupOffsets(argument: _millrace_broker_v1_ResetGroupOffsetsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_ResetGroupOffsetsResponse__Output>): grpc.ClientUnaryCall;
  resetGroupOffsets(argument: _millrace_broker_v1_ResetGroupOffsetsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_ResetGroupOffsetsResponse__Output>): grpc.ClientUnaryCall;
  resetGroupOffsets(argument: _millrace_broker_v1_ResetGroupOffsetsRequest, callback: grpc.requestCallback<_millrace_broker_v1_ResetGroupOffsetsResponse__Output>): grpc.ClientUnaryCall;
  
}

export interface GroupsHandlers extends grpc.UntypedServiceImplementation {
  DeleteGroup: grpc.handleUnaryCall<_millrace_broker_v1_DeleteGroupRequest__Output, _millrace_broker_v1_DeleteGroupResponse>;
  
  DeleteGroupOffsets: grpc.handleUnaryCall<_millrace_broker_v1_DeleteGroupOffsetsRequest__Output, _millrace_broker_v1_DeleteGroupOffsetsResponse>;
  
  DescribeGroup: grpc.handleUnaryCall<_millrace_broker_v1_DescribeGroupRequest__Output, _millrace_broker_v1_DescribeGroupResponse>;
  
  ListGroups: grpc.handleUnaryCall<_millrace_broker_v1_ListGroupsRequest__Output, _millrace_broker_v1_ListGroupsResponse>;
  
  Participate: grpc.handleBidiStreamingCall<_millrace_broker_v1_ParticipateRequest__Output, _millrace_broker_v1_ParticipateResponse>;
  
  ResetGroupOffsets: grpc.handleUnaryCall<_millrace_broker_v1_ResetGroupOffsetsRequest__Output, _millrace_broker_v1_ResetGroupOffsetsResponse>;
  
}

export interface GroupsDefinition extends grpc.ServiceDefinition {
  DeleteGroup: MethodDefinition<_millrace_broker_v1_DeleteGroupRequest, _millrace_broker_v1_DeleteGroupResponse, _millrace_broker_v1_DeleteGroupRequest__Output, _millrace_broker_v1_DeleteGroupResponse__Output>
  DeleteGroupOffsets: MethodDefinition<_millrace_broker_v1_DeleteGroupOffsetsRequest, _millrace_broker_v1_DeleteGroupOffsetsResponse, _millrace_broker_v1_DeleteGroupOffsetsRequest__Output, _millrace_broker_v1_DeleteGroupOffsetsResponse__Output>
  DescribeGroup: MethodDefinition<_millrace_broker_v1_DescribeGroupRequest, _millrace_broker_v1_DescribeGroupResponse, _millrace_broker_v1_DescribeGroupRequest__Output, _millrace_broker_v1_DescribeGroupResponse__Output>
  ListGroups: MethodDefinition<_millrace_broker_v1_ListGroupsRequest, _millrace_broker_v1_ListGroupsResponse, _millrace_broker_v1_ListGroupsRequest__Output, _millrace_broker_v1_ListGroupsResponse__Output>
  Participate: MethodDefinition<_millrace_broker_v1_ParticipateRequest, _millrace_broker_v1_ParticipateResponse, _millrace_broker_v1_ParticipateRequest__Output, _millrace_broker_v1_ParticipateResponse__Output>
  ResetGroupOffsets: MethodDefinition<_millrace_broker_v1_ResetGroupOffsetsRequest, _millrace_broker_v1_ResetGroupOffsetsResponse, _millrace_broker_v1_ResetGroupOffsetsRequest__Output, _millrace_broker_v1_ResetGroupOffsetsResponse__Output>
}
