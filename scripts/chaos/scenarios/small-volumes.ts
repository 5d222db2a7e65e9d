import { execFileSync } from 'node:child_process';
import {
  closeSync,
  cpSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statfsSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import process from 'node:process';

import type { Stage } from '../scenario.js';

/** Enough for a run's logs beside the ballast. */
const VOLUME_BYTES = 512 << 20;
const PIECE = Buffer.alloc(256 * 1024);
const BALLAST = 'ballast';

/**
 * Every broker's data on a volume of its own that can be filled up and freed. Mounted while the brokers
 * are away for a moment, and unmounted, with the data put back in its place, before a run ends.
 */
export class SmallVolumes {
  private missing: string | undefined;
  private readonly directories = new Map<number, string>();

  /** Resolves with what puts everything back. */
  async mount(stage: Stage): Promise<() => Promise<void>> {
    // Whoever interrupts a run does not wait for that.
    process.once('exit', () => {
      for (const directory of this.directories.values()) execFileSync('umount', ['-l', directory]);
    });
    await this.whileStopped(stage, () => {
      for (const id of stage.cluster.ids) {
        if (this.missing !== undefined) return;
        const directory = path.join(stage.cluster.dir, `data-${id}`);
        this.missing = mountOver(directory);
        if (this.missing === undefined) this.directories.set(id, directory);
      }
    });
    return async () => {
      await this.whileStopped(stage, () => {
        for (const [id, directory] of this.directories) {
          unmount(directory);
          this.directories.delete(id);
        }
      });
    };
  }

  /** False, and the run proves nothing, where nothing may be mounted. Waits then. */
  async areThere(stage: Stage): Promise<boolean> {
    if (this.missing === undefined) return true;
    stage.doubt(`not tried: ${this.missing}`);
    await stage.rest(stage.seconds * 1_000);
    return false;
  }

  /** Leaves no room at all. */
  fill(id: number): void {
    const directory = this.directoryOf(id);
    const fd = openSync(path.join(directory, BALLAST), 'a');
    try {
      while (statfsSync(directory).bavail > 0) writeSync(fd, PIECE);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    } finally {
      closeSync(fd);
    }
  }

  free(id: number): void {
    rmSync(path.join(this.directoryOf(id), BALLAST), { force: true });
  }

  private directoryOf(id: number): string {
    const directory = this.directories.get(id);
    if (directory === undefined) throw new Error(`broker ${id} has no volume of its own`);
    return directory;
  }

  private async whileStopped(stage: Stage, work: () => void): Promise<void> {
    const { ids } = stage.cluster;
    const keys = Array.from({ length: stage.partitions }, (_, i) => `${stage.topic}/${i}`);
    const isOver = stage.fault({ kind: 'all-stopped', nodes: ids, keys, limitMs: null });
    try {
      await Promise.all(ids.map((id) => stage.broker(id).kill('SIGTERM')));
      work();
    } finally {
      await stage.start(ids);
      isOver();
    }
  }
}

/** A sentence if the machine does not let us; the data is as before then. */
function mountOver(directory: string): string | undefined {
  const aside = `${directory}-aside`;
  renameSync(directory, aside);
  mkdirSync(directory);
  try {
    const size = `size=${VOLUME_BYTES}`;
    execFileSync('mount', ['-t', 'tmpfs', '-o', size, 'tmpfs', directory], { stdio: 'pipe' });
  } catch (error) {
    rmSync(directory, { recursive: true });
    renameSync(aside, directory);
    return `no right to mount a tmpfs (${error instanceof Error ? error.message : String(error)})`;
  }
  cpSync(aside, directory, { recursive: true });
  rmSync(aside, { recursive: true });
  return undefined;
}

function unmount(directory: string): void {
  const aside = `${directory}-aside`;
  rmSync(path.join(directory, BALLAST), { force: true });
  cpSync(directory, aside, { recursive: true });
  execFileSync('umount', [directory]);
  rmSync(directory, { recursive: true });
  renameSync(aside, directory);
}
