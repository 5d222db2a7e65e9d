import type { BrokerId } from '../model/ids.js';
import type { PeerAddress } from '../ports/transport.js';
import { brokerIds, registrationCodec } from './controller-ops.js';
import { flag, listOf, nothing, peerOp, record, text, uint, type Codec } from './peer-op.js';

// How a broker becomes part of a cluster. These calls come before there is a cluster id to check.

/** empty: no identity. prepared: it noted the cluster but may not run yet. formed: it may. */
export type FormationState = 'empty' | 'prepared' | 'formed';
const STATES: readonly FormationState[] = ['empty', 'prepared', 'formed'];

const stateCodec: Codec<FormationState> = {
  write: (w, state) => void w.u8(STATES.indexOf(state)),
  read: (r) => STATES[r.u8()] ?? 'empty',
};

export interface FormationStatus {
  readonly brokerId: BrokerId;
  readonly directoryId: string;
  readonly state: FormationState;
  /** Empty if the state is. */
  readonly clusterId: string;
  /** Whom it is configured to form a cluster with, or formed it with. */
  readonly founders: readonly BrokerId[];
}

export interface FormationOrder {
  readonly clusterId: string;
  readonly founders: readonly BrokerId[];
}

export interface Admission {
  readonly clusterId: string;
  readonly peers: readonly PeerAddress[];
}

const order = record<FormationOrder>({ clusterId: text, founders: brokerIds });
const peerAddress = record<PeerAddress>({ id: uint<BrokerId>(), host: text, port: uint() });

export const FORMATION_OPS = {
  status: peerOp(
    'formation.status',
    nothing,
    record<FormationStatus>({
      brokerId: uint<BrokerId>(),
      directoryId: text,
      state: stateCodec,
      clusterId: text,
      founders: brokerIds,
    }),
  ),
  /** Durable before it is answered. */
  prepare: peerOp('formation.prepare', order, flag),
  confirm: peerOp('formation.confirm', order, flag),
  /** Registers the newcomer with the cluster the asked broker belongs to. */
  join: peerOp(
    'formation.join',
    registrationCodec,
    record<Admission>({ clusterId: text, peers: listOf(peerAddress) }),
  ),
} as const;
