import type { Counter, Gauge, Histogram, Metrics } from '../ports/telemetry.js';

const PREFIX = 'millrace_';

type Kind = 'counter' | 'gauge' | 'histogram';

/**
 * A broker's metrics, none of which has labels. They stand on the way of every batch, so adding to one
 * is adding to a number. Several parts may ask for one name: they get the same metric.
 *
 * Invariant: a name is of the kind that it was first asked for as; asked for as another it throws.
 */
export class BrokerMetrics implements Metrics {
  private readonly sums = new Map<string, Sum>();
  private readonly distributions = new Map<string, Distribution>();
  private readonly kinds = new Map<string, Kind>();

  counter(name: string, help: string): Counter {
    this.claim(name, 'counter');
    return once(this.sums, name, () => new Sum(`${PREFIX}${name}`, help, 'counter'));
  }

  gauge(name: string, help: string): Gauge {
    this.claim(name, 'gauge');
    return once(this.sums, name, () => new Sum(`${PREFIX}${name}`, help, 'gauge'));
  }

  histogram(name: string, help: string, buckets: readonly number[]): Histogram {
    this.claim(name, 'histogram');
    const make = (): Distribution => new Distribution(`${PREFIX}${name}`, help, buckets);
    return once(this.distributions, name, make);
  }

  /** Prometheus' text format, version 0.0.4. */
  text(): string {
    const all = [...this.sums.values(), ...this.distributions.values()];
    return all.map((metric) => `${metric.lines().join('\n')}\n\n`).join('');
  }

  private claim(name: string, kind: Kind): void {
    const before = this.kinds.get(name) ?? kind;
    if (before !== kind) throw new Error(`metric ${name} is a ${before}, not a ${kind}`);
    this.kinds.set(name, kind);
  }
}

class Sum implements Counter, Gauge {
  private readonly name: string;
  private readonly help: string;
  private readonly kind: Kind;
  private value = 0;

  constructor(name: string, help: string, kind: Kind) {
    this.name = name;
    this.help = help;
    this.kind = kind;
  }

  add(amount: number): void {
    this.value += amount;
  }

  set(value: number): void {
    this.value = value;
  }

  lines(): string[] {
    const { name, help, kind, value } = this;
    return [...headOf(name, help, kind), `${name} ${numberText(value)}`];
  }
}

class Distribution implements Histogram {
  private readonly name: string;
  private readonly help: string;
  /** Ascending upper bounds; what is above the last one counts in the sum and the count alone. */
  private readonly bounds: readonly number[];
  /** Observations up to the bound and above the one before. */
  private readonly counts: number[];
  private sum = 0;
  private count = 0;

  constructor(name: string, help: string, buckets: readonly number[]) {
    this.name = name;
    this.help = help;
    this.bounds = [...buckets].sort((a, b) => a - b);
    this.counts = this.bounds.map(() => 0);
  }

  observe(value: number): void {
    this.sum += value;
    this.count += 1;
    const { bounds } = this;
    let at = 0;
    while (at < bounds.length && value > (bounds[at] as number)) at += 1;
    if (at < bounds.length) this.counts[at] = (this.counts[at] ?? 0) + 1;
  }

  lines(): string[] {
    const { name, help, bounds, counts, sum, count } = this;
    let below = 0;
    const buckets = bounds.map((bound, at) => {
      below += counts[at] ?? 0;
      return `${name}_bucket{le="${numberText(bound)}"} ${below}`;
    });
    return [
      ...headOf(name, help, 'histogram'),
      ...buckets,
      `${name}_bucket{le="+Inf"} ${count}`,
      `${name}_sum ${numberText(sum)}`,
      `${name}_count ${count}`,
    ];
  }
}

function headOf(name: string, help: string, kind: Kind): string[] {
  const text = help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
  return [`# HELP ${name} ${text}`, `# TYPE ${name} ${kind}`];
}

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  if (value === Number.NEGATIVE_INFINITY) return '-Inf';
  return String(value);
}

function once<T>(made: Map<string, T>, name: string, make: () => T): T {
  const existing = made.get(name);
  if (existing !== undefined) return existing;
  const metric = make();
  made.set(name, metric);
  return metric;
}
