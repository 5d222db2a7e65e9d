import { commits } from './commits.js';
import { compaction } from './compaction.js';
import { groups } from './groups.js';
import { idempotence } from './idempotence.js';
import type { Load } from './load.js';
import { members } from './members.js';
import { producersIdle } from './producers-idle.js';
import { retention } from './retention.js';
import { slowConsumer } from './slow-consumer.js';

/** What `npm run loads -- NAME` runs. */
export const LOADS: Readonly<Record<string, Load>> = {
  members,
  groups,
  commits,
  idempotence,
  retention,
  'slow-consumer': slowConsumer,
  compaction,
  'producers-idle': producersIdle,
};
