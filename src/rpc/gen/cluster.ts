import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { AddPartitionsRequest as _millrace_broker_v1_AddPartitionsRequest, AddPartitionsRequest__Output as _millrace_broker_v1_AddPartitionsRequest__Output } from './millrace/broker/v1/AddPartitionsRequest.js';
import type { AddPartitionsResponse as _millrace_broker_v1_AddPartitionsResponse, AddPartitionsResponse__Output as _millrace_broker_v1_AddPartitionsResponse__Output } from './millrace/broker/v1/AddPartitionsResponse.js';
import type { AlterTopicRequest as _millrace_broker_v1_AlterTopicRequest, AlterTopicRequest__Output as _millrace_broker_v1_AlterTopicRequest__Output } from './millrace/broker/v1/AlterTopicRequest.js';
import type { AlterTopicResponse as _millrace_broker_v1_AlterTopicResponse, AlterTopicResponse__Output as _millrace_broker_v1_AlterTopicResponse__Output } from './millrace/broker/v1/AlterTopicResponse.js';
import type { Broker as _millrace_broker_v1_Broker, Broker__Output as _millrace_broker_v1_Broker__Output } from './millrace/broker/v1/Broker.js';
import type { ClusterClient as _millrace_broker_v1_ClusterClient, ClusterDefinition as _millrace_broker_v1_ClusterDefinition } from './millrace/broker/v1/Cluster.js';
import type { CommitOffsetsRequest as _millrace_broker_v1_CommitOffsetsRequest, CommitOffsetsRequest__Output as _millrace_broker_v1_CommitOffsetsRequest__Output } from './millrace/broker/v1/CommitOffsetsRequest.js';
import type { CommitOffsetsResponse as _millrace_broker_v1_CommitOffsetsResponse, CommitOffsetsResponse__Output as _millrace_broker_v1_CommitOffsetsResponse__Output } from './millrace/broker/v1/CommitOffsetsResponse.js';
import type { CommittedOffset as _millrace_broker_v1_CommittedOffset, CommittedOffset__Output as _millrace_broker_v1_CommittedOffset__Output } from './millrace/broker/v1/CommittedOffset.js';
import type { ConfigChange as _millrace_broker_v1_ConfigChange, ConfigChange__Output as _millrace_broker_v1_ConfigChange__Output } from './millrace/broker/v1/ConfigChange.js';
import type { ConfigKeyChange as _millrace_broker_v1_ConfigKeyChange, ConfigKeyChange__Output as _millrace_broker_v1_ConfigKeyChange__Output } from './millrace/broker/v1/ConfigKeyChange.js';
import type { CreateTopicRequest as _millrace_broker_v1_CreateTopicRequest, CreateTopicRequest__Output as _millrace_broker_v1_CreateTopicRequest__Output } from './millrace/broker/v1/CreateTopicRequest.js';
import type { CreateTopicResponse as _millrace_broker_v1_CreateTopicResponse, CreateTopicResponse__Output as _millrace_broker_v1_CreateTopicResponse__Output } from './millrace/broker/v1/CreateTopicResponse.js';
import type { DeleteTopicRequest as _millrace_broker_v1_DeleteTopicRequest, DeleteTopicRequest__Output as _millrace_broker_v1_DeleteTopicRequest__Output } from './millrace/broker/v1/DeleteTopicRequest.js';
import type { DeleteTopicResponse as _millrace_broker_v1_DeleteTopicResponse, DeleteTopicResponse__Output as _millrace_broker_v1_DeleteTopicResponse__Output } from './millrace/broker/v1/DeleteTopicResponse.js';
import type { DescribeClusterRequest as _millrace_broker_v1_DescribeClusterRequest, DescribeClusterRequest__Output as _millrace_broker_v1_DescribeClusterRequest__Output } from './millrace/broker/v1/DescribeClusterRequest.js';
import type { DescribeClusterResponse as _millrace_broker_v1_DescribeClusterResponse, DescribeClusterResponse__Output as _millrace_broker_v1_DescribeClusterResponse__Output } from './millrace/broker/v1/DescribeClusterResponse.js';
import type { DescribeTopicRequest as _millrace_broker_v1_DescribeTopicRequest, DescribeTopicRequest__Output as _millrace_broker_v1_DescribeTopicRequest__Output } from './millrace/broker/v1/DescribeTopicRequest.js';
import type { DescribeTopicResponse as _millrace_broker_v1_DescribeTopicResponse, DescribeTopicResponse__Output as _millrace_broker_v1_DescribeTopicResponse__Output } from './millrace/broker/v1/DescribeTopicResponse.js';
import type { FetchOffsetsRequest as _millrace_broker_v1_FetchOffsetsRequest, FetchOffsetsRequest__Output as _millrace_broker_v1_FetchOffsetsRequest__Output } from './millrace/broker/v1/FetchOffsetsRequest.js';
import type { FetchOffsetsResponse as _millrace_broker_v1_FetchOffsetsResponse, FetchOffsetsResponse__Output as _millrace_broker_v1_FetchOffsetsResponse__Output } from './millrace/broker/v1/FetchOffsetsResponse.js';
import type { GetMetadataRequest as _millrace_broker_v1_GetMetadataRequest, GetMetadataRequest__Output as _millrace_broker_v1_GetMetadataRequest__Output } from './millrace/broker/v1/GetMetadataRequest.js';
import type { GetMetadataResponse as _millrace_broker_v1_GetMetadataResponse, GetMetadataResponse__Output as _millrace_broker_v1_GetMetadataResponse__Output } from './millrace/broker/v1/GetMetadataResponse.js';
import type { GroupMember as _millrace_broker_v1_GroupMember, GroupMember__Output as _millrace_broker_v1_GroupMember__Output } from './millrace/broker/v1/GroupMember.js';
import type { InitProducerRequest as _millrace_broker_v1_InitProducerRequest, InitProducerRequest__Output as _millrace_broker_v1_InitProducerRequest__Output } from './millrace/broker/v1/InitProducerRequest.js';
import type { InitProducerResponse as _millrace_broker_v1_InitProducerResponse, InitProducerResponse__Output as _millrace_broker_v1_InitProducerResponse__Output } from './millrace/broker/v1/InitProducerResponse.js';
import type { ListOffsetsRequest as _millrace_broker_v1_ListOffsetsRequest, ListOffsetsRequest__Output as _millrace_broker_v1_ListOffsetsRequest__Output } from './millrace/broker/v1/ListOffsetsRequest.js';
import type { ListOffsetsResponse as _millrace_broker_v1_ListOffsetsResponse, ListOffsetsResponse__Output as _millrace_broker_v1_ListOffsetsResponse__Output } from './millrace/broker/v1/ListOffsetsResponse.js';
import type { MoveReplicasRequest as _millrace_broker_v1_MoveReplicasRequest, MoveReplicasRequest__Output as _millrace_broker_v1_MoveReplicasRequest__Output } from './millrace/broker/v1/MoveReplicasRequest.js';
import type { MoveReplicasResponse as _millrace_broker_v1_MoveReplicasResponse, MoveReplicasResponse__Output as _millrace_broker_v1_MoveReplicasResponse__Output } from './millrace/broker/v1/MoveReplicasResponse.js';
import type { OffsetAnswer as _millrace_broker_v1_OffsetAnswer, OffsetAnswer__Output as _millrace_broker_v1_OffsetAnswer__Output } from './millrace/broker/v1/OffsetAnswer.js';
import type { OffsetKey as _millrace_broker_v1_OffsetKey, OffsetKey__Output as _millrace_broker_v1_OffsetKey__Output } from './millrace/broker/v1/OffsetKey.js';
import type { OffsetQuery as _millrace_broker_v1_OffsetQuery, OffsetQuery__Output as _millrace_broker_v1_OffsetQuery__Output } from './millrace/broker/v1/OffsetQuery.js';
import type { PartitionDescription as _millrace_broker_v1_PartitionDescription, PartitionDescription__Output as _millrace_broker_v1_PartitionDescription__Output } from './millrace/broker/v1/PartitionDescription.js';
import type { PartitionMetadata as _millrace_broker_v1_PartitionMetadata, PartitionMetadata__Output as _millrace_broker_v1_PartitionMetadata__Output } from './millrace/broker/v1/PartitionMetadata.js';
import type { ReplicaDescription as _millrace_broker_v1_ReplicaDescription, ReplicaDescription__Output as _millrace_broker_v1_ReplicaDescription__Output } from './millrace/broker/v1/ReplicaDescription.js';
import type { TopicMetadata as _millrace_broker_v1_TopicMetadata, TopicMetadata__Output as _millrace_broker_v1_TopicMetadata__Output } from './millrace/broker/v1/TopicMetadata.js';
import type { TransferLeadershipRequest as _millrace_broker_v1_TransferLeadershipRequest, TransferLeadershipRequest__Output as _millrace_broker_v1_TransferLeadershipRequest__Output } from './millrace/broker/v1/TransferLeadershipRequest.js';
import type { TransferLeadershipResponse as _millrace_broker_v1_TransferLeadershipResponse, TransferLeadershipResponse__Output as _millrace_broker_v1_TransferLeadershipResponse__Output } from './millrace/broker/v1/TransferLeadershipResponse.js';
import type { TrimPartitionRequest as _millrace_broker_v1_TrimPartitionRequest, TrimPartitionRequest__Output as _millrace_broker_v1_TrimPartitionRequest__Output } from './millrace/broker/v1/TrimPartitionRequest.js';
import type { TrimPartitionResponse as _millrace_broker_v1_TrimPartitionResponse, TrimPartitionResponse__Output as _millrace_broker_v1_TrimPartitionResponse__Output } from './millrace/broker/v1/TrimPartitionResponse.js';
import type { Error as _millrace_common_v1_Error, Error__Output as _millrace_common_v1_Error__Output } from './millrace/common/v1/Error.js';
import type { LeaderHint as _millrace_common_v1_LeaderHint, LeaderHint__Output as _millrace_common_v1_LeaderHint__Output } from './millrace/common/v1/LeaderHint.js';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  millrace: {
    broker: {
      v1: {
        AddPartitionsRequest: MessageTypeDefinition<_millrace_broker_v1_AddPartitionsRequest, _millrace_broker_v1_AddPartitionsRequest__Output>
        AddPartitionsResponse: MessageTypeDefinition<_millrace_broker_v1_AddPartitionsResponse, _millrace_broker_v1_AddPartitionsResponse__Output>
        AlterTopicRequest: MessageTypeDefinition<_millrace_broker_v1_AlterTopicRequest, _millrace_broker_v1_AlterTopicRequest__Output>
        AlterTopicResponse: MessageTypeDefinition<_millrace_broker_v1_AlterTopicResponse, _millrace_broker_v1_AlterTopicResponse__Output>
        Broker: MessageTypeDefinition<_millrace_broker_v1_Broker, _millrace_broker_v1_Broker__Output>
        Cluster: SubtypeConstructor<typeof grpc.Client, _millrace_broker_v1_ClusterClient> & { service: _millrace_broker_v1_ClusterDefinition }
        CommitOffsetsRequest: MessageTypeDefinition<_millrace_broker_v1_CommitOffsetsRequest, _millrace_broker_v1_CommitOffsetsRequest__Output>
        CommitOffsetsResponse: MessageTypeDefinition<_millrace_broker_v1_CommitOffsetsResponse, _millrace_broker_v1_CommitOffsetsResponse__Output>
        CommittedOffset: MessageTypeDefinition<_millrace_broker_v1_CommittedOffset, _millrace_broker_v1_CommittedOffset__Output>
        ConfigChange: MessageTypeDefinition<_millrace_broker_v1_ConfigChange, _millrace_broker_v1_ConfigChange__Output>
        ConfigKeyChange: MessageTypeDefinition<_millrace_broker_v1_ConfigKeyChange, _millrace_broker_v1_ConfigKeyChange__Output>
        CreateTopicRequest: MessageTypeDefinition<_millrace_broker_v1_CreateTopicRequest, _millrace_broker_v1_CreateTopicRequest__Output>
        CreateTopicResponse: MessageTypeDefinition<_millrace_broker_v1_CreateTopicResponse, _millrace_broker_v1_CreateTopicResponse__Output>
        DeleteTopicRequest: MessageTypeDefinition<_millrace_broker_v1_DeleteTopicRequest, _millrace_broker_v1_DeleteTopicRequest__Output>
        DeleteTopicResponse: MessageTypeDefinition<_millrace_broker_v1_DeleteTopicResponse, _millrace_broker_v1_DeleteTopicResponse__Output>
        DescribeClusterRequest: MessageTypeDefinition<_millrace_broker_v1_DescribeClusterRequest, _millrace_broker_v1_DescribeClusterRequest__Output>
        DescribeClusterResponse: MessageTypeDefinition<_millrace_broker_v1_DescribeClusterResponse, _millrace_broker_v1_DescribeClusterResponse__Output>
        DescribeTopicRequest: MessageTypeDefinition<_millrace_broker_v1_DescribeTopicRequest, _millrace_broker_v1_DescribeTopicRequest__Output>
        DescribeTopicResponse: MessageTypeDefinition<_millrace_broker_v1_DescribeTopicResponse, _millrace_broker_v1_DescribeTopicResponse__Output>
        FetchOffsetsRequest: MessageTypeDefinition<_millrace_broker_v1_FetchOffsetsRequest, _millrace_broker_v1_FetchOffsetsRequest__Output>
        FetchOffsetsResponse: MessageTypeDefinition<_millrace_broker_v1_FetchOffsetsResponse, _millrace_broker_v1_FetchOffsetsResponse__Output>
        GetMetadataRequest: MessageTypeDefinition<_millrace_broker_v1_GetMetadataRequest, _millrace_broker_v1_GetMetadataRequest__Output>
        GetMetadataResponse: MessageTypeDefinition<_millrace_broker_v1_GetMetadataResponse, _millrace_broker_v1_GetMetadataResponse__Output>
        GroupMember: MessageTypeDefinition<_millrace_broker_v1_GroupMember, _millrace_broker_v1_GroupMember__Output>
        InitProducerRequest: MessageTypeDefinition<_millrace_broker_v1_InitProducerRequest, _millrace_broker_v1_InitProducerRequest__Output>
        InitProducerResponse: MessageTypeDefinition<_millrace_broker_v1_InitProducerResponse, _millrace_broker_v1_InitProducerResponse__Output>
        ListOffsetsRequest: MessageTypeDefinition<_millrace_broker_v1_ListOffsetsRequest, _millrace_broker_v1_ListOffsetsRequest__Output>
        ListOffsetsResponse: MessageTypeDefinition<_millrace_broker_v1_ListOffsetsResponse, _millrace_broker_v1_ListOffsetsResponse__Output>
        MoveReplicasRequest: MessageTypeDefinition<_millrace_broker_v1_MoveReplicasRequest, _millrace_broker_v1_MoveReplicasRequest__Output>
        MoveReplicasResponse: MessageTypeDefinition<_millrace_broker_v1_MoveReplicasResponse, _millrace_broker_v1_MoveReplicasResponse__Output>
        OffsetAnswer: MessageTypeDefinition<_millrace_broker_v1_OffsetAnswer, _millrace_broker_v1_OffsetAnswer__Output>
        OffsetKey: MessageTypeDefinition<_millrace_broker_v1_OffsetKey, _millrace_broker_v1_OffsetKey__Output>
        OffsetQuery: MessageTypeDefinition<_millrace_broker_v1_OffsetQuery, _millrace_broker_v1_OffsetQuery__Output>
        PartitionDescription: MessageTypeDefinition<_millrace_broker_v1_PartitionDescription, _millrace_broker_v1_PartitionDescription__Output>
        PartitionMetadata: MessageTypeDefinition<_millrace_broker_v1_PartitionMetadata, _millrace_broker_v1_PartitionMetadata__Output>
        ReplicaDescription: MessageTypeDefinition<_millrace_broker_v1_ReplicaDescription, _millrace_broker_v1_ReplicaDescription__Output>
        TopicMetadata: MessageTypeDefinition<_millrace_broker_v1_TopicMetadata, _millrace_broker_v1_TopicMetadata__Output>
        TransferLeadershipRequest: MessageTypeDefinition<_millrace_broker_v1_TransferLeadershipRequest, _millrace_broker_v1_TransferLeadershipRequest__Output>
        TransferLeadershipResponse: MessageTypeDefinition<_millrace_broker_v1_TransferLeadershipResponse, _millrace_broker_v1_TransferLeadershipResponse__Output>
        TrimPartitionRequest: MessageTypeDefinition<_millrace_broker_v1_TrimPartitionRequest, _millrace_broker_v1_TrimPartitionRequest__Output>
        TrimPartitionResponse: MessageTypeDefinition<_millrace_broker_v1_TrimPartitionResponse, _millrace_broker_v1_TrimPartitionResponse__Output>
      }
    }
    common: {
      v1: {
        Error: MessageTypeDefinition<_millrace_common_v1_Error, _millrace_common_v1_Error__Output>
        LeaderHint: MessageTypeDefinition<_millrace_common_v1_LeaderHint, _millrace_common_v1_LeaderHint__Output>
      }
    }
  }
}

