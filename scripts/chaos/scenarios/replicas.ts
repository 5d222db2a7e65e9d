import { readdirSync } from 'node:fs';
import path from 'node:path';

import { BrokerLog } from '../../damage/broker-log.js';
import type { Stage } from '../scenario.js';

/** What a broker writes into its log from now on. */
export function logOf(stage: Stage, broker: number): BrokerLog {
  return new BrokerLog(path.join(stage.cluster.dir, `broker-${broker}.log`));
}

/** The LevelDB of a broker's replica. */
export function databaseOf(stage: Stage, broker: number, group: number): string {
  const replica = path.join(stage.cluster.dir, `data-${broker}`, 'replicas', String(group));
  const generation = Math.max(...readdirSync(replica).map(Number).filter(Number.isInteger));
  return path.join(replica, String(generation), 'db');
}
