import type { Assignors } from './assignors/assignors.js';
import { rejected, type Rejection } from './command.js';
import type { MemberProfile } from './consumer-group.js';
import { METADATA_LIMITS } from './limits.js';
import { topicNameProblem } from './names.js';

const PRINTABLE = /^[^\p{Cc}\p{Cs}]*$/u;

/**
 * What is wrong with what a member says of itself; undefined if nothing. Whether its assignor exists
 * and its pattern is valid is checked by whoever proposes ({@link assignorProblem}): a replica of
 * another version may know other ones.
 */
export function profileProblem(memberId: string, profile: MemberProfile): Rejection | undefined {
  const { memberIdLengthMax, instanceIdLengthMax, rackLengthMax, clientIdLengthMax } =
    METADATA_LIMITS;
  return (
    textProblem('member_id', memberId, memberIdLengthMax) ??
    (memberId === '' ? rejected('INVALID_ARGUMENT', 'member_id is missing') : undefined) ??
    textProblem('instance_id', profile.instanceId, instanceIdLengthMax) ??
    textProblem('rack', profile.rack, rackLengthMax) ??
    textProblem('client_id', profile.clientId, clientIdLengthMax) ??
    timeoutProblem('session_timeout_ms', profile.sessionTimeoutMs) ??
    timeoutProblem('rebalance_timeout_ms', profile.rebalanceTimeoutMs) ??
    subscriptionProblem(profile)
  );
}

export function assignorProblem(
  { assignor }: MemberProfile,
  assignors: Assignors,
): Rejection | undefined {
  if (assignor === '' || assignors.has(assignor)) return undefined;
  return rejected(
    'UNKNOWN_ASSIGNOR',
    `there is no assignor ${JSON.stringify(assignor.slice(0, 60))}; there are ${assignors.names().join(', ')}`,
  );
}

/** Whether the target may have to be another one. */
export function changesAssignment(before: MemberProfile, after: MemberProfile): boolean {
  return (
    before.rack !== after.rack ||
    before.pattern !== after.pattern ||
    before.assignor !== after.assignor ||
    before.topics.length !== after.topics.length ||
    before.topics.some((topic, i) => topic !== after.topics[i])
  );
}

export function sameProfile(a: MemberProfile, b: MemberProfile): boolean {
  return (
    !changesAssignment(a, b) &&
    a.instanceId === b.instanceId &&
    a.clientId === b.clientId &&
    a.sessionTimeoutMs === b.sessionTimeoutMs &&
    a.rebalanceTimeoutMs === b.rebalanceTimeoutMs
  );
}

function subscriptionProblem({ topics, pattern }: MemberProfile): Rejection | undefined {
  const { subscribedTopicsMax, patternLengthMax } = METADATA_LIMITS;
  const code = 'INVALID_SUBSCRIPTION';
  if (topics.length === 0 && pattern === '') {
    return rejected(code, 'a subscription names topics, or has a pattern, or both');
  }
  if (topics.length > subscribedTopicsMax) {
    return rejected(code, `${topics.length} topics are more than ${subscribedTopicsMax}`);
  }
  if (pattern.length > patternLengthMax) {
    return rejected(code, `a pattern has at most ${patternLengthMax} characters`);
  }
  for (const [i, topic] of topics.entries()) {
    const problem = topicNameProblem(topic);
    if (problem !== undefined) return rejected(code, problem);
    const previous = topics[i - 1];
    if (previous !== undefined && previous >= topic) {
      return rejected(code, 'topics are not in ascending order, each once');
    }
  }
  return undefined;
}

function textProblem(field: string, text: string, lengthMax: number): Rejection | undefined {
  if (text.length > lengthMax) {
    return rejected('INVALID_ARGUMENT', `${field} has more than ${lengthMax} characters`);
  }
  if (PRINTABLE.test(text)) return undefined;
  return rejected('INVALID_ARGUMENT', `${field} has control characters`);
}

function timeoutProblem(field: string, valueMs: number): Rejection | undefined {
  const { memberTimeoutMsMin: min, memberTimeoutMsMax: max } = METADATA_LIMITS;
  if (Number.isSafeInteger(valueMs) && valueMs >= min && valueMs <= max) return undefined;
  return rejected('INVALID_ARGUMENT', `${field} is ${min} to ${max}, not ${valueMs}`);
}
