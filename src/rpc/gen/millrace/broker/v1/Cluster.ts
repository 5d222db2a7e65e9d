// Original file: proto/millrace/broker/v1/cluster.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { AddPartitionsRequest as _millrace_broker_v1_AddPartitionsRequest, AddPartitionsRequest__Output as _millrace_broker_v1_AddPartitionsRequest__Output } from '../../../millrace/broker/v1/AddPartitionsRequest.js';
import type { AddPartitionsResponse as _millrace_broker_v1_AddPartitionsResponse, AddPartitionsResponse__Output as _millrace_broker_v1_AddPartitionsResponse__Output } from '../../../millrace/broker/v1/AddPartitionsResponse.js';
import type { AlterTopicRequest as _millrace_broker_v1_AlterTopicRequest, AlterTopicRequest__Output as _millrace_broker_v1_AlterTopicRequest__Output } from '../../../millrace/broker/v1/AlterTopicRequest.js';
import type { AlterTopicResponse as _millrace_broker_v1_AlterTopicResponse, AlterTopicResponse__Output as _millrace_broker_v1_AlterTopicResponse__Output } from '../../../millrace/broker/v1/AlterTopicResponse.js';
import type { CommitOffsetsRequest as _millrace_broker_v1_CommitOffsetsRequest, CommitOffsetsRequest__Output as _millrace_broker_v1_CommitOffsetsRequest__Output } from '../../../millrace/broker/v1/CommitOffsetsRequest.js';
import type { CommitOffsetsResponse as _millrace_broker_v1_CommitOffsetsResponse, CommitOffsetsResponse__Output as _millrace_broker_v1_CommitOffsetsResponse__Output } from '../../../millrace/broker/v1/CommitOffsetsResponse.js';
import type { CreateTopicRequest as _millrace_broker_v1_CreateTopicRequest, CreateTopicRequest__Output as _millrace_broker_v1_CreateTopicRequest__Output } from '../../../millrace/broker/v1/CreateTopicRequest.js';
import type { CreateTopicResponse as _millrace_broker_v1_CreateTopicResponse, CreateTopicResponse__Output as _millrace_broker_v1_CreateTopicResponse__Output } from '../../../millrace/broker/v1/CreateTopicResponse.js';
import type { DeleteTopicRequest as _millrace_broker_v1_DeleteTopicRequest, DeleteTopicRequest__Output as _millrace_broker_v1_DeleteTopicRequest__Output } from '../../../millrace/broker/v1/DeleteTopicRequest.js';
import type { DeleteTopicResponse as _millrace_broker_v1_DeleteTopicResponse, DeleteTopicResponse__Output as _millrace_broker_v1_DeleteTopicResponse__Output } from '../../../millrace/broker/v1/DeleteTopicResponse.js';
import type { DescribeClusterRequest as _millrace_broker_v1_DescribeClusterRequest, DescribeClusterRequest__Output as _millrace_broker_v1_DescribeClusterRequest__Output } from '../../../millrace/broker/v1/DescribeClusterRequest.js';
import type { DescribeClusterResponse as _millrace_broker_v1_DescribeClusterResponse, DescribeClusterResponse__Output as _millrace_broker_v1_DescribeClusterResponse__Output } from '../../../millrace/broker/v1/DescribeClusterResponse.js';
import type { DescribeTopicRequest as _millrace_broker_v1_DescribeTopicRequest, DescribeTopicRequest__Output as _millrace_broker_v1_DescribeTopicRequest__Output } from '../../../millrace/broker/v1/DescribeTopicRequest.js';
import type { DescribeTopicResponse as _millrace_broker_v1_DescribeTopicResponse, DescribeTopicResponse__Output as _millrace_broker_v1_DescribeTopicResponse__Output } from '../../../millrace/broker/v1/DescribeTopicResponse.js';
import type { FetchOffsetsRequest as _millrace_broker_v1_FetchOffsetsRequest, FetchOffsetsRequest__Output as _millrace_broker_v1_FetchOffsetsRequest__Output } from '../../../millrace/broker/v1/FetchOffsetsRequest.js';
import type { FetchOffsetsResponse as _millrace_broker_v1_FetchOffsetsResponse, FetchOffsetsResponse__Output as _millrace_broker_v1_FetchOffsetsResponse__Output } from '../../../millrace/broker/v1/FetchOffsetsResponse.js';
import type { GetMetadataRequest as _millrace_broker_v1_GetMetadataRequest, GetMetadataRequest__Output as _millrace_broker_v1_GetMetadataRequest__Output } from '../../../millrace/broker/v1/GetMetadataRequest.js';
import type { GetMetadataResponse as _millrace_broker_v1_GetMetadataResponse, GetMetadataResponse__Output as _millrace_broker_v1_GetMetadataResponse__Output } from '../../../millrace/broker/v1/GetMetadataResponse.js';
import type { InitProducerRequest as _millrace_broker_v1_InitProducerRequest, InitProducerRequest__Output as _millrace_broker_v1_InitProducerRequest__Output } from '../../../millrace/broker/v1/InitProducerRequest.js';
import type { InitProducerResponse as _millrace_broker_v1_InitProducerResponse, InitProducerResponse__Output as _millrace_broker_v1_InitProducerResponse__Output } from '../../../millrace/broker/v1/InitProducerResponse.js';
import type { ListOffsetsRequest as _millrace_broker_v1_ListOffsetsRequest, ListOffsetsRequest__Output as _millrace_broker_v1_ListOffsetsRequest__Output } from '../../../millrace/broker/v1/ListOffsetsRequest.js';
import type { ListOffsetsResponse as _millrace_broker_v1_ListOffsetsResponse, ListOffsetsResponse__Output as _millrace_broker_v1_ListOffsetsResponse__Output } from '../../../millrace/broker/v1/ListOffsetsResponse.js';
import type { MoveReplicasRequest as _millrace_broker_v1_MoveReplicasRequest, MoveReplicasRequest__Output as _millrace_broker_v1_MoveReplicasRequest__Output } from '../../../millrace/broker/v1/MoveReplicasRequest.js';
import type { MoveReplicasResponse as _millrace_broker_v1_MoveReplicasResponse, MoveReplicasResponse__Output as _millrace_broker_v1_MoveReplicasResponse__Output } from '../../../millrace/broker/v1/MoveReplicasResponse.js';
import type { TransferLeadershipRequest as _millrace_broker_v1_TransferLeadershipRequest, TransferLeadershipRequest__Output as _millrace_broker_v1_TransferLeadershipRequest__Output } from '../../../millrace/broker/v1/TransferLeadershipRequest.js';
import type { TransferLeadershipResponse as _millrace_broker_v1_TransferLeadershipResponse, TransferLeadershipResponse__Output as _millrace_broker_v1_TransferLeadershipResponse__Output } from '../../../millrace/broker/v1/TransferLeadershipResponse.js';
import type { TrimPartitionRequest as _millrace_broker_v1_TrimPartitionRequest, TrimPartitionRequest__Output as _millrace_broker_v1_TrimPartitionRequest__Output } from '../../../millrace/broker/v1/TrimPartitionRequest.js';
import type { TrimPartitionResponse as _millrace_broker_v1_TrimPartitionResponse, TrimPartitionResponse__Output as _millrace_broker_v1_TrimPartitionResponse__Output } from '../../../millrace/broker/v1/TrimPartitionResponse.js';

