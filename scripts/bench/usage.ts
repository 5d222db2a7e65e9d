import { readFileSync } from 'node:fs';

const TICKS_PER_SECOND = 100;

/** CPU seconds a running process has used so far, from the kernel's books. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/**
 * Memory of a process in MiB: what is its own, and with the table files that LevelDB maps, which are
 * page cache and go when somebody else needs the room.
 */
export function memoryMebibytes(pid: number): { readonly own: number; readonly resident: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const kib = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0);
  return { own: kib('RssAnon') / 1024, resident: kib('VmRSS') / 1024 };
}
