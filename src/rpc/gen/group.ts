import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { DeleteGroupOffsetsRequest as _millrace_broker_v1_DeleteGroupOffsetsRequest, DeleteGroupOffsetsRequest__Output as _millrace_broker_v1_DeleteGroupOffsetsRequest__Output } from './millrace/broker/v1/DeleteGroupOffsetsRequest.js';
import type { DeleteGroupOffsetsResponse as _millrace_broker_v1_DeleteGroupOffsetsResponse, DeleteGroupOffsetsResponse__Output as _millrace_broker_v1_DeleteGroupOffsetsResponse__Output } from './millrace/broker/v1/DeleteGroupOffsetsResponse.js';
import type { DeleteGroupRequest as _millrace_broker_v1_DeleteGroupRequest, DeleteGroupRequest__Output as _millrace_broker_v1_DeleteGroupRequest__Output } from './millrace/broker/v1/DeleteGroupRequest.js';
import type { DeleteGroupResponse as _millrace_broker_v1_DeleteGroupResponse, DeleteGroupResponse__Output as _millrace_broker_v1_DeleteGroupResponse__Output } from './millrace/broker/v1/DeleteGroupResponse.js';
import type { DescribeGroupRequest as _millrace_broker_v1_DescribeGroupRequest, DescribeGroupRequest__Output as _millrace_broker_v1_DescribeGroupRequest__Output } from './millrace/broker/v1/DescribeGroupRequest.js';
import type { DescribeGroupResponse as _millrace_broker_v1_DescribeGroupResponse, DescribeGroupResponse__Output as _millrace_broker_v1_DescribeGroupResponse__Output } from './millrace/broker/v1/DescribeGroupResponse.js';
import type { GroupHeartbeat as _millrace_broker_v1_GroupHeartbeat, GroupHeartbeat__Output as _millrace_broker_v1_GroupHeartbeat__Output } from './millrace/broker/v1/GroupHeartbeat.js';
import type { GroupMemberDescription as _millrace_broker_v1_GroupMemberDescription, GroupMemberDescription__Output as _millrace_broker_v1_GroupMemberDescription__Output } from './millrace/broker/v1/GroupMemberDescription.js';
import type { GroupPartition as _millrace_broker_v1_GroupPartition, GroupPartition__Output as _millrace_broker_v1_GroupPartition__Output } from './millrace/broker/v1/GroupPartition.js';
import type { GroupSummary as _millrace_broker_v1_GroupSummary, GroupSummary__Output as _millrace_broker_v1_GroupSummary__Output } from './millrace/broker/v1/GroupSummary.js';
import type { GroupsClient as _millrace_broker_v1_GroupsClient, GroupsDefinition as _millrace_broker_v1_GroupsDefinition } from './millrace/broker/v1/Groups.js';
import type { JoinGroup as _millrace_broker_v1_JoinGroup, JoinGroup__Output as _millrace_broker_v1_JoinGroup__Output } from './millrace/broker/v1/JoinGroup.js';
import type { LeaveGroup as _millrace_broker_v1_LeaveGroup, LeaveGroup__Output as _millrace_broker_v1_LeaveGroup__Output } from './millrace/broker/v1/LeaveGroup.js';
import type { ListGroupsRequest as _millrace_broker_v1_ListGroupsRequest, ListGroupsRequest__Output as _millrace_broker_v1_ListGroupsRequest__Output } from './millrace/broker/v1/ListGroupsRequest.js';
import type { ListGroupsResponse as _millrace_broker_v1_ListGroupsResponse, ListGroupsResponse__Output as _millrace_broker_v1_ListGroupsResponse__Output } from './millrace/broker/v1/ListGroupsResponse.js';
import type { MemberAssignment as _millrace_broker_v1_MemberAssignment, MemberAssignment__Output as _millrace_broker_v1_MemberAssignment__Output } from './millrace/broker/v1/MemberAssignment.js';
import type { ParticipateRequest as _millrace_broker_v1_ParticipateRequest, ParticipateRequest__Output as _millrace_broker_v1_ParticipateRequest__Output } from './millrace/broker/v1/ParticipateRequest.js';
import type { ParticipateResponse as _millrace_broker_v1_ParticipateResponse, ParticipateResponse__Output as _millrace_broker_v1_ParticipateResponse__Output } from './millrace/broker/v1/ParticipateResponse.js';
import type { PartitionList as _millrace_broker_v1_PartitionList, PartitionList__Output as _millrace_broker_v1_PartitionList__Output } from './millrace/broker/v1/PartitionList.js';
import type { ResetGroupOffsetsRequest as _millrace_broker_v1_ResetGroupOffsetsRequest, ResetGroupOffsetsRequest__Output as _millrace_broker_v1_ResetGroupOffsetsRequest__Output } from './millrace/broker/v1/ResetGroupOffsetsRequest.js';
import type { ResetGroupOffsetsResponse as _millrace_broker_v1_ResetGroupOffsetsResponse, ResetGroupOffsetsResponse__Output as _millrace_broker_v1_ResetGroupOffsetsResponse__Output } from './millrace/broker/v1/ResetGroupOffsetsResponse.js';
import type { ResetOffset as _millrace_broker_v1_ResetOffset, ResetOffset__Output as _millrace_broker_v1_ResetOffset__Output } from './millrace/broker/v1/ResetOffset.js';
import type { Subscription as _millrace_broker_v1_Subscription, Subscription__Output as _millrace_broker_v1_Subscription__Output } from './millrace/broker/v1/Subscription.js';
import type { TopicPartitions as _millrace_broker_v1_TopicPartitions, TopicPartitions__Output as _millrace_broker_v1_TopicPartitions__Output } from './millrace/broker/v1/TopicPartitions.js';
import type { Error as _millrace_common_v1_Error, Error__Output as _millrace_common_v1_Error__Output } from './millrace/common/v1/Error.js';
import type { LeaderHint as _millrace_common_v1_LeaderHint, LeaderHint__Output as _millrace_common_v1_LeaderHint__Output } from './millrace/common/v1/LeaderHint.js';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  millrace: {
    broker: {
      v1: {
        DeleteGroupOffsetsRequest: MessageTypeDefinition<_millrace_broker_v1_DeleteGroupOffsetsRequest, _millrace_broker_v1_DeleteGroupOffsetsRequest__Output>
        DeleteGroupOffsetsResponse: MessageTypeDefinition<_millrace_broker_v1_DeleteGroupOffsetsResponse, _millrace_broker_v1_DeleteGroupOffsetsResponse__Output>
        DeleteGroupRequest: MessageTypeDefinition<_millrace_broker_v1_DeleteGroupRequest, _millrace_broker_v1_DeleteGroupRequest__Output>
        DeleteGroupResponse: MessageTypeDefinition<_millrace_broker_v1_DeleteGroupResponse, _millrace_broker_v1_DeleteGroupResponse__Output>
        DescribeGroupRequest: MessageTypeDefinition<_millrace_broker_v1_DescribeGroupRequest, _millrace_broker_v1_DescribeGroupRequest__Output>
        DescribeGroupResponse: MessageTypeDefinition<_millrace_broker_v1_DescribeGroupResponse, _millrace_broker_v1_DescribeGroupResponse__Output>
        GroupHeartbeat: MessageTypeDefinition<_millrace_broker_v1_GroupHeartbeat, _millrace_broker_v1_GroupHeartbeat__Output>
        GroupMemberDescription: MessageTypeDefinition<_millrace_broker_v1_GroupMemberDescription, _millrace_broker_v1_GroupMemberDescription__Output>
        GroupPartition: MessageTypeDefinition<_millrace_broker_v1_GroupPartition, _millrace_broker_v1_GroupPartition__Output>
        GroupState: EnumTypeDefinition
        GroupSummary: MessageTypeDefinition<_millrace_broker_v1_GroupSummary, _millrace_broker_v1_GroupSummary__Output>
        Groups: SubtypeConstructor<typeof grpc.Client, _millrace_broker_v1_GroupsClient> & { service: _millrace_broker_v1_GroupsDefinition }
        JoinGroup: MessageTypeDefinition<_millrace_broker_v1_JoinGroup, _millrace_broker_v1_JoinGroup__Output>
        LeaveGroup: MessageTypeDefinition<_millrace_broker_v1_LeaveGroup, _millrace_broker_v1_LeaveGroup__Output>
        ListGroupsRequest: MessageTypeDefinition<_millrace_broker_v1_ListGroupsRequest, _millrace_broker_v1_ListGroupsRequest__Output>
        ListGroupsResponse: MessageTypeDefinition<_millrace_broker_v1_ListGroupsResponse, _millrace_broker_v1_ListGroupsResponse__Output>
        MemberAssignment: MessageTypeDefinition<_millrace_broker_v1_MemberAssignment, _millrace_broker_v1_MemberAssignment__Output>
        ParticipateRequest: MessageTypeDefinition<_millrace_broker_v1_ParticipateRequest, _millrace_broker_v1_ParticipateRequest__Output>
        ParticipateResponse: MessageTypeDefinition<_millrace_broker_v1_ParticipateResponse, _millrace_broker_v1_ParticipateResponse__Output>
        PartitionList: MessageTypeDefinition<_millrace_broker_v1_PartitionList, _millrace_broker_v1_PartitionList__Output>
        ResetGroupOffsetsRequest: MessageTypeDefinition<_millrace_broker_v1_ResetGroupOffsetsRequest, _millrace_broker_v1_ResetGroupOffsetsRequest__Output>
        ResetGroupOffsetsResponse: MessageTypeDefinition<_millrace_broker_v1_ResetGroupOffsetsResponse, _millrace_broker_v1_ResetGroupOffsetsResponse__Output>
        ResetOffset: MessageTypeDefinition<_millrace_broker_v1_ResetOffset, _millrace_broker_v1_ResetOffset__Output>
        Subscription: MessageTypeDefinition<_millrace_broker_v1_Subscription, _millrace_broker_v1_Subscription__Output>
        TopicPartitions: MessageTypeDefinition<_millrace_broker_v1_TopicPartitions, _millrace_broker_v1_TopicPartitions__Output>
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

