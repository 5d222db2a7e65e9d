/**
 * A broker's process whose wires a script may trouble: a broker as it is, but its peers are reached
 * through the script's proxies, and Raft messages are repeated, held back or lost as the script says.
 * Started by BrokerProcess with the arguments of `millrace broker`.
 */
import process from 'node:process';
import { parseArgs } from 'node:util';

import { loadConfig } from '../../src/config/load.js';
import { runBroker } from '../../src/main/run-broker.js';
import {
  DETOURS_VARIABLE,
  type FaultsAnswer,
  type FaultsOrder,
  FaultyPeers,
} from './faulty-peers.js';

const { values } = parseArgs({
  args: process.argv.slice(3),
  options: { config: { type: 'string' } },
});
const config = loadConfig({ file: values.config });
const detours = new Map(
  JSON.parse(process.env[DETOURS_VARIABLE] ?? '[]') as (readonly [number, number])[],
);

await runBroker(config, {
  peers: (transport) => {
    const peers = new FaultyPeers(transport, detours, config.brokerId);
    process.on('message', ({ faults }: FaultsOrder) => {
      process.send?.({ counts: peers.order(faults) } satisfies FaultsAnswer);
    });
    return peers;
  },
});