export interface ClusterClient extends grpc.Client {
  AddPartitions(argument: _millrace_broker_v1_AddPartitionsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_AddPartitionsResponse__Output>): grpc.ClientUnaryCall;
  AddPartitions(argument: _millrace_broker_v1_AddPartitionsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_AddPartitionsResponse__Output>): grpc.ClientUnaryCall;
  AddPartitions(argument: _millrace_broker_v1_AddPartitionsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_AddPartitionsResponse__Output>): grpc.ClientUnaryCall;
  AddPartitions(argument: _millrace_broker_v1_AddPartitionsRequest, callback: grpc.requestCallback<_millrace_broker_v1_AddPartitionsResponse__Output>): grpc.ClientUnaryCall;
  addPartitions(argument: _millrace_broker_v1_AddPartitionsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_AddPartitionsResponse__Output>): grpc.ClientUnaryCall;
  addPartitions(argument: _millrace_broker_v1_AddPartitionsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_AddPartitionsResponse__Output>): grpc.ClientUnaryCall;
  addPartitions(argument: _millrace_broker_v1_AddPartitionsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_AddPartitionsResponse__Output>): grpc.ClientUnaryCall;
  addPartitions(argument: _millrace_broker_v1_AddPartitionsRequest, callback: grpc.requestCallback<_millrace_broker_v1_AddPartitionsResponse__Output>): grpc.ClientUnaryCall;
  
