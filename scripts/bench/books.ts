import { cpuSeconds, memoryMebibytes } from './usage.js';

/** A process whose use of the machine is booked. */
export interface Watched {
  readonly name: string;
  readonly pid: number;
  /** The p99 of its event loop's delay in ms since it was asked last; undefined: it has no such loop. */
  readonly loopDelayP99Ms?: () => Promise<number>;
}

/** By the names of the processes. */
export interface Books {
  readonly cpuSeconds: Readonly<Record<string, number>>;
  /** The most memory of its own (no mapped files), and with what it has mapped, in MiB. */
  readonly peakMebibytes: Readonly<Record<string, number>>;
  readonly residentMebibytes: Readonly<Record<string, number>>;
  readonly loopDelayP99Ms: Readonly<Record<string, number>>;
  /** Own memory of the largest but the client over time: seconds since the start, MiB. */
  readonly memoryOverTime: readonly (readonly [number, number])[];
}

export interface Booking {
  begin(): Promise<void>;
  end(): Promise<void>;
  books(): Books;
  close(): void;
}

const SAMPLE_MS = 250;

/** Books of these processes from `begin` to `end`. */
export function bookOf(watched: readonly Watched[]): Booking {
  const cpuBefore = new Map<string, number>();
  const cpu: Record<string, number> = {};
  const peak: Record<string, number> = {};
  const resident: Record<string, number> = {};
  const delay: Record<string, number> = {};
  const overTime: [number, number][] = [];
  let startedAt = 0;
  let sampler: NodeJS.Timeout | undefined;
  const sample = (): void => {
    let largest = 0;
    for (const { name, pid } of watched) {
      const { own, resident: all } = memoryMebibytes(pid);
      peak[name] = Math.max(peak[name] ?? 0, own);
      resident[name] = Math.max(resident[name] ?? 0, all);
      if (name !== 'client') largest = Math.max(largest, own);
    }
    overTime.push([(performance.now() - startedAt) / 1000, largest]);
  };
  const askDelays = (): Promise<[string, number][]> =>
    Promise.all(
      watched.flatMap(({ name, loopDelayP99Ms }) =>
        loopDelayP99Ms === undefined
          ? []
          : [loopDelayP99Ms().then((ms): [string, number] => [name, ms])],
      ),
    );
  return {
    begin: async () => {
      startedAt = performance.now();
      for (const { name, pid } of watched) cpuBefore.set(name, cpuSeconds(pid));
      sampler = setInterval(() => {
        try {
          sample();
        } catch {
          // A process is gone: the end says so to whoever has begun this.
          clearInterval(sampler);
        }
      }, SAMPLE_MS);
      // What was before does not count.
      await askDelays();
    },
    end: async () => {
      clearInterval(sampler);
      for (const { name, pid } of watched) {
        cpu[name] = cpuSeconds(pid) - (cpuBefore.get(name) ?? 0);
      }
      sample();
      Object.assign(delay, Object.fromEntries(await askDelays()));
    },
    books: () => ({
      cpuSeconds: cpu,
      peakMebibytes: peak,
      residentMebibytes: resident,
      loopDelayP99Ms: delay,
      memoryOverTime: overTime,
    }),
    close: () => clearInterval(sampler),
  };
}
