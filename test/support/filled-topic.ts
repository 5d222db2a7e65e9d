import type { MillraceClient } from '../../src/client/index.js';

const PARTITIONS = 4;
const RECORDS = 40;

/** A topic with a few records in each partition in turn, a millisecond apart from one second on. */
export async function filledTopic(client: MillraceClient, topic: string): Promise<void> {
  await client.admin.createTopic({ topic, partitions: PARTITIONS });
  const producer = client.producer();
  for (let i = 0; i < RECORDS; i += 1) {
    const partition = i % PARTITIONS;
    await producer.send({ topic, partition, value: `${i}`, timestampMs: 1_000 + i });
  }
  await producer.close();
}
