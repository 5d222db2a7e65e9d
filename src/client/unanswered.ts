import { BrokerError } from '../model/errors.js';
import { partitionKey } from './connection.js';
import type { TopicPartition } from './types.js';

/** For a partition that was asked for and that the answer leaves out: nothing may be taken for granted. */
export function unanswered({ topic, partition }: TopicPartition): BrokerError {
  const text = `the broker did not say what became of ${partitionKey(topic, partition)}`;
  return new BrokerError('INTERNAL', text);
}
