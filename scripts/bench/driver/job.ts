/**
 * What a benchmark asks of a client, and what it hears of it. Every system that is measured (ours, a
 * peer) has a driver of its own that understands these, so that all are asked the same.
 */

/** Where values come from: every one is cut anew while the clock runs. */
export type ValueSpec =
  /** Bytes that no codec shrinks. */
  | { readonly kind: 'random'; readonly bytes: number }
  /** Consecutive pieces of log lines: of these files, or of lines made up the same way every time. */
  | { readonly kind: 'log'; readonly bytes: number; readonly files: readonly string[] }
  /** Each is its own number and bytes that follow from it, so that a reader can check every one. */
  | { readonly kind: 'numbered'; readonly bytes: number };

export interface Target {
  readonly topic: string;
  readonly partitions: number;
}

/** How a producer batches; what is not said is the client's default. */
export interface Batching {
  readonly batchBytes?: number | undefined;
  readonly lingerMs?: number | undefined;
  readonly compression: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';
}

/** Untimed at first, so that what is measured is the steady state; then timed. */
export interface Span {
  readonly warmupSeconds: number;
  readonly seconds: number;
}

/** As many records as fit; ends when all are acknowledged. */
export interface ProduceJob extends Target, Batching, Span {
  readonly kind: 'produce';
  readonly values: ValueSpec;
}

/** So many records, numbered from 0, for a later fetch. */
export interface FillJob extends Target, Batching {
  readonly kind: 'fill';
  readonly values: ValueSpec;
  readonly records: number;
}

/** One record at a time, or (a rate above 0) as many as are due; latency until the acknowledgement. */
export interface LatencyJob extends Target, Span {
  readonly kind: 'latency';
  readonly values: ValueSpec;
  readonly recordsPerSecond: number;
}

/** A fixed rate is offered, whatever comes of it; latency from when a record was due until it is read. */
export interface EndToEndJob extends Target, Batching, Span {
  readonly kind: 'endToEnd';
  readonly recordBytes: number;
  readonly recordsPerSecond: number;
}

/** Everything from the beginning, again and again for so long, or (0 seconds) once. */
export interface FetchJob extends Target {
  readonly kind: 'fetch';
  readonly seconds: number;
  /** Set: values are numbered, this many are there, and every one is checked. */
  readonly expected?: { readonly records: number; readonly bytes: number } | undefined;
}

export type Job = ProduceJob | FillJob | LatencyJob | EndToEndJob | FetchJob;

/** In ms. */
export interface Quantiles {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export interface JobResult {
  readonly records: number;
  /** Of values. */
  readonly bytes: number;
  readonly seconds: number;
  /** From the moment a record or batch was due until its answer; no waiting is left out. */
  readonly latencyMs: Quantiles;
  /** The latencies in microseconds: HdrHistogram's compressed V2 encoding in base64. */
  readonly histogram: string;
  /** How much later than due the event loop turned, in ms; undefined: the driver has none. */
  readonly eventLoopDelayP99Ms?: number | undefined;
  /** Bytes of values for each byte that was sent, where a codec was used. */
  readonly compressionRatio?: number | undefined;
}

/** What a driver tells while it works: whoever started it books what the others use meanwhile. */
export type DriverMessage =
  | { readonly kind: 'begins' }
  | { readonly kind: 'ends' }
  | { readonly kind: 'result'; readonly result: JobResult }
  | { readonly kind: 'failed'; readonly error: string };
