import { crc32c } from '../../../src/base/crc32c.js';
import {
  MillraceClient,
  type GroupConsumer,
  type GroupConsumerOptions,
} from '../../../src/client/index.js';
import type { BrokerError } from '../../../src/model/errors.js';
import { NO_PRODUCER, RecordBatchBuilder } from '../../../src/model/record-batch-builder.js';
import { FakeCluster } from './fake-cluster.js';
import { VirtualWorld } from './virtual-world.js';

export interface Setup {
  readonly world: VirtualWorld;
  readonly cluster: FakeCluster;
}

export function setup(partitions = 4): Setup {
  const world = new VirtualWorld();
  return { world, cluster: new FakeCluster(world, { partitions }) };
}

/** One batch of so many records. */
export function put(cluster: FakeCluster, p: number, count = 1): void {
  const builder = new RecordBatchBuilder();
  for (let i = 0; i < count; i += 1) builder.append({ value: Buffer.from('v') }, 1_700_000_000_000);
  cluster.append(p, builder.finish(NO_PRODUCER, crc32c));
}

export function putAll(cluster: FakeCluster, count = 1): void {
  for (const p of cluster.partitions.keys()) put(cluster, p, count);
}

/** A member in its own process, and everything it was told and did. */
export class Member {
  readonly consumer: GroupConsumer;
  readonly got: [partition: number, offset: number][] = [];
  readonly events: string[] = [];
  readonly lost: BrokerError[] = [];
  /** Takes so long over each record. */
  workMs = 0;
  error: unknown;
  isDone = false;
  reading: Promise<void> | undefined;
  private readonly s: Setup;

  constructor(s: Setup, options: Partial<GroupConsumerOptions> = {}) {
    this.s = s;
    const client = new MillraceClient({
      bootstrap: 'b:1,b:2,b:3',
      world: s.world,
      transport: s.cluster,
    });
    const names = (at: readonly { readonly partition: number }[]): string =>
      at
        .map((p) => p.partition)
        .sort((a, b) => a - b)
        .join();
    this.consumer = client.groupConsumer({
      group: 'g',
      topics: ['events'],
      onAssigned: (at) => this.events.push(`assigned ${names(at)}`),
      onRevoked: (at) => this.events.push(`revoked ${names(at)}`),
      onLost: (at, error) => {
        this.events.push(`lost ${names(at)}`);
        this.lost.push(error);
      },
      ...options,
    });
  }

  read(): this {
    this.isDone = false;
    this.error = undefined;
    this.reading = this.loop().then(
      () => void (this.isDone = true),
      (thrown: unknown) => void (this.error = thrown),
    );
    return this;
  }

  get owned(): number[] {
    return this.consumer
      .assignment()
      .map((p) => p.partition)
      .sort((a, b) => a - b);
  }

  offsets(p: number): number[] {
    return this.got.filter(([partition]) => partition === p).map(([, offset]) => offset);
  }

  private async loop(): Promise<void> {
    for await (const { partition, offset } of this.consumer) {
      const owner = this.s.cluster.coordinator.ownerOf(partition);
      if (owner !== this.consumer.memberId) throw new Error(`${partition} was handed out unowned`);
      this.got.push([partition, offset]);
      if (this.workMs > 0) {
        await new Promise<void>((resolve) => this.s.world.timers.after(this.workMs, resolve));
      }
    }
  }
}

export const upTo = (n: number): number[] => [...Array(n).keys()];
