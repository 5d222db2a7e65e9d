import * as api from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { expect } from 'chai';

import { MillraceClient, Tracing, type ConsumedRecord } from '../../../src/client/index.js';
import { FakeCluster } from './fake-cluster.js';
import { VirtualWorld } from './virtual-world.js';

describe('tracing with @opentelemetry/api and its SDK', () => {
  const exporter = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });

  before(() => {
    api.context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    api.propagation.setGlobalPropagator(new W3CTraceContextPropagator());
    api.trace.setGlobalTracerProvider(provider);
  });
  after(async () => {
    await provider.shutdown();
    api.trace.disable();
    api.propagation.disable();
    api.context.disable();
  });

  it("takes the application's trace through a topic", async () => {
    const world = new VirtualWorld();
    const transport = new FakeCluster(world);
    const client = new MillraceClient({ bootstrap: 'b:1,b:2,b:3', world, transport });
    const tracing = new Tracing(api);
    const tracer = api.trace.getTracer('application');

    await tracer.startActiveSpan('order', async (order) => {
      await world.until(tracing.send(client.producer(), { topic: 'events', value: 'v' }));
      order.end();
    });
    const read: ConsumedRecord[] = [];
    const loop = async (): Promise<void> => {
      for await (const record of client.consumer({ topic: 'events', stopAtEnd: true })) {
        await tracing.process(record, () => tracer.startSpan('ship').end());
        read.push(record);
      }
    };
    await world.until(loop());

    expect(read).to.have.length(1);
    const spans = exporter.getFinishedSpans();
    const byName = (name: string): (typeof spans)[number] => {
      const found = spans.find((span) => span.name === name);
      if (found === undefined) throw new Error(`no span ${name}`);
      return found;
    };
    const [order, send, process, ship] = ['order', 'send events', 'process events', 'ship'].map(
      byName,
    );
    expect(send?.kind).to.equal(api.SpanKind.PRODUCER);
    expect(process?.kind).to.equal(api.SpanKind.CONSUMER);
    expect(send?.parentSpanContext?.spanId).to.equal(order?.spanContext().spanId);
    expect(process?.parentSpanContext?.spanId).to.equal(send?.spanContext().spanId);
    expect(ship?.parentSpanContext?.spanId, 'what processing does').to.equal(
      process?.spanContext().spanId,
    );
    const traces = new Set(spans.map((span) => span.spanContext().traceId));
    expect(traces.size, 'one trace').to.equal(1);
  });
});
