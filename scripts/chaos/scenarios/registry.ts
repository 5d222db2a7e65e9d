import type { Scenario } from '../scenario.js';
import { BEHIND } from './behind.js';
import { CLIENTS } from './clients.js';
import { DAMAGE } from './damage.js';
import { DISKS } from './disks.js';
import { KILLS } from './kills.js';
import { MEMBERSHIP } from './membership.js';
import { NETWORK } from './network.js';
import { TRANSFERS } from './transfers.js';

/** Every scenario there is, by theme. */
export const SCENARIOS: readonly Scenario[] = [
  ...KILLS,
  ...NETWORK,
  ...TRANSFERS,
  ...MEMBERSHIP,
  ...DISKS,
  ...DAMAGE,
  ...BEHIND,
  ...CLIENTS,
].sort((a, b) => (a.id < b.id ? -1 : 1));

/** D01 to D36, as far as there are. */
export const NUMBERED: readonly Scenario[] = SCENARIOS.filter(({ id }) => /^D\d\d$/.test(id));

/** By id or alias. */
export function findScenario(name: string): Scenario | undefined {
  return SCENARIOS.find(({ id, alias }) => id === name || alias === name);
}
