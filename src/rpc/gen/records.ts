import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { FetchPartition as _millrace_broker_v1_FetchPartition, FetchPartition__Output as _millrace_broker_v1_FetchPartition__Output } from './millrace/broker/v1/FetchPartition.js';
import type { FetchRequest as _millrace_broker_v1_FetchRequest, FetchRequest__Output as _millrace_broker_v1_FetchRequest__Output } from './millrace/broker/v1/FetchRequest.js';
import type { FetchResponse as _millrace_broker_v1_FetchResponse, FetchResponse__Output as _millrace_broker_v1_FetchResponse__Output } from './millrace/broker/v1/FetchResponse.js';
import type { FetchedPartition as _millrace_broker_v1_FetchedPartition, FetchedPartition__Output as _millrace_broker_v1_FetchedPartition__Output } from './millrace/broker/v1/FetchedPartition.js';
import type { Header as _millrace_broker_v1_Header, Header__Output as _millrace_broker_v1_Header__Output } from './millrace/broker/v1/Header.js';
import type { PlainRecord as _millrace_broker_v1_PlainRecord, PlainRecord__Output as _millrace_broker_v1_PlainRecord__Output } from './millrace/broker/v1/PlainRecord.js';
import type { PlainRecords as _millrace_broker_v1_PlainRecords, PlainRecords__Output as _millrace_broker_v1_PlainRecords__Output } from './millrace/broker/v1/PlainRecords.js';
import type { ProduceRequest as _millrace_broker_v1_ProduceRequest, ProduceRequest__Output as _millrace_broker_v1_ProduceRequest__Output } from './millrace/broker/v1/ProduceRequest.js';
import type { ProduceResponse as _millrace_broker_v1_ProduceResponse, ProduceResponse__Output as _millrace_broker_v1_ProduceResponse__Output } from './millrace/broker/v1/ProduceResponse.js';
import type { RecordsClient as _millrace_broker_v1_RecordsClient, RecordsDefinition as _millrace_broker_v1_RecordsDefinition } from './millrace/broker/v1/Records.js';
import type { Error as _millrace_common_v1_Error, Error__Output as _millrace_common_v1_Error__Output } from './millrace/common/v1/Error.js';
import type { LeaderHint as _millrace_common_v1_LeaderHint, LeaderHint__Output as _millrace_common_v1_LeaderHint__Output } from './millrace/common/v1/LeaderHint.js';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  millrace: {
    broker: {
      v1: {
        Acks: EnumTypeDefinition
        FetchPartition: MessageTypeDefinition<_millrace_broker_v1_FetchPartition, _millrace_broker_v1_FetchPartition__Output>
        FetchRequest: MessageTypeDefinition<_millrace_broker_v1_FetchRequest, _millrace_broker_v1_FetchRequest__Output>
        FetchResponse: MessageTypeDefinition<_millrace_broker_v1_FetchResponse, _millrace_broker_v1_FetchResponse__Output>
        FetchedPartition: MessageTypeDefinition<_millrace_broker_v1_FetchedPartition, _millrace_broker_v1_FetchedPartition__Output>
        Header: MessageTypeDefinition<_millrace_broker_v1_Header, _millrace_broker_v1_Header__Output>
        PlainRecord: MessageTypeDefinition<_millrace_broker_v1_PlainRecord, _millrace_broker_v1_PlainRecord__Output>
        PlainRecords: MessageTypeDefinition<_millrace_broker_v1_PlainRecords, _millrace_broker_v1_PlainRecords__Output>
        ProduceRequest: MessageTypeDefinition<_millrace_broker_v1_ProduceRequest, _millrace_broker_v1_ProduceRequest__Output>
        ProduceResponse: MessageTypeDefinition<_millrace_broker_v1_ProduceResponse, _millrace_broker_v1_ProduceResponse__Output>
        Records: SubtypeConstructor<typeof grpc.Client, _millrace_broker_v1_RecordsClient> & { service: _millrace_broker_v1_RecordsDefinition }
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

