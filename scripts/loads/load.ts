import type { LoadStage } from './stage.js';

/** How large a run is, by the names of its options. */
export type Sizes = Readonly<Record<string, number>>;

/** One thing that is asked of real brokers, with the figures that tell how they bear it. */
export interface Load {
  readonly about: string;
  /** What is run unless options say otherwise; every option of the load has its size here. */
  readonly sizes: Sizes;
  /** What differs with --short: a minute or less, to see that the program works. */
  readonly short: Sizes;
  /** Settings of the brokers that differ from the defaults. */
  readonly config?: (sizes: Sizes) => Readonly<Record<string, unknown>>;
  /** Clients reach the brokers through proxies that can be cut. */
  readonly isProxied?: boolean;
  run(stage: LoadStage, size: (name: string) => number): Promise<void>;
}

/** The sizes to run with. Throws on names that the load does not have and on what is no size. */
export function sizesOf(load: Load, isShort: boolean, given: Sizes): Sizes {
  const sizes: Record<string, number> = { ...load.sizes, ...(isShort ? load.short : {}) };
  for (const [name, value] of Object.entries(given)) {
    if (!(name in sizes)) {
      throw new RangeError(
        `no option --${name} here; there are ${Object.keys(sizes)
          .map((known) => `--${known}`)
          .join(', ')}`,
      );
    }
    if (!(Number.isFinite(value) && value >= 0)) {
      throw new RangeError(`--${name} must be a number of at least 0`);
    }
    sizes[name] = value;
  }
  return sizes;
}

export function lookUp(sizes: Sizes): (name: string) => number {
  return (name) => {
    const value = sizes[name];
    if (value === undefined) throw new Error(`no size ${name}`);
    return value;
  };
}