  AlterTopic(argument: _millrace_broker_v1_AlterTopicRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_AlterTopicResponse__Output>): grpc.ClientUnaryCall;
  AlterTopic(argument: _millrace_broker_v1_AlterTopicRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_AlterTopicResponse__Output>): grpc.ClientUnaryCall;
  AlterTopic(argument: _millrace_broker_v1_AlterTopicRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_AlterTopicResponse__Output>): grpc.ClientUnaryCall;
  AlterTopic(argument: _millrace_broker_v1_AlterTopicRequest, callback: grpc.requestCallback<_millrace_broker_v1_AlterTopicResponse__Output>): grpc.ClientUnaryCall;
  alterTopic(argument: _millrace_broker_v1_AlterTopicRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_AlterTopicResponse__Output>): grpc.ClientUnaryCall;
  alterTopic(argument: _millrace_broker_v1_AlterTopicRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_AlterTopicResponse__Output>): grpc.ClientUnaryCall;
  alterTopic(argument: _millrace_broker_v1_AlterTopicRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_AlterTopicResponse__Output>): grpc.ClientUnaryCall;
  alterTopic(argument: _millrace_broker_v1_AlterTopicRequest, callback: grpc.requestCallback<_millrace_broker_v1_AlterTopicResponse__Output>): grpc.ClientUnaryCall;
  
  CommitOffsets(argument: _millrace_broker_v1_CommitOffsetsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_CommitOffsetsResponse__Output>): grpc.ClientUnaryCall;
  CommitOffsets(argument: _millrace_broker_v1_CommitOffsetsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_CommitOffsetsResponse__Output>): grpc.ClientUnaryCall;
  CommitOffsets(argument: _millrace_broker_v1_CommitOffsetsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_CommitOffsetsResponse__Output>): grpc.ClientUnaryCall;
  CommitOffsets(argument: _millrace_broker_v1_CommitOffsetsRequest, callback: grpc.requestCallback<_millrace_broker_v1_CommitOffsetsResponse__Output>): grpc.ClientUnaryCall;
  commitOffsets(argument: _millrace_broker_v1_CommitOffsetsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_CommitOffsetsResponse__Output>): grpc.ClientUnaryCall;
  commitOffsets(argument: _millrace_broker_v1_CommitOffsetsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_CommitOffsetsResponse__Output>): grpc.ClientUnaryCall;
  commitOffsets(argument: _millrace_broker_v1_CommitOffsetsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_CommitOffsetsResponse__Output>): grpc.ClientUnaryCall;
  commitOffsets(argument: _millrace_broker_v1_CommitOffsetsRequest, callback: grpc.requestCallback<_millrace_broker_v1_CommitOffsetsResponse__Output>): grpc.ClientUnaryCall;
  
  CreateTopic(argument: _millrace_broker_v1_CreateTopicRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_CreateTopicResponse__Output>): grpc.ClientUnaryCall;
  CreateTopic(argument: _millrace_broker_v1_CreateTopicRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_CreateTopicResponse__Output>): grpc.ClientUnaryCall;
  CreateTopic(argument: _millrace_broker_v1_CreateTopicRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_CreateTopicResponse__Output>): grpc.ClientUnaryCall;
  CreateTopic(argument: _millrace_broker_v1_CreateTopicRequest, callback: grpc.requestCallback<_millrace_broker_v1_CreateTopicResponse__Output>): grpc.ClientUnaryCall;
  createTopic(argument: _millrace_broker_v1_CreateTopicRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_CreateTopicResponse__Output>): grpc.ClientUnaryCall;
  createTopic(argument: _millrace_broker_v1_CreateTopicRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_CreateTopicResponse__Output>): grpc.ClientUnaryCall;
  createTopic(argument: _millrace_broker_v1_CreateTopicRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_CreateTopicResponse__Output>): grpc.ClientUnaryCall;
  createTopic(argument: _millrace_broker_v1_CreateTopicRequest, callback: grpc.requestCallback<_millrace_broker_v1_CreateTopicResponse__Output>): grpc.ClientUnaryCall;
  
