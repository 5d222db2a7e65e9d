// Original file: proto/millrace/broker/v1/cluster.proto

import type { OffsetAnswer as _millrace_broker_v1_OffsetAnswer, OffsetAnswer__Output as _millrace_broker_v1_OffsetAnswer__Output } from '../../../millrace/broker/v1/OffsetAnswer.js';

export interface ListOffsetsResponse {
  'answers'?: (_millrace_broker_v1_OffsetAnswer)[];
}

export interface ListOffsetsResponse__Output {
  'answers': (_millrace_broker_v1_OffsetAnswer__Output)[];
}
