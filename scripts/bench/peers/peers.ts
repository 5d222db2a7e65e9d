import type { FoundPeer } from '../scenarios/peers.js';
import { findKafka } from './kafka.js';
import { findNats } from './nats.js';

/** By the name on the command line. */
export const PEERS: Readonly<Record<string, () => FoundPeer>> = {
  kafka: findKafka,
  nats: findNats,
};
