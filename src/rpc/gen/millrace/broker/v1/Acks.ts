// Original file: proto/millrace/broker/v1/records.proto

export const Acks = {
  ACKS_UNSPECIFIED: 'ACKS_UNSPECIFIED',
  ACKS_QUORUM: 'ACKS_QUORUM',
  ACKS_LEADER: 'ACKS_LEADER',
  ACKS_NONE: 'ACKS_NONE',
} as const;

export type Acks =
  | 'ACKS_UNSPECIFIED'
  | 0
  | 'ACKS_QUORUM'
  | 1
  | 'ACKS_LEADER'
  | 2
  | 'ACKS_NONE'
  | 3

export type Acks__Output = typeof Acks[keyof typeof Acks]