  DeleteTopic(argument: _millrace_broker_v1_DeleteTopicRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_DeleteTopicResponse__Output>): grpc.ClientUnaryCall;
  DeleteTopic(argument: _millrace_broker_v1_DeleteTopicRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_DeleteTopicResponse__Output>): grpc.ClientUnaryCall;
  DeleteTopic(argument: _millrace_broker_v1_DeleteTopicRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_DeleteTopicResponse__Output>): grpc.ClientUnaryCall;
  DeleteTopic(argument: _millrace_broker_v1_DeleteTopicRequest, callback: grpc.requestCallback<_millrace_broker_v1_DeleteTopicResponse__Output>): grpc.ClientUnaryCall;
  deleteTopic(argument: _millrace_broker_v1_DeleteTopicRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_DeleteTopicResponse__Output>): grpc.ClientUnaryCall;
  deleteTopic(argument: _millrace_broker_v1_DeleteTopicRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_DeleteTopicResponse__Output>): grpc.ClientUnaryCall;
  deleteTopic(argument: _millrace_broker_v1_DeleteTopicRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_DeleteTopicResponse__Output>): grpc.ClientUnaryCall;
  deleteTopic(argument: _millrace_broker_v1_DeleteTopicRequest, callback: grpc.requestCallback<_millrace_broker_v1_DeleteTopicResponse__Output>): grpc.ClientUnaryCall;
  
  DescribeCluster(argument: _millrace_broker_v1_DescribeClusterRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_DescribeClusterResponse__Output>): grpc.ClientUnaryCall;
  DescribeCluster(argument: _millrace_broker_v1_DescribeClusterRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_DescribeClusterResponse__Output>): grpc.ClientUnaryCall;
  DescribeCluster(argument: _millrace_broker_v1_DescribeClusterRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_DescribeClusterResponse__Output>): grpc.ClientUnaryCall;
  DescribeCluster(argument: _millrace_broker_v1_DescribeClusterRequest, callback: grpc.requestCallback<_millrace_broker_v1_DescribeClusterResponse__Output>): grpc.ClientUnaryCall;
  describeCluster(argument: _millrace_broker_v1_DescribeClusterRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_DescribeClusterResponse__Output>): grpc.ClientUnaryCall;
  describeCluster(argument: _millrace_broker_v1_DescribeClusterRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_DescribeClusterResponse__Output>): grpc.ClientUnaryCall;
  describeCluster(argument: _millrace_broker_v1_DescribeClusterRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_DescribeClusterResponse__Output>): grpc.ClientUnaryCall;
  describeCluster(argument: _millrace_broker_v1_DescribeClusterRequest, callback: grpc.requestCallback<_millrace_broker_v1_DescribeClusterResponse__Output>): grpc.ClientUnaryCall;
  
  DescribeTopic(argument: _millrace_broker_v1_DescribeTopicRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_DescribeTopicResponse__Output>): grpc.ClientUnaryCall;
  DescribeTopic(argument: _millrace_broker_v1_DescribeTopicRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_DescribeTopicResponse__Output>): grpc.ClientUnaryCall;
  DescribeTopic(argument: _millrace_broker_v1_DescribeTopicRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_DescribeTopicResponse__Output>): grpc.ClientUnaryCall;
  DescribeTopic(argument: _millrace_broker_v1_DescribeTopicRequest, callback: grpc.requestCallback<_millrace_broker_v1_DescribeTopicResponse__Output>): grpc.ClientUnaryCall;
  describeTopic(argument: _millrace_broker_v1_DescribeTopicRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_DescribeTopicResponse__Output>): grpc.ClientUnaryCall;
  describeTopic(argument: _millrace_broker_v1_DescribeTopicRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_DescribeTopicResponse__Output>): grpc.ClientUnaryCall;
  describeTopic(argument: _millrace_broker_v1_DescribeTopicRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_DescribeTopicResponse__Output>): grpc.ClientUnaryCall;
  describeTopic(argument: _millrace_broker_v1_DescribeTopicRequest, callback: grpc.requestCallback<_millrace_broker_v1_DescribeTopicResponse__Output>): grpc.ClientUnaryCall;
  
