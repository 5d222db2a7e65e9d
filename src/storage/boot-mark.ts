import { readFileIfThere } from './durable-files.js';

/** Nobody knows under which boot of which machine it was: equal to no boot. */
export const UNKNOWN_BOOT = 1;

const BOOT_ID_FILE = '/proc/sys/kernel/random/boot_id';

/**
 * Tells the death of a process from that of its machine: what was handed to the operating system is
 * still there as long as the same boot of the same machine goes on. Linux draws an id at every boot;
 * elsewhere nothing is known, and every death counts as the machine's.
 */
export async function readBootMark(): Promise<number> {
  const text = await readFileIfThere(BOOT_ID_FILE).catch(() => undefined);
  return text === undefined ? UNKNOWN_BOOT : bootMarkOf(Buffer.from(text).toString('latin1'));
}

/** 48 bits of the id; never 0, which stands for nothing unsynced, and hardly ever the unknown boot. */
export function bootMarkOf(bootId: string): number {
  const digits = bootId.replaceAll(/[^0-9a-f]/gi, '').slice(0, 12);
  const mark = digits.length === 12 ? Number.parseInt(digits, 16) : UNKNOWN_BOOT;
  return Math.max(mark, UNKNOWN_BOOT);
}

/** Whether what was written without a sync under `then` may be gone under `now`. */
export function mayHaveLostUnsynced(then: number, now: number): boolean {
  return then !== 0 && (then !== now || now === UNKNOWN_BOOT);
}
