import type { Deferred } from '../base/deferred.js';
import { Deque } from '../base/deque.js';
import type { LogSlice } from '../model/log-entry.js';

/** Entries to write, or nothing: a hard state whose completion attests every write before it. */
export interface WriteJob {
  readonly kind: 'write';
  readonly append: LogSlice | undefined;
  /** Replaces entries that are there: it begins a batch of its own. */
  readonly truncates: boolean;
  readonly bytes: number;
  /** Resolves once the hard state given along is durable. */
  readonly hardState: Promise<void> | undefined;
  /** What may become durable only after everything before and in this job. */
  readonly afterwards: (() => Promise<void>) | undefined;
  readonly done: Deferred<undefined>;
}

/** Something that needs the log to itself. */
export interface AloneJob {
  readonly kind: 'alone';
  readonly run: () => Promise<void>;
  readonly done: Deferred<undefined>;
}

export type Job = WriteJob | AloneJob;

/**
 * Jobs in the order they were given. What waits goes out together: takeBatch() gives as many as fit
 * one write. As long as what Raft has handed over and not seen durable, whose bytes the limit on a
 * leader's uncommitted tail and a follower's appends in flight bound.
 */
export class WriteQueue {
  private readonly jobs = new Deque<Job>();

  get length(): number {
    return this.jobs.length;
  }

  push(job: Job): void {
    this.jobs.push(job);
  }

  /** The next job if it needs the log to itself, taken out. */
  takeAlone(): AloneJob | undefined {
    const job = this.jobs.at(0);
    if (job?.kind !== 'alone') return undefined;
    this.jobs.shift();
    return job;
  }

  /** The next jobs that go into one write: the first, and what fits behind it. */
  takeBatch(bytesMax: number): WriteJob[] {
    const batch: WriteJob[] = [];
    let bytes = 0;
    for (;;) {
      const job = this.jobs.at(0);
      if (job === undefined || job.kind === 'alone') return batch;
      const isFirst = batch.length === 0;
      if (!isFirst && (bytes + job.bytes > bytesMax || job.truncates)) {
        return batch;
      }
      batch.push(job);
      bytes += job.bytes;
      this.jobs.shift();
      if (job.afterwards !== undefined) return batch;
    }
  }

  /** Everything left, taken out. */
  takeAll(): Job[] {
    return this.jobs.clear();
  }
}
