import { setMaxListeners } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';

import { BrokerError, type MillraceClient, type Producer } from '../../src/client/index.js';
import type { Ledger } from './ledger.js';

export interface LoadOptions {
  readonly client: MillraceClient;
  readonly topic: string;
  readonly ledger: Ledger;
  readonly recordsPerSecond: number;
}

const LANES = 32;
const COMMIT_EVERY_MS = 10;
export const GROUP = 'damage';

/**
 * Many senders of one record at a time, which keeps answers coming, and one committer of offsets, so
 * that the metadata log is written too. Every answer goes into the ledger.
 */
export class Load {
  /** The highest offset whose commit was answered with a yes. */
  committed = 0;
  private readonly options: LoadOptions;
  private readonly stopping = new AbortController();
  private running: Promise<unknown> = Promise.resolve();

  constructor(options: LoadOptions) {
    this.options = options;
    setMaxListeners(LANES + 1, this.stopping.signal);
  }

  start(): void {
    const producer = this.options.client.producer({ lingerMs: 1, batchBytes: 16 * 1024 });
    const lanes = Array.from({ length: LANES }, (_, lane) => this.produce(producer, lane));
    this.running = Promise.all([...lanes, this.commit()]).finally(() => producer.close());
  }

  /** Resolves once every record that was sent has its answer. */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  private async produce(producer: Producer, lane: number): Promise<void> {
    const { ledger, topic, recordsPerSecond } = this.options;
    const everyMs = (1000 * LANES) / recordsPerSecond;
    await this.rest((everyMs * lane) / LANES);
    while (!this.stopping.signal.aborted) {
      const startedAt = performance.now();
      await sendOne(producer, topic, ledger);
      await this.rest(everyMs - (performance.now() - startedAt));
    }
  }

  private async commit(): Promise<void> {
    const { client, topic } = this.options;
    let offset = this.committed;
    while (!this.stopping.signal.aborted) {
      // Every acknowledged record has its own offset: so many of them are below the high watermark.
      offset = Math.max(offset, this.options.ledger.acked.size);
      const [answer] = await client.admin
        .commitOffsets(GROUP, [{ topic, partition: 0, offset }])
        .catch(() => [undefined]);
      if (answer !== undefined && answer.error === undefined) this.committed = offset;
      await this.rest(COMMIT_EVERY_MS);
    }
  }

  private async rest(ms: number): Promise<void> {
    const { signal } = this.stopping;
    if (ms > 0) await pause(ms, undefined, { signal }).catch(() => undefined);
  }
}

/** Sends the ledger's next record and writes the answer down. */
export async function sendOne(producer: Producer, topic: string, ledger: Ledger): Promise<void> {
  const { id, value } = ledger.next();
  try {
    const { offset } = await producer.send({ topic, partition: 0, value });
    ledger.acked.set(id, offset);
  } catch (thrown) {
    if (BrokerError.from(thrown).outcome === 'none') ledger.refused.add(id);
  }
}
