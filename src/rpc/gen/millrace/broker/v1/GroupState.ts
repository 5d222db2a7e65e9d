// Original file: proto/millrace/broker/v1/group.proto

export const GroupState = {
  GROUP_STATE_UNSPECIFIED: 'GROUP_STATE_UNSPECIFIED',
  GROUP_STATE_EMPTY: 'GROUP_STATE_EMPTY',
  GROUP_STATE_ASSIGNING: 'GROUP_STATE_ASSIGNING',
  GROUP_STATE_RECONCILING: 'GROUP_STATE_RECONCILING',
  GROUP_STATE_STABLE: 'GROUP_STATE_STABLE',
} as const;

export type GroupState =
  | 'GROUP_STATE_UNSPECIFIED'
  | 0
  | 'GROUP_STATE_EMPTY'
  | 1
  | 'GROUP_STATE_ASSIGNING'
  | 2
  | 'GROUP_STATE_RECONCILING'
  | 3
  | 'GROUP_STATE_STABLE'
  | 4

export type GroupState__Output = typeof GroupState[keyof typeof GroupState]