  FetchOffsets(argument: _millrace_broker_v1_FetchOffsetsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_FetchOffsetsResponse__Output>): grpc.ClientUnaryCall;
  FetchOffsets(argument: _millrace_broker_v1_FetchOffsetsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_FetchOffsetsResponse__Output>): grpc.ClientUnaryCall;
  FetchOffsets(argument: _millrace_broker_v1_FetchOffsetsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_FetchOffsetsResponse__Output>): grpc.ClientUnaryCall;
  FetchOffsets(argument: _millrace_broker_v1_FetchOffsetsRequest, callback: grpc.requestCallback<_millrace_broker_v1_FetchOffsetsResponse__Output>): grpc.ClientUnaryCall;
  fetchOffsets(argument: _millrace_broker_v1_FetchOffsetsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_FetchOffsetsResponse__Output>): grpc.ClientUnaryCall;
  fetchOffsets(argument: _millrace_broker_v1_FetchOffsetsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_FetchOffsetsResponse__Output>): grpc.ClientUnaryCall;
  fetchOffsets(argument: _millrace_broker_v1_FetchOffsetsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_FetchOffsetsResponse__Output>): grpc.ClientUnaryCall;
  fetchOffsets(argument: _millrace_broker_v1_FetchOffsetsRequest, callback: grpc.requestCallback<_millrace_broker_v1_FetchOffsetsResponse__Output>): grpc.ClientUnaryCall;
  
  GetMetadata(argument: _millrace_broker_v1_GetMetadataRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_GetMetadataResponse__Output>): grpc.ClientUnaryCall;
  GetMetadata(argument: _millrace_broker_v1_GetMetadataRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_GetMetadataResponse__Output>): grpc.ClientUnaryCall;
  GetMetadata(argument: _millrace_broker_v1_GetMetadataRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_GetMetadataResponse__Output>): grpc.ClientUnaryCall;
  GetMetadata(argument: _millrace_broker_v1_GetMetadataRequest, callback: grpc.requestCallback<_millrace_broker_v1_GetMetadataResponse__Output>): grpc.ClientUnaryCall;
  getMetadata(argument: _millrace_broker_v1_GetMetadataRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_GetMetadataResponse__Output>): grpc.ClientUnaryCall;
  getMetadata(argument: _millrace_broker_v1_GetMetadataRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_GetMetadataResponse__Output>): grpc.ClientUnaryCall;
  getMetadata(argument: _millrace_broker_v1_GetMetadataRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_GetMetadataResponse__Output>): grpc.ClientUnaryCall;
  getMetadata(argument: _millrace_broker_v1_GetMetadataRequest, callback: grpc.requestCallback<_millrace_broker_v1_GetMetadataResponse__Output>): grpc.ClientUnaryCall;
  
  InitProducer(argument: _millrace_broker_v1_InitProducerRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_InitProducerResponse__Output>): grpc.ClientUnaryCall;
  InitProducer(argument: _millrace_broker_v1_InitProducerRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_InitProducerResponse__Output>): grpc.ClientUnaryCall;
  InitProducer(argument: _millrace_broker_v1_InitProducerRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_InitProducerResponse__Output>): grpc.ClientUnaryCall;
  InitProducer(argument: _millrace_broker_v1_InitProducerRequest, callback: grpc.requestCallback<_millrace_broker_v1_InitProducerResponse__Output>): grpc.ClientUnaryCall;
  initProducer(argument: _millrace_broker_v1_InitProducerRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_InitProducerResponse__Output>): grpc.ClientUnaryCall;
  initProducer(argument: _millrace_broker_v1_InitProducerRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_InitProducerResponse__Output>): grpc.ClientUnaryCall;
  initProducer(argument: _millrace_broker_v1_InitProducerRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_InitProducerResponse__Output>): grpc.ClientUnaryCall;
  initProducer(argument: _millrace_broker_v1_InitProducerRequest, callback: grpc.requestCallback<_millrace_broker_v1_InitProducerResponse__Output>): grpc.ClientUnaryCall;
  
