import { BrokerError } from '../model/errors.js';
import { partitionKey } from './connection.js';
import type { TopicPartition } from './types.js';

/** For a partition that was asked for and that the answer leaves out: nothing may be taken for granted. */
export function unanswered({ topic, partition }: TopicPartition): BrokerError {
  const text = `the broker did not say what became of ${partitionKey(topic, partition)}`;
  return new BrokerError('INTERNAL', text);
}

/** What was asked for, by partition; throws the reason for the first one that failed or is left out. */
export function mustAnswerAll<
  Answer extends TopicPartition & { readonly error: BrokerError | undefined },
>(asked: readonly TopicPartition[], answers: readonly Answer[]): Map<string, Answer> {
  const found = new Map(answers.map((a) => [partitionKey(a.topic, a.partition), a]));
  for (const p of asked) {
    const { error } = found.get(partitionKey(p.topic, p.partition)) ?? { error: unanswered(p) };
    if (error !== undefined) throw error;
  }
  return found;
}
