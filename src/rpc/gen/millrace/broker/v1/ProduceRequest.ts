// Original file: proto/millrace/broker/v1/records.proto

import type { Acks as _millrace_broker_v1_Acks, Acks__Output as _millrace_broker_v1_Acks__Output } from '../../../millrace/broker/v1/Acks.js';
import type { PlainRecords as _millrace_broker_v1_PlainRecords, PlainRecords__Output as _millrace_broker_v1_PlainRecords__Output } from '../../../millrace/broker/v1/PlainRecords.js';
import type { Long } from '@grpc/proto-loader';

export interface ProduceRequest {
  'correlationId'?: (number | string | Long);
  'topic'?: (string);
  'partition'?: (number);
  'topicId'?: (string);
  'acks'?: (_millrace_broker_v1_Acks);
  'batch'?: (Buffer | Uint8Array | string);
  'plain'?: (_millrace_broker_v1_PlainRecords | null);
  'timeoutMs'?: (number);
  'allowForward'?: (boolean);
  'expectedOffset'?: (number | string | Long);
  'expectedKeyOffset'?: (number | string | Long);
  'payload'?: "batch"|"plain";
  '_expectedOffset'?: "expectedOffset";
  '_expectedKeyOffset'?: "expectedKeyOffset";
}

export interface ProduceRequest__Output {
  'correlationId': (number);
  'topic': (string);
  'partition': (number);
  'topicId': (string);
  'acks': (_millrace_broker_v1_Acks__Output);
  'batch'?: (Buffer);
  'plain'?: (_millrace_broker_v1_PlainRecords__Output | null);
  'timeoutMs': (number);
  'allowForward': (boolean);
  'expectedOffset'?: (number);
  'expectedKeyOffset'?: (number);
  'payload'?: "batch"|"plain";
  '_expectedOffset'?: "expectedOffset";
  '_expectedKeyOffset'?: "expectedKeyOffset";
}
