import type { ServerWritableStream } from '@grpc/grpc-js';
import type { FetchPartition, FetchRequest, FetchResult } from '../../broker/types.js';
import type { GatheredFetchResponse } from '../../rpc/fetch-response.js';
import type { FetchRequest__Output } from '../../rpc/gen/millrace/broker/v1/FetchRequest.js';
import { statusOf } from '../../rpc/status.js';
import { mustServe, type ApiContext } from './context.js';
import { fetchRequestFrom, fetchResponseFrom, recordBytesOf } from './convert-records.js';
import { logBug } from './unary.js';

export type FetchCall = ServerWritableStream<FetchRequest__Output, GatheredFetchResponse>;

/** Nothing more is read while this much was written that the client has not taken. */
const AHEAD_BYTES_MAX = 2 * 1024 * 1024;
/** How often watermarks are told when there are no records, unless the client says. */
const WAIT_MS_DEFAULT = 5_000;
const WAIT_MS_MIN = 100;

/**
 * One client's fetch stream: reads on from where the last answer ended until the client cancels or
 * every partition has ended with an error.
 *
 * Invariant: what was written and not yet taken by the client is at most one answer more than
 * AHEAD_BYTES_MAX, so a slow consumer costs no more memory than that.
 */
export class FetchStream {
  private readonly context: ApiContext;
  private readonly call: FetchCall;
  private readonly controller = new AbortController();
  private aheadBytes = 0;
  private wake: (() => void) | undefined;

  constructor(context: ApiContext, call: FetchCall) {
    this.context = context;
    this.call = call;
    for (const event of ['cancelled', 'error', 'close']) {
      call.once(event, () => {
        this.controller.abort();
        this.wake?.();
      });
    }
  }

  /** Never rejects. */
  async serve(): Promise<void> {
    try {
      await this.run(fetchRequestFrom(this.call.request));
      this.call.end();
    } catch (thrown) {
      if (this.isOver()) return;
      logBug(this.context, thrown);
      this.call.emit('error', statusOf(thrown));
    }
  }

  private isOver(): boolean {
    return this.controller.signal.aborted;
  }

  private async run(first: FetchRequest): Promise<void> {
    const maxWaitMs = Math.max(WAIT_MS_MIN, first.maxWaitMs || WAIT_MS_DEFAULT);
    let request: FetchRequest = { ...first, maxWaitMs };
    while (request.partitions.length > 0) {
      await this.room();
      if (this.isOver()) return;
      const { signal } = this.controller;
      const result = await mustServe(this.context).fetch.fetch(request, signal);
      if (this.isOver()) return;
      this.write(result);
      request = { ...request, partitions: advance(request.partitions, result) };
    }
  }

  private write(result: FetchResult): void {
    const bytes = recordBytesOf(result);
    this.context.metrics.fetchResponses.add(1);
    this.context.metrics.fetchBytes.add(bytes);
    this.aheadBytes += bytes;
    this.call.write(fetchResponseFrom(result), () => {
      this.aheadBytes -= bytes;
      this.wake?.();
    });
  }

  /** Resolves once the client has taken enough, or has gone. */
  private async room(): Promise<void> {
    while (this.aheadBytes >= AHEAD_BYTES_MAX && !this.isOver()) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }
}

/** Partitions go on behind what was read; those that failed have ended. */
function advance(
  partitions: readonly FetchPartition[],
  result: FetchResult,
): readonly FetchPartition[] {
  const answers = new Map(result.partitions.map((p) => [`${p.topic}/${p.partition}`, p]));
  return partitions.flatMap((partition) => {
    const answer = answers.get(`${partition.topic}/${partition.partition}`);
    if (answer === undefined) return [partition];
    if (answer.error !== undefined) return [];
    const { nextOffset, leaderEpoch } = answer;
    const isChecked = partition.leaderEpoch > 0 && leaderEpoch > 0;
    return [{ ...partition, offset: nextOffset, ...(isChecked ? { leaderEpoch } : undefined) }];
  });
}
