import { Metadata } from '@grpc/grpc-js';
import { BrokerError } from '../model/errors.js';
import { brokerId, type BrokerId } from '../model/ids.js';

const CLUSTER_KEY = 'millrace-cluster';
const FROM_KEY = 'millrace-from';
const TO_KEY = 'millrace-to';
const BROKER_ID_MAX = 0x7fff_ffff;

/** Methods that run before there is a cluster; their handlers check for themselves who is asking. */
const FORMATION_PREFIX = 'formation.';

/** Who this broker is on the peer port. */
export interface PeerIdentity {
  readonly self: BrokerId;
  /** Empty until the broker is part of a cluster. */
  clusterId(): string;
}

/** `to` 0: whoever answers there; only for methods of formation, through a seed's address. */
export function callMetadata(identity: PeerIdentity, to: number): Metadata {
  const metadata = new Metadata();
  metadata.set(CLUSTER_KEY, identity.clusterId());
  metadata.set(FROM_KEY, String(identity.self));
  metadata.set(TO_KEY, String(to));
  return metadata;
}

/**
 * Who opened a stream or made a call; throws WRONG_CLUSTER or INVALID_ARGUMENT if the sender is not
 * of this cluster or meant another broker. `method` is given for calls only.
 */
export function checkCaller(
  identity: PeerIdentity,
  metadata: Metadata,
  method?: string,
): BrokerId | undefined {
  const isFormation = method?.startsWith(FORMATION_PREFIX) ?? false;
  const from = brokerIdIn(metadata, FROM_KEY);
  const to = brokerIdIn(metadata, TO_KEY);
  if (to !== identity.self && !(isFormation && to === undefined)) {
    throw new BrokerError(
      'WRONG_CLUSTER',
      `this is broker ${identity.self}, the call is for broker ${to ?? '(none named)'}`,
    );
  }
  if (isFormation) return from;
  const theirs = textIn(metadata, CLUSTER_KEY);
  const ours = identity.clusterId();
  if (ours === '') throw new BrokerError('BROKER_UNAVAILABLE', 'not yet part of a cluster');
  if (theirs !== ours) {
    throw new BrokerError('WRONG_CLUSTER', strangers(identity.self, ours, theirs));
  }
  return from;
}

/** Read by the caller, whose data directory is the one that "this" means. */
function strangers(self: BrokerId, ours: string, theirs: string): string {
  const its = theirs === '' ? 'no cluster' : `cluster ${theirs}`;
  return `broker ${self} is of cluster ${ours}; this data directory is of ${its}`;
}

/** As {@link checkCaller}, for streams: the sender must say who it is. */
export function checkSender(identity: PeerIdentity, metadata: Metadata): BrokerId {
  const from = checkCaller(identity, metadata);
  if (from === undefined) throw new BrokerError('INVALID_ARGUMENT', `${FROM_KEY} names no broker`);
  if (from === identity.self) {
    throw new BrokerError('BROKER_ID_TAKEN', `a broker with this broker's id ${from} called`);
  }
  return from;
}

function textIn(metadata: Metadata, key: string): string {
  const [value] = metadata.get(key);
  return typeof value === 'string' ? value : '';
}

function brokerIdIn(metadata: Metadata, key: string): BrokerId | undefined {
  const text = textIn(metadata, key);
  const id = /^[0-9]{1,10}$/.test(text) ? Number(text) : 0;
  return id >= 1 && id <= BROKER_ID_MAX ? brokerId(id) : undefined;
}
