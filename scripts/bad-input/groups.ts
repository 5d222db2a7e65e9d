import { setTimeout as sleep } from 'node:timers/promises';
import type { GroupConsumer, GroupConsumerOptions } from '../../src/client/index.js';
import { BrokerError } from '../../src/model/errors.js';
import type { Case } from './case.js';
import { commitAs } from './grpc.js';
import { TOPIC, TRIMMED, type Patient } from './patient.js';

const GROUP = 'bad-input';
const TIMEOUT_MS = 10_000;
const POLL_MS = 20;
/** There is a record at it in both topics. */
const BOTH_HAVE = 5;

/** What members of groups, and those who commit for them, get wrong. */
export function groups(p: Patient): Case[] {
  return [
    join(p, 'a subscription to nothing', /INVALID_(ARGUMENT|SUBSCRIPTION): /, { topics: [] }),
    join(p, 'a pattern that is none', /INVALID_SUBSCRIPTION: /, { pattern: '(' }),
    join(p, 'a pattern that would take for ever', /INVALID_SUBSCRIPTION: /, {
      pattern: '((a{30}){30}){30}',
    }),
    join(p, 'an assignor that nobody knows', /UNKNOWN_ASSIGNOR: /, {
      topics: [TOPIC],
      assignor: 'no-such-assignor',
    }),
    {
      input: 'two members with one instance id',
      expected: /UNRELEASED_INSTANCE_ID: /,
      answer: async () => {
        const options = { topics: [TOPIC], instanceId: 'twin' };
        const first = p.client.groupConsumer({ group: GROUP, ...options });
        await first.start();
        const answer = await joined(p, options);
        await first.close({ leave: true });
        return answer;
      },
    },
    commit(p, 'a commit beyond the end', /OFFSET_OUT_OF_RANGE: /, { offset: 1e12 }),
    commit(p, 'a commit for a partition that is not there', /UNKNOWN_PARTITION: /, {
      partition: 999,
    }),
    commit(p, 'a commit for a topic that is not there', /UNKNOWN_TOPIC: /, { topic: 'nowhere' }),
    commit(p, 'a commit of offset -1', /INVALID_ARGUMENT: /, { offset: -1 }),
    ...commitsOfMembers(p),
    {
      input: 'fewer partitions than there are',
      expected: /INVALID_PARTITIONS: /,
      answer: async () =>
        await told(async () => await p.client.admin.addPartitions({ topic: TOPIC, partitions: 0 })),
    },
  ];
}

/** As programs do that speak the protocol by hand: our own client would not send these. */
function commitsOfMembers(p: Patient): Case[] {
  const stale = /STALE_MEMBER_EPOCH: /;
  return [
    byMember(p, "a commit for a partition that is not the member's", stale, (own) => ({
      ...own,
      topic: TRIMMED,
    })),
    byMember(p, 'a commit of an epoch before the partition was given', stale, (own) => ({
      ...own,
      epoch: 0,
    })),
    byMember(p, 'a commit of an epoch that is not yet', /FENCED_MEMBER_EPOCH: /, (own) => ({
      ...own,
      epoch: own.epoch + 7,
    })),
    byMember(p, 'a commit by a member that is none', /UNKNOWN_MEMBER: /, (own) => ({
      ...own,
      memberId: 'f'.repeat(32),
    })),
    byMember(p, 'a commit by nobody beside members', /GROUP_NOT_EMPTY: /, (own) => ({
      ...own,
      memberId: '',
      epoch: 0,
    })),
  ];
}

interface Claim {
  readonly memberId: string;
  readonly epoch: number;
  readonly topic: string;
}

/** A member has the only partition of its topic; what it would commit is changed to what is wrong. */
function byMember(
  p: Patient,
  input: string,
  expected: RegExp,
  change: (own: Claim) => Claim,
): Case {
  return {
    input: `gRPC: ${input}`,
    expected,
    answer: async () => {
      const group = `${GROUP}-members`;
      const member = p.client.groupConsumer({ group, topics: [TOPIC] });
      try {
        await member.start();
        await holding(member);
        const { memberId, memberEpoch: epoch } = member;
        const claim = change({ memberId, epoch, topic: TOPIC });
        const offsets = [{ topic: claim.topic, partition: 0, offset: BOTH_HAVE }];
        const asked = { memberId: claim.memberId, memberEpoch: claim.epoch };
        return await commitAs(p, { group, offsets, ...asked });
      } finally {
        await member.close({ leave: true });
      }
    },
  };
}

async function holding(member: GroupConsumer): Promise<void> {
  const untilMs = performance.now() + TIMEOUT_MS;
  while (member.assignment().length === 0) {
    if (performance.now() > untilMs) throw new Error('the member was given nothing');
    await sleep(POLL_MS);
  }
}

type JoinOptions = Omit<GroupConsumerOptions, 'group'>;

function join(p: Patient, input: string, expected: RegExp, options: JoinOptions): Case {
  return { input, expected, answer: async () => await joined(p, options) };
}

async function joined(p: Patient, options: JoinOptions): Promise<string> {
  return await told(async () => {
    const asked = { group: GROUP, requestTimeoutMs: TIMEOUT_MS, ...options };
    const member = p.client.groupConsumer(asked);
    try {
      await member.start();
    } finally {
      await member.close({ leave: true }).catch(() => undefined);
    }
  });
}

function commit(
  p: Patient,
  input: string,
  expected: RegExp,
  at: { readonly topic?: string; readonly partition?: number; readonly offset?: number },
): Case {
  const offsets = [{ topic: TOPIC, partition: 0, offset: 0, ...at }];
  const answer = async (): Promise<string> =>
    await told(async () => {
      const [found] = await p.client.admin.commitOffsets('nobody', offsets);
      if (found?.error !== undefined) throw found.error;
    });
  return { input, expected, answer };
}

async function told(attempt: () => Promise<unknown>): Promise<string> {
  try {
    await attempt();
    return 'done';
  } catch (thrown) {
    const { code, message } = BrokerError.from(thrown);
    return `${code}: ${message}`;
  }
}
