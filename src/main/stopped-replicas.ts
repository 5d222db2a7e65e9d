import type { BrokerHealth } from '../broker/types.js';
import { METADATA_GROUP, type RaftGroupId } from '../model/ids.js';

const NAMED_MAX = 5;

/**
 * Replicas of this process that a bug of ours has stopped for good; they come back with the next
 * start. Partitions are served by other brokers meanwhile, so that this one stays ready and says it;
 * without its metadata it is not.
 */
export class StoppedReplicas {
  private readonly groups = new Set<RaftGroupId>();

  add(group: RaftGroupId): void {
    this.groups.add(group);
  }

  tellIn(health: BrokerHealth): BrokerHealth {
    if (this.groups.size === 0) return health;
    const named = [...this.groups].sort((a, b) => a - b).slice(0, NAMED_MAX);
    const more = this.groups.size > NAMED_MAX ? ', …' : '';
    const text =
      `a bug stopped ${this.groups.size} of this broker's replicas (Raft groups ` +
      `${named.join(', ')}${more}): see its log, and restart it`;
    return {
      live: health.live,
      ready: health.ready && !this.groups.has(METADATA_GROUP),
      reason: health.reason === '' ? text : `${health.reason}; ${text}`,
    };
  }
}
