import type { GroupConsumerOptions } from '../../src/client/index.js';
import { BrokerError } from '../../src/model/errors.js';
import type { Case } from './case.js';
import { TOPIC, type Patient } from './patient.js';

const GROUP = 'bad-input';
const TIMEOUT_MS = 10_000;

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
    {
      input: 'fewer partitions than there are',
      expected: /INVALID_PARTITIONS: /,
      answer: async () =>
        await told(async () => await p.client.admin.addPartitions({ topic: TOPIC, partitions: 0 })),
    },
  ];
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
