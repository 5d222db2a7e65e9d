// Original file: proto/millrace/broker/v1/records.proto

import type { PlainRecord as _millrace_broker_v1_PlainRecord, PlainRecord__Output as _millrace_broker_v1_PlainRecord__Output } from '../../../millrace/broker/v1/PlainRecord.js';

export interface PlainRecords {
  'records'?: (_millrace_broker_v1_PlainRecord)[];
}

export interface PlainRecords__Output {
  'records': (_millrace_broker_v1_PlainRecord__Output)[];
}
