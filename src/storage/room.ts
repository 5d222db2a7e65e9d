import { rm, statfs } from 'node:fs/promises';
import path from 'node:path';
import type { Logger } from '../ports/telemetry.js';
import { namesIn } from './durable-files.js';

/** Replicas that open together find the same volume. */
const LOOK_AGAIN_MS = 5_000;

export function isSetAside(name: string): boolean {
  return /^damaged-\d+$/.test(name);
}

/**
 * Gives up what was set aside, of all replicas, when the volume has little room left: a rebuilt
 * replica needs it more than whoever wants to look at the damage. An error of a full disk ends a
 * replica's life, so the next opening is when room is looked for.
 */
export class Room {
  private readonly replicasDirectory: string;
  private readonly freeBytesMin: number;
  private readonly log: Logger | undefined;
  private lookedAtMs = Number.NEGATIVE_INFINITY;
  private making: Promise<void> = Promise.resolve();

  constructor(options: {
    readonly replicasDirectory: string;
    readonly freeBytesMin: number;
    readonly log: Logger | undefined;
  }) {
    this.replicasDirectory = options.replicasDirectory;
    this.freeBytesMin = options.freeBytesMin;
    this.log = options.log;
  }

  /** Resolves once there is as much room as there can be; errors are for the opening to meet. */
  make(): Promise<void> {
    const now = performance.now();
    if (now - this.lookedAtMs >= LOOK_AGAIN_MS) {
      this.lookedAtMs = now;
      this.making = this.look().catch((error: unknown) => {
        this.log?.warn({ error: String(error) }, 'cannot look for room on the volume');
      });
    }
    return this.making;
  }

  private async look(): Promise<void> {
    const { bavail, bsize } = await statfs(this.replicasDirectory);
    const freeBytes = bavail * bsize;
    if (freeBytes >= this.freeBytesMin) return;
    for (const replica of await namesIn(this.replicasDirectory)) {
      const parent = path.join(this.replicasDirectory, replica);
      for (const name of (await namesIn(parent)).filter(isSetAside)) {
        this.log?.warn({ raftGroup: Number(replica), name, freeBytes }, 'gives up a damaged log');
        await rm(path.join(parent, name), { recursive: true, force: true });
      }
    }
  }
}
