import { MillraceClient } from '../../src/client/index.js';
import { connectBroker, type BrokerConnection } from '../../src/rpc/channel.js';
import type { ScriptCluster } from '../lib/script-cluster.js';
import { ANSWER_MS, messageOf } from './case.js';

export const TOPIC = 'steady';
/** Has records 5 to 9. */
export const TRIMMED = 'trimmed';
/** Takes records of any kind, until it is compacted. */
export const TABLE = 'table';

/** The cluster that is ill-treated, and how it is looked after. */
export class Patient {
  readonly cluster: ScriptCluster;
  readonly client: MillraceClient;
  readonly connection: BrokerConnection;
  private sent = 0;

  constructor(cluster: ScriptCluster) {
    this.cluster = cluster;
    this.client = new MillraceClient({ bootstrap: cluster.bootstrap, timeoutMs: 20_000 });
    this.connection = connectBroker(cluster.bootstrap[0] ?? '');
  }

  async prepare(): Promise<void> {
    for (const topic of [TOPIC, TRIMMED, TABLE]) {
      await this.client.admin.createTopic({ topic, replicationFactor: 3 });
    }
    const producer = this.client.producer();
    for (let i = 0; i < 10; i += 1) await producer.send({ topic: TRIMMED, value: String(i) });
    await producer.close();
    await this.client.admin.trimPartition({ topic: TRIMMED, partition: 0 }, 5);
  }

  /** What is wrong with the cluster; undefined if it serves as it did. */
  async harm(): Promise<string | undefined> {
    for (const broker of this.cluster.brokers) {
      if (!broker.isRunning) return `broker ${broker.id} has ended`;
    }
    const producer = this.client.producer({ deliveryTimeoutMs: ANSWER_MS });
    const consumer = this.client.consumer({
      topic: TOPIC,
      from: { offset: this.sent },
      unavailableTimeoutMs: ANSWER_MS,
    });
    try {
      const value = `record ${this.sent}`;
      const { offset } = await producer.send({ topic: TOPIC, value });
      if (offset !== this.sent) return `offset ${offset} where ${this.sent} was to come`;
      this.sent += 1;
      for await (const record of consumer) {
        const found = Buffer.from(record.value ?? []).toString();
        return found === value ? undefined : `read ${found} for ${value}`;
      }
      return 'the reader ended';
    } catch (thrown) {
      return messageOf(thrown);
    } finally {
      await Promise.all([producer.close(), consumer.close()]);
    }
  }

  async close(): Promise<void> {
    this.connection.close();
    await this.client.close();
    await this.cluster.stop();
  }
}
