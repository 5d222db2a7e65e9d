import { expect } from 'chai';

import { BUILT_IN_ASSIGNORS } from '../../../src/metadata/assignors/assignors.js';
import type { MemberProfile } from '../../../src/metadata/consumer-group.js';
import {
  assignorProblem,
  changesAssignment,
  profileProblem,
  sameProfile,
} from '../../../src/metadata/group-profile.js';
import { profile } from './group-support.js';

const manyTopics = (count: number): string[] =>
  Array.from({ length: count }, (_, i) => `t${String(i).padStart(4, '0')}`);

describe('what a member says of itself', () => {
  const may: [string, string, Partial<MemberProfile>][] = [
    ['an id of 64 characters', 'm'.repeat(64), {}],
    ['an instance id of 249', 'm', { instanceId: 'i'.repeat(249) }],
    ['a rack of 255', 'm', { rack: 'r'.repeat(255) }],
    ['a client id of 255', 'm', { clientId: 'c'.repeat(255) }],
    ['the shortest timeouts', 'm', { sessionTimeoutMs: 1_000, rebalanceTimeoutMs: 1_000 }],
    ['the longest timeouts', 'm', { sessionTimeoutMs: 3_600_000, rebalanceTimeoutMs: 3_600_000 }],
    ['a pattern and no topics', 'm', { topics: [], pattern: 'a.*' }],
    ['topics and a pattern of 1000', 'm', { pattern: 'x'.repeat(1_000) }],
    ['a thousand topics', 'm', { topics: manyTopics(1_000) }],
    ['letters of any language', 'größe', { rack: '東京', clientId: 'ä b' }],
  ];
  for (const [what, memberId, changes] of may) {
    it(`may be ${what}`, () => {
      expect(profileProblem(memberId, profile(changes))).to.equal(undefined);
    });
  }

  const mayNot: [string, string, Partial<MemberProfile>, RegExp][] = [
    ['no id', '', {}, /^member_id is missing/],
    ['an id of 65 characters', 'm'.repeat(65), {}, /^member_id has more than 64/],
    ['an id with a control character', 'a\u0007', {}, /^member_id has control/],
    ['one before other text', 'm', { rack: '\u0007a' }, /^rack has control/],
    ['half a character', 'm', { clientId: 'a\ud800' }, /^client_id has control/],
    ['an instance id of 250', 'm', { instanceId: 'i'.repeat(250) }, /^instance_id has more/],
    ['a rack of 256', 'm', { rack: 'r'.repeat(256) }, /^rack has more than 255/],
    ['a client id of 256', 'm', { clientId: 'c'.repeat(256) }, /^client_id has more than 255/],
    ['too short a session', 'm', { sessionTimeoutMs: 999 }, /^session_timeout_ms is 1000 to/],
    ['too long a session', 'm', { sessionTimeoutMs: 3_600_001 }, /^session_timeout_ms/],
    ['half a millisecond', 'm', { rebalanceTimeoutMs: 1_000.5 }, /^rebalance_timeout_ms/],
    ['too short a rebalance', 'm', { rebalanceTimeoutMs: 999 }, /^rebalance_timeout_ms/],
  ];
  for (const [what, memberId, changes, problem] of mayNot) {
    it(`may not be ${what}`, () => {
      const refusal = profileProblem(memberId, profile(changes));
      expect(refusal?.code).to.equal('INVALID_ARGUMENT');
      expect(refusal?.message).to.match(problem);
    });
  }

  const subscriptions: [string, Partial<MemberProfile>, RegExp][] = [
    ['nothing at all', { topics: [], pattern: '' }, /names topics, or has a pattern/],
    ['1001 topics', { topics: manyTopics(1_001) }, /^1001 topics are more/],
    ['a pattern of 1001', { pattern: 'x'.repeat(1_001) }, /at most 1000 characters/],
    ['what is no topic', { topics: ['a', 'b c'] }, /^topic name "b c"/],
    ['a topic twice', { topics: ['a', 'b', 'b'] }, /ascending order, each once/],
    ['topics out of order', { topics: ['a', 'c', 'b'] }, /ascending order, each once/],
  ];
  for (const [what, changes, problem] of subscriptions) {
    it(`may not be a subscription to ${what}`, () => {
      const refusal = profileProblem('m', profile(changes));
      expect(refusal?.code).to.equal('INVALID_SUBSCRIPTION');
      expect(refusal?.message).to.match(problem);
    });
  }

  it('names an assignor that there is, or none', () => {
    const problem = (assignor: string) =>
      assignorProblem(profile({ assignor }), BUILT_IN_ASSIGNORS)?.code;
    expect([problem(''), problem('uniform'), problem('best')]).to.eql([
      undefined,
      undefined,
      'UNKNOWN_ASSIGNOR',
    ]);
  });

  const before = profile({ topics: ['a', 'b'] });
  const news: [keyof MemberProfile, MemberProfile, boolean][] = [
    ['rack', { ...before, rack: 'r' }, true],
    ['pattern', { ...before, pattern: 'p' }, true],
    ['assignor', { ...before, assignor: 'range' }, true],
    ['topics', { ...before, topics: ['a'] }, true],
    ['topics', { ...before, topics: ['a', 'c'] }, true],
    ['topics', { ...before, topics: ['a', 'b', 'c'] }, true],
    ['instanceId', { ...before, instanceId: 'i' }, false],
    ['clientId', { ...before, clientId: 'c' }, false],
    ['sessionTimeoutMs', { ...before, sessionTimeoutMs: 20_000 }, false],
    ['rebalanceTimeoutMs', { ...before, rebalanceTimeoutMs: 20_000 }, false],
  ];
  for (const [field, after, isForTarget] of news) {
    const what = JSON.stringify(after[field]);
    it(`is news when its ${field} becomes ${what}${isForTarget ? ', also to the target' : ''}`, () => {
      expect(sameProfile(before, after)).to.equal(false);
      expect(changesAssignment(before, after)).to.equal(isForTarget);
    });
  }

  it('is the same while nothing of it changes', () => {
    expect(sameProfile(before, { ...before, topics: ['a', 'b'] })).to.equal(true);
    expect(changesAssignment(before, { ...before, topics: ['a', 'b'] })).to.equal(false);
  });
});
