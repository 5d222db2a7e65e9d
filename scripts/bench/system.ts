import type { Job } from './driver/job.js';
import type { Measured } from './drive.js';

/** Three servers of something that stores records, and a client of it in a process of its own. */
export interface System {
  readonly name: string;
  /** Makes a topic with three replicas of everything. */
  create(topic: string, partitions: number): Promise<void>;
  drop(topic: string): Promise<void>;
  run(job: Job): Promise<Measured>;
  stop(): Promise<void>;
}
