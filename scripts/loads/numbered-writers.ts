import type { BatchReport, MillraceClient, Producer } from '../../src/client/index.js';

const VALUE_BYTES = 200;
const WINDOW = 5;

/**
 * Keeps every partition's window full of small batches of numbered records. Invariant: the records of
 * a partition are handed to the producer in the order of their numbers, none left out.
 */
export class NumberedWriters {
  readonly counts = { batches: 0, retried: 0, duplicates: 0 };
  /** Leaderships that acknowledged a batch. */
  readonly epochs = new Set<string>();
  readonly failures: string[] = [];
  /** Records handed to the producer so far, by partition. */
  readonly sent: number[];
  private readonly topic: string;
  private readonly batchBytes: number;
  private readonly producer: Producer;
  private readonly over = new AbortController();
  private running: Promise<void>[] = [];

  constructor(
    client: MillraceClient,
    options: { readonly topic: string; readonly partitions: number; readonly batchBytes: number },
  ) {
    const { topic, partitions, batchBytes } = options;
    this.topic = topic;
    this.batchBytes = batchBytes;
    this.sent = Array.from({ length: partitions }, () => 0);
    this.producer = client.producer({
      batchBytes,
      lingerMs: 1,
      inflightBatchesMax: WINDOW,
      bufferBytesMax: batchBytes * WINDOW * 4 * partitions,
      requestTimeoutMs: 5_000,
      onBatch: (report) => this.took(report),
    });
  }

  start(): void {
    this.running = this.sent.map(async (_, partition) => await this.write(partition));
  }

  /** Every record has been acknowledged, or has failed, once this resolves. */
  async stop(): Promise<void> {
    this.over.abort();
    await Promise.all(this.running);
    await this.producer.close();
  }

  private async write(partition: number): Promise<void> {
    const { signal } = this.over;
    let open = 0;
    let isFree: () => void = () => undefined;
    // A full window, and as much again to fill the next one with.
    const openMax = Math.ceil((2 * WINDOW * this.batchBytes) / VALUE_BYTES);
    while (!signal.aborted) {
      const n = this.sent[partition] ?? 0;
      this.sent[partition] = n + 1;
      open += 1;
      const value = `${n} `.padEnd(VALUE_BYTES, 'x');
      void this.producer
        .send({ topic: this.topic, partition, value })
        .catch((thrown: unknown) => this.failures.push(`record ${n}: ${String(thrown)}`))
        .finally(() => {
          open -= 1;
          isFree();
        });
      while (open >= openMax) await new Promise<void>((resolve) => (isFree = resolve));
    }
  }

  private took(report: BatchReport): void {
    this.counts.batches += 1;
    if (report.attempts > 1) this.counts.retried += 1;
    if (report.isDuplicate) this.counts.duplicates += 1;
    this.epochs.add(`${report.partition}/${report.leaderEpoch}`);
  }
}

/** The number that such a record carries. */
export function numberOf(value: Uint8Array | undefined): number {
  return value === undefined ? Number.NaN : Number.parseInt(Buffer.from(value).toString('latin1'));
}