  ListOffsets(argument: _millrace_broker_v1_ListOffsetsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_ListOffsetsResponse__Output>): grpc.ClientUnaryCall;
  ListOffsets(argument: _millrace_broker_v1_ListOffsetsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_ListOffsetsResponse__Output>): grpc.ClientUnaryCall;
  ListOffsets(argument: _millrace_broker_v1_ListOffsetsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_ListOffsetsResponse__Output>): grpc.ClientUnaryCall;
  ListOffsets(argument: _millrace_broker_v1_ListOffsetsRequest, callback: grpc.requestCallback<_millrace_broker_v1_ListOffsetsResponse__Output>): grpc.ClientUnaryCall;
  listOffsets(argument: _millrace_broker_v1_ListOffsetsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_ListOffsetsResponse__Output>): grpc.ClientUnaryCall;
  listOffsets(argument: _millrace_broker_v1_ListOffsetsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_ListOffsetsResponse__Output>): grpc.ClientUnaryCall;
  listOffsets(argument: _millrace_broker_v1_ListOffsetsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_ListOffsetsResponse__Output>): grpc.ClientUnaryCall;
  listOffsets(argument: _millrace_broker_v1_ListOffsetsRequest, callback: grpc.requestCallback<_millrace_broker_v1_ListOffsetsResponse__Output>): grpc.ClientUnaryCall;
  
  MoveReplicas(argument: _millrace_broker_v1_MoveReplicasRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_MoveReplicasResponse__Output>): grpc.ClientUnaryCall;
  MoveReplicas(argument: _millrace_broker_v1_MoveReplicasRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_MoveReplicasResponse__Output>): grpc.ClientUnaryCall;
  MoveReplicas(argument: _millrace_broker_v1_MoveReplicasRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_MoveReplicasResponse__Output>): grpc.ClientUnaryCall;
  MoveReplicas(argument: _millrace_broker_v1_MoveReplicasRequest, callback: grpc.requestCallback<_millrace_broker_v1_MoveReplicasResponse__Output>): grpc.ClientUnaryCall;
  moveReplicas(argument: _millrace_broker_v1_MoveReplicasRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_MoveReplicasResponse__Output>): grpc.ClientUnaryCall;
  moveReplicas(argument: _millrace_broker_v1_MoveReplicasRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_MoveReplicasResponse__Output>): grpc.ClientUnaryCall;
  moveReplicas(argument: _millrace_broker_v1_MoveReplicasRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_MoveReplicasResponse__Output>): grpc.ClientUnaryCall;
  moveReplicas(argument: _millrace_broker_v1_MoveReplicasRequest, callback: grpc.requestCallback<_millrace_broker_v1_MoveReplicasResponse__Output>): grpc.ClientUnaryCall;
  
  TransferLeadership(argument: _millrace_broker_v1_TransferLeadershipRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_TransferLeadershipResponse__Output>): grpc.ClientUnaryCall;
  TransferLeadership(argument: _millrace_broker_v1_TransferLeadershipRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_TransferLeadershipResponse__Output>): grpc.ClientUnaryCall;
  TransferLeadership(argument: _millrace_broker_v1_TransferLeadershipRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_TransferLeadershipResponse__Output>): grpc.ClientUnaryCall;
  TransferLeadership(argument: _millrace_broker_v1_TransferLeadershipRequest, callback: grpc.requestCallback<_millrace_broker_v1_TransferLeadershipResponse__Output>): grpc.ClientUnaryCall;
  transferLeadership(argument: _millrace_broker_v1_TransferLeadershipRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_TransferLeadershipResponse__Output>): grpc.ClientUnaryCall;
  transferLeadership(argument: _millrace_broker_v1_TransferLeadershipRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_TransferLeadershipResponse__Output>): grpc.ClientUnaryCall;
  transferLeadership(argument: _millrace_broker_v1_TransferLeadershipRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_TransferLeadershipResponse__Output>): grpc.ClientUnaryCall;
  transferLeadership(argument: _millrace_broker_v1_TransferLeadershipRequest, callback: grpc.requestCallback<_millrace_broker_v1_TransferLeadershipResponse__Output>): grpc.ClientUnaryCall;
  
