// Original file: proto/millrace/broker/v1/cluster.proto


export interface ConfigKeyChange {
  'key'?: (string);
  'before'?: (string);
  'after'?: (string);
  '_before'?: "before";
  '_after'?: "after";
}

export interface ConfigKeyChange__Output {
  'key': (string);
  'before'?: (string);
  'after'?: (string);
  '_before'?: "before";
  '_after'?: "after";
}
