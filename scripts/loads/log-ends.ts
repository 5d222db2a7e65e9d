import type { MillraceClient } from '../../src/client/index.js';
import type { LoadStage } from './stage.js';

/** Who leads each partition of a topic, and where its log ended when this began. */
export class LogEnds {
  readonly topic: string;
  private readonly stage: LoadStage;
  private readonly client: MillraceClient;
  private ports: (number | undefined)[] = [];
  private ends: number[] = [];
  private refreshing: Promise<void> | undefined;

  private constructor(stage: LoadStage, client: MillraceClient, topic: string) {
    this.stage = stage;
    this.client = client;
    this.topic = topic;
  }

  static async of(stage: LoadStage, client: MillraceClient, topic: string): Promise<LogEnds> {
    const ends = new LogEnds(stage, client, topic);
    const { partitions } = await client.admin.describeTopic(topic);
    ends.ends = partitions.map((p) => p.highWatermark);
    await ends.refresh();
    return ends;
  }

  get partitions(): number {
    return this.ends.length;
  }

  endOf(partition: number): number {
    return this.ends[partition] ?? 0;
  }

  /** Client port of the partition's leader. */
  portOf(partition: number): number {
    return this.ports[partition] ?? this.stage.cluster.broker(1).ports.client;
  }

  /** Looks again; those who ask meanwhile wait for the same answer. */
  async refresh(): Promise<void> {
    this.refreshing ??= this.look().finally(() => (this.refreshing = undefined));
    await this.refreshing;
  }

  private async look(): Promise<void> {
    const { topics } = await this.client.admin.metadata({ topics: [this.topic] });
    for (const { partition, leader } of topics[0]?.partitions ?? []) {
      if (leader !== undefined)
        this.ports[partition] = this.stage.cluster.broker(leader).ports.client;
    }
  }
}