  TrimPartition(argument: _millrace_broker_v1_TrimPartitionRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_TrimPartitionResponse__Output>): grpc.ClientUnaryCall;
  TrimPartition(argument: _millrace_broker_v1_TrimPartitionRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_TrimPartitionResponse__Output>): grpc.ClientUnaryCall;
  TrimPartition(argument: _millrace_broker_v1_TrimPartitionRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_TrimPartitionResponse__Output>): grpc.ClientUnaryCall;
  TrimPartition(argument: _millrace_broker_v1_TrimPartitionRequest, callback: grpc.requestCallback<_millrace_broker_v1_TrimPartitionResponse__Output>): grpc.ClientUnaryCall;
  trimPartition(argument: _millrace_broker_v1_TrimPartitionRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_TrimPartitionResponse__Output>): grpc.ClientUnaryCall;
  trimPartition(argument: _millrace_broker_v1_TrimPartitionRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_millrace_broker_v1_TrimPartitionResponse__Output>): grpc.ClientUnaryCall;
  trimPartition(argument: _millrace_broker_v1_TrimPartitionRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_millrace_broker_v1_TrimPartitionResponse__Output>): grpc.ClientUnaryCall;
  trimPartition(argument: _millrace_broker_v1_TrimPartitionRequest, callback: grpc.requestCallback<_millrace_broker_v1_TrimPartitionResponse__Output>): grpc.ClientUnaryCall;
  
}

export interface ClusterHandlers extends grpc.UntypedServiceImplementation {
  AddPartitions: grpc.handleUnaryCall<_millrace_broker_v1_AddPartitionsRequest__Output, _millrace_broker_v1_AddPartitionsResponse>;
  
  AlterTopic: grpc.handleUnaryCall<_millrace_broker_v1_AlterTopicRequest__Output, _millrace_broker_v1_AlterTopicResponse>;
  
  CommitOffsets: grpc.handleUnaryCall<_millrace_broker_v1_CommitOffsetsRequest__Output, _millrace_broker_v1_CommitOffsetsResponse>;
  
  CreateTopic: grpc.handleUnaryCall<_millrace_broker_v1_CreateTopicRequest__Output, _millrace_broker_v1_CreateTopicResponse>;
  
  DeleteTopic: grpc.handleUnaryCall<_millrace_broker_v1_DeleteTopicRequest__Output, _millrace_broker_v1_DeleteTopicResponse>;
  
  DescribeCluster: grpc.handleUnaryCall<_millrace_broker_v1_DescribeClusterRequest__Output, _millrace_broker_v1_DescribeClusterResponse>;
  
  DescribeTopic: grpc.handleUnaryCall<_millrace_broker_v1_DescribeTopicRequest__Output, _millrace_broker_v1_DescribeTopicResponse>;
  
  FetchOffsets: grpc.handleUnaryCall<_millrace_broker_v1_FetchOffsetsRequest__Output, _millrace_broker_v1_FetchOffsetsResponse>;
  
  GetMetadata: grpc.handleUnaryCall<_millrace_broker_v1_GetMetadataRequest__Output, _millrace_broker_v1_GetMetadataResponse>;
  
  InitProducer: grpc.handleUnaryCall<_millrace_broker_v1_InitProducerRequest__Output, _millrace_broker_v1_InitProducerResponse>;
  
  ListOffsets: grpc.handleUnaryCall<_millrace_broker_v1_ListOffsetsRequest__Output, _millrace_broker_v1_ListOffsetsResponse>;
  
  MoveReplicas: grpc.handleUnaryCall<_millrace_broker_v1_MoveReplicasRequest__Output, _millrace_broker_v1_MoveReplicasResponse>;
  
  TransferLeadership: grpc.handleUnaryCall<_millrace_broker_v1_TransferLeadershipRequest__Output, _millrace_broker_v1_TransferLeadershipResponse>;
  
