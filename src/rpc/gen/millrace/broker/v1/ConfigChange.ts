// Original file: proto/millrace/broker/v1/cluster.proto

import type { ConfigKeyChange as _millrace_broker_v1_ConfigKeyChange, ConfigKeyChange__Output as _millrace_broker_v1_ConfigKeyChange__Output } from '../../../millrace/broker/v1/ConfigKeyChange.js';
import type { Long } from '@grpc/proto-loader';

export interface ConfigChange {
  'version'?: (number | string | Long);
  'previousVersion'?: (number | string | Long);
  'timeMs'?: (number | string | Long);
  'keys'?: (_millrace_broker_v1_ConfigKeyChange)[];
}

export interface ConfigChange__Output {
  'version': (number);
  'previousVersion': (number);
  'timeMs': (number);
  'keys': (_millrace_broker_v1_ConfigKeyChange__Output)[];
}
