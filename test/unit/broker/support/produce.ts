import { crc32c } from '../../../../src/base/crc32c.js';
import type { ProduceResult } from '../../../../src/broker/types.js';
import { NO_PRODUCER, RecordBatchBuilder } from '../../../../src/model/record-batch-builder.js';
import type { TestBrokers } from './test-brokers.js';

/** Produces records "0", "1", … to a partition through a broker; resolves with the answer. */
export function produce(
  brokers: TestBrokers,
  id: number,
  at: { readonly topic: string; readonly partition: number },
  count: number,
): Promise<ProduceResult> {
  const builder = new RecordBatchBuilder();
  for (let i = 0; i < count; i += 1) {
    builder.append({ value: new TextEncoder().encode(String(i)) }, 1_700_000_000_000);
  }
  const batch = builder.finish(NO_PRODUCER, crc32c);
  return new Promise((resolve) => {
    brokers
      .services(id)
      .produce.produce(
        { ...at, topicId: undefined, acks: 'quorum', batch, timeoutMs: 10_000, allowForward: true },
        resolve,
      );
  });
}