  TrimPartition: grpc.handleUnaryCall<_millrace_broker_v1_TrimPartitionRequest__Output, _millrace_broker_v1_TrimPartitionResponse>;
  
}

export interface ClusterDefinition extends grpc.ServiceDefinition {
  AddPartitions: MethodDefinition<_millrace_broker_v1_AddPartitionsRequest, _millrace_broker_v1_AddPartitionsResponse, _millrace_broker_v1_AddPartitionsRequest__Output, _millrace_broker_v1_AddPartitionsResponse__Output>
  AlterTopic: MethodDefinition<_millrace_broker_v1_AlterTopicRequest, _millrace_broker_v1_AlterTopicResponse, _millrace_broker_v1_AlterTopicRequest__Output, _millrace_broker_v1_AlterTopicResponse__Output>
  CommitOffsets: MethodDefinition<_millrace_broker_v1_CommitOffsetsRequest, _millrace_broker_v1_CommitOffsetsResponse, _millrace_broker_v1_CommitOffsetsRequest__Output, _millrace_broker_v1_CommitOffsetsResponse__Output>
  CreateTopic: MethodDefinition<_millrace_broker_v1_CreateTopicRequest, _millrace_broker_v1_CreateTopicResponse, _millrace_broker_v1_CreateTopicRequest__Output, _millrace_broker_v1_CreateTopicResponse__Output>
  DeleteTopic: MethodDefinition<_millrace_broker_v1_DeleteTopicRequest, _millrace_broker_v1_DeleteTopicResponse, _millrace_broker_v1_DeleteTopicRequest__Output, _millrace_broker_v1_DeleteTopicResponse__Output>
  DescribeCluster: MethodDefinition<_millrace_broker_v1_DescribeClusterRequest, _millrace_broker_v1_DescribeClusterResponse, _millrace_broker_v1_DescribeClusterRequest__Output, _millrace_broker_v1_DescribeClusterResponse__Output>
  DescribeTopic: MethodDefinition<_millrace_broker_v1_DescribeTopicRequest, _millrace_broker_v1_DescribeTopicResponse, _millrace_broker_v1_DescribeTopicRequest__Output, _millrace_broker_v1_DescribeTopicResponse__Output>
  FetchOffsets: MethodDefinition<_millrace_broker_v1_FetchOffsetsRequest, _millrace_broker_v1_FetchOffsetsResponse, _millrace_broker_v1_FetchOffsetsRequest__Output, _millrace_broker_v1_FetchOffsetsResponse__Output>
  GetMetadata: MethodDefinition<_millrace_broker_v1_GetMetadataRequest, _millrace_broker_v1_GetMetadataResponse, _millrace_broker_v1_GetMetadataRequest__Output, _millrace_broker_v1_GetMetadataResponse__Output>
  InitProducer: MethodDefinition<_millrace_broker_v1_InitProducerRequest, _millrace_broker_v1_InitProducerResponse, _millrace_broker_v1_InitProducerRequest__Output, _millrace_broker_v1_InitProducerResponse__Output>
  ListOffsets: MethodDefinition<_millrace_broker_v1_ListOffsetsRequest, _millrace_broker_v1_ListOffsetsResponse, _millrace_broker_v1_ListOffsetsRequest__Output, _millrace_broker_v1_ListOffsetsResponse__Output>
  MoveReplicas: MethodDefinition<_millrace_broker_v1_MoveReplicasRequest, _millrace_broker_v1_MoveReplicasResponse, _millrace_broker_v1_MoveReplicasRequest__Output, _millrace_broker_v1_MoveReplicasResponse__Output>
  TransferLeadership: MethodDefinition<_millrace_broker_v1_TransferLeadershipRequest, _millrace_broker_v1_TransferLeadershipResponse, _millrace_broker_v1_TransferLeadershipRequest__Output, _millrace_broker_v1_TransferLeadershipResponse__Output>
  TrimPartition: MethodDefinition<_millrace_broker_v1_TrimPartitionRequest, _millrace_broker_v1_TrimPartitionResponse, _millrace_broker_v1_TrimPartitionRequest__Output, _millrace_broker_v1_TrimPartitionResponse__Output>
}
