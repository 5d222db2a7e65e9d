import { compareStrings } from '../base/collections.js';
import type { MemberProfile } from '../metadata/consumer-group.js';
import type { GroupHeartbeatRequest, JoinGroupRequest, SubscriptionSpec } from './group-types.js';

const SESSION_MS_DEFAULT = 45_000;
const REBALANCE_MS_DEFAULT = 60_000;

/** As a member that joins describes itself. */
export function profileOf(request: JoinGroupRequest): MemberProfile {
  const { instanceId, rack, clientId, assignor } = request;
  return {
    instanceId,
    rack,
    clientId,
    assignor,
    ...subscriptionOf(request.subscription),
    sessionTimeoutMs: request.sessionTimeoutMs ?? SESSION_MS_DEFAULT,
    rebalanceTimeoutMs: request.rebalanceTimeoutMs ?? REBALANCE_MS_DEFAULT,
  };
}

/** As a heartbeat changes it; undefined: nothing is said to change. */
export function changedProfile(
  profile: MemberProfile,
  { subscription, assignor, rack }: GroupHeartbeatRequest,
): MemberProfile | undefined {
  if (subscription === undefined && assignor === undefined && rack === undefined) return undefined;
  return {
    ...profile,
    ...(subscription === undefined ? undefined : subscriptionOf(subscription)),
    assignor: assignor ?? profile.assignor,
    rack: rack ?? profile.rack,
  };
}

function subscriptionOf({ topics, pattern }: SubscriptionSpec): SubscriptionSpec {
  return { topics: [...new Set(topics)].sort(compareStrings), pattern };
}
