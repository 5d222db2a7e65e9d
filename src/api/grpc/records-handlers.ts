import type { ProduceResult } from '../../broker/types.js';
import { integerIn } from '../../rpc/convert.js';
import type { GatheringRecordsHandlers } from '../../rpc/fetch-response.js';
import type { ApiContext } from './context.js';
import {
  fetchRequestFrom,
  fetchResponseFrom,
  produceRequestFrom,
  produceResponseFrom,
  recordBytesOf,
} from './convert-records.js';
import { FetchStream, type FetchCall } from './fetch-stream.js';
import { ProduceStream, type ProduceCall } from './produce-stream.js';
import { unary } from './unary.js';

/** The Records service. */
export function recordsHandlers(context: ApiContext): GatheringRecordsHandlers {
  const { metrics, clock, crc32c, self } = context;
  return {
    ProduceStream: (call: ProduceCall) => new ProduceStream(context, call).serve(),
    FetchStream: (call: FetchCall) => {
      void new FetchStream(context, call).serve();
    },
    Produce: unary(context, async (wire, { services, deadlineMs }) => {
      const startedMs = clock.monotonicMs();
      const correlationId = integerIn(wire.correlationId, 'correlation_id', 0);
      const given = produceRequestFrom(wire, { crc32c, nowMs: clock.nowMs() });
      // The broker should answer before the client stops waiting.
      const request = { ...given, timeoutMs: Math.min(given.timeoutMs, deadlineMs) };
      metrics.produceRequests.add(1);
      metrics.produceBytes.add(request.batch.length);
      const result = await new Promise<ProduceResult>((resolve) => {
        services.produce.produce(request, resolve);
      });
      metrics.produceMs.observe(clock.monotonicMs() - startedMs);
      if (result.error !== undefined) metrics.produceFailures.add(1);
      return produceResponseFrom(correlationId, result, self);
    }),
    Fetch: unary(context, async (wire, { services, deadlineMs, signal }) => {
      const given = fetchRequestFrom(wire);
      const request = { ...given, maxWaitMs: Math.min(given.maxWaitMs, deadlineMs) };
      const result = await services.fetch.fetch(request, signal);
      metrics.fetchResponses.add(1);
      metrics.fetchBytes.add(recordBytesOf(result));
      return fetchResponseFrom(result);
    }),
  };
}
