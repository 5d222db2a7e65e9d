import { type Dirent, readdirSync, statSync } from 'node:fs';
import path from 'node:path';

import type { MillraceClient } from '../../src/client/index.js';
import type { LoadStage } from './stage.js';

const MIB = 1_048_576;

/** What the replicas of a topic take on each broker's disk. */
export class TopicDisk {
  private readonly stage: LoadStage;
  private readonly raftGroups: readonly number[];

  private constructor(stage: LoadStage, raftGroups: readonly number[]) {
    this.stage = stage;
    this.raftGroups = raftGroups;
  }

  static async of(stage: LoadStage, client: MillraceClient, topic: string): Promise<TopicDisk> {
    const { partitions } = await client.admin.describeTopic(topic);
    return new TopicDisk(
      stage,
      partitions.map((p) => p.raftGroup),
    );
  }

  /** MiB of each broker. */
  mebibytes(): number[] {
    return this.stage.cluster.brokers.map(({ id }) => {
      const replicas = path.join(this.stage.cluster.dir, `data-${id}`, 'replicas');
      const bytes = this.raftGroups.map((group) => bytesIn(path.join(replicas, String(group))));
      return bytes.reduce((sum, each) => sum + each, 0) / MIB;
    });
  }
}

/** Files come and go while this looks: what is gone by then counts for nothing. */
function bytesIn(dir: string): number {
  let bytes = 0;
  for (const entry of listed(dir)) {
    const file = path.join(dir, entry.name);
    if (entry.isDirectory()) bytes += bytesIn(file);
    else bytes += statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  }
  return bytes;
}

function listed(dir: string): Dirent[] {
  try {
    return readdirSync(dir, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
