import { FaultShim } from '../../lib/fault-shim/fault-shim.js';
import type { Needs, Stage } from '../scenario.js';

/** Disks and clocks of the brokers of one run, under our command; or the reason why they are not. */
export class Shims {
  private readonly shims = new Map<number, FaultShim>();
  private missing: string | undefined;

  /** For a scenario's `needs`: with it, every broker runs below a library of its own. */
  readonly env: NonNullable<Needs['env']> = (id, dataDir) => {
    const made = FaultShim.make({ under: dataDir, directory: `${dataDir}-shim` });
    if (typeof made === 'string') {
      this.missing = made;
      return {};
    }
    this.shims.set(id, made);
    return made.environment;
  };

  of(id: number): FaultShim {
    const shim = this.shims.get(id);
    if (shim === undefined) throw new Error(`broker ${id} has no library of faults`);
    return shim;
  }

  /** False, and the run proves nothing, where there is no compiler for it. Waits then. */
  async areThere(stage: Stage): Promise<boolean> {
    if (this.missing === undefined) return true;
    stage.doubt(`not tried: ${this.missing}`);
    await stage.rest(stage.seconds * 1_000);
    return false;
  }
}
