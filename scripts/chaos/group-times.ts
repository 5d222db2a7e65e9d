import { type Fault, type GapSummary, summarize } from './gaps.js';
import type { ShareTaken } from './group-protocol.js';

/** For this long after a coordinator's end, members find the next one and report to it. */
const COORDINATOR_GONE_MS = 5_000;
/** For this long after a leader's end, its partitions may bring nothing. */
const LEADER_GONE_MS = 10_000;

export interface GroupTimesFigures {
  readonly joinsPerSecond: number;
  readonly leavesPerSecond: number;
  /** From joining to the whole share, owners releasing at once, while a coordinator was there. */
  readonly sharesMs: GapSummary;
  /** The same where a coordinator had just been killed. */
  readonly sharesAfterKillsMs: GapSummary;
  /** Pauses of partitions that stayed with their member, and whose leader stayed. */
  readonly pausesMs: GapSummary;
  /** The same where the partition's leader was the broker that was killed. */
  readonly pausesAfterKillsMs: GapSummary;
}

interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

interface Counts {
  readonly joins: number;
  readonly leaves: number;
}

/**
 * Times of consumer groups under fire, told apart by whether a broker's end explains them. All times
 * are ms since 1970, as they come from several processes.
 */
export class GroupTimes {
  private readonly faults: (Span & { readonly keys: ReadonlySet<string> })[] = [];
  private readonly shares: Span[] = [];
  private readonly gaps: (Span & { readonly key: string })[] = [];
  private beginning: (Counts & { readonly atMs: number }) | undefined;
  private ending: (Counts & { readonly atMs: number }) | undefined;

  begin({ joins, leaves }: Counts): void {
    this.beginning = { joins, leaves, atMs: performance.now() };
  }

  end({ joins, leaves }: Counts): void {
    this.ending ??= { joins, leaves, atMs: performance.now() };
  }

  faulted({ atMs, keys }: Fault): void {
    const fromMs = performance.timeOrigin + atMs;
    this.faults.push({ fromMs, toMs: fromMs + LEADER_GONE_MS, keys: new Set(keys) });
  }

  share(share: ShareTaken): void {
    this.shares.push(share);
  }

  gap(gap: Span & { readonly key: string }): void {
    this.gaps.push(gap);
  }

  figures(): GroupTimesFigures {
    const seconds = ((this.ending?.atMs ?? 0) - (this.beginning?.atMs ?? 0)) / 1000;
    const during = (name: keyof Counts): number =>
      ((this.ending?.[name] ?? 0) - (this.beginning?.[name] ?? 0)) / seconds;
    const isByKill = (share: Span): boolean =>
      this.faults.some(({ fromMs }) =>
        overlap(share, { fromMs, toMs: fromMs + COORDINATOR_GONE_MS }),
      );
    const isByLeader = (gap: Span & { readonly key: string }): boolean =>
      this.faults.some((fault) => fault.keys.has(gap.key) && overlap(gap, fault));
    return {
      joinsPerSecond: during('joins'),
      leavesPerSecond: during('leaves'),
      sharesMs: lengths(this.shares.filter((share) => !isByKill(share))),
      sharesAfterKillsMs: lengths(this.shares.filter(isByKill)),
      pausesMs: lengths(this.gaps.filter((gap) => !isByLeader(gap))),
      pausesAfterKillsMs: lengths(this.gaps.filter(isByLeader)),
    };
  }
}

function overlap(a: Span, b: Span): boolean {
  return a.fromMs < b.toMs && b.fromMs < a.toMs;
}

function lengths(spans: readonly Span[]): GapSummary {
  return summarize(spans.map(({ fromMs, toMs }) => toMs - fromMs));
}
