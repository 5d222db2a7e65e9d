// Original file: proto/millrace/broker/v1/records.proto

import type { Header as _millrace_broker_v1_Header, Header__Output as _millrace_broker_v1_Header__Output } from '../../../millrace/broker/v1/Header.js';
import type { Long } from '@grpc/proto-loader';

export interface PlainRecord {
  'key'?: (Buffer | Uint8Array | string);
  'value'?: (Buffer | Uint8Array | string);
  'headers'?: (_millrace_broker_v1_Header)[];
  'timestampMs'?: (number | string | Long);
  '_key'?: "key";
  '_value'?: "value";
}

export interface PlainRecord__Output {
  'key'?: (Buffer);
  'value'?: (Buffer);
  'headers': (_millrace_broker_v1_Header__Output)[];
  'timestampMs': (number);
  '_key'?: "key";
  '_value'?: "value";
}
