import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';

/** A volume of a size of our choice, in memory, where the machine lets us mount one. */
export class SmallVolume {
  readonly directory: string;

  private constructor(directory: string) {
    this.directory = directory;
  }

  /** A sentence if the machine does not let us. */
  static mount(directory: string, bytes: number): SmallVolume | string {
    mkdirSync(directory, { recursive: true });
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', directory], {
        stdio: 'pipe',
      });
      return new SmallVolume(directory);
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      return `no right to mount a tmpfs (${text.split('\n').at(1)?.trim() ?? text})`;
    }
  }

  resize(bytes: number): void {
    execFileSync('mount', ['-o', `remount,size=${bytes}`, this.directory]);
  }

  unmount(): void {
    execFileSync('umount', [this.directory]);
  }
}
