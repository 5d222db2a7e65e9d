import { BrokerError } from '../model/errors.js';
import type { Abortable } from './abort.js';
import type { RecordMetadata } from './accumulator.js';
import type { SendSummary } from './producer-options.js';
import type { Producer } from './producer.js';
import type { ConsumedRecord, ProducerRecord, TopicRecord } from './records.js';

/** A span of OpenTelemetry, as far as it is used here. */
export interface TracingSpan {
  setAttribute(key: string, value: string | number): unknown;
  setStatus(status: { code: number; message?: string }): unknown;
  recordException(exception: Error): unknown;
  end(): unknown;
}

/** What is used of `@opentelemetry/api`: hand in the module itself. The client never loads it. */
export interface TracingApi {
  readonly context: {
    active(): unknown;
    with<Result>(context: unknown, run: () => Result): Result;
  };
  readonly propagation: {
    inject(context: unknown, carrier: Record<string, string>): void;
    extract(context: unknown, carrier: Record<string, string>): unknown;
  };
  readonly trace: {
    getTracer(name: string): {
      startSpan(name: string, options: SpanOptions, context: unknown): TracingSpan;
    };
    setSpan(context: unknown, span: TracingSpan): unknown;
  };
}

interface SpanOptions {
  readonly kind: number;
  readonly attributes: Readonly<Record<string, string | number>>;
}

// Numbers of OpenTelemetry's API, which are part of its contract.
const PRODUCER_SPAN = 3;
const CONSUMER_SPAN = 4;
const STATUS_ERROR = 2;
const PARTITION_ID = 'messaging.destination.partition.id';

/**
 * Spans around sending and processing, and the trace's context in the records' headers (`traceparent`,
 * or whatever the application's propagator writes), named as OpenTelemetry's conventions for messaging
 * say. It stands beside the client: whoever does not use it pays nothing.
 */
export class Tracing {
  private readonly api: TracingApi;

  constructor(api: TracingApi) {
    this.api = api;
  }

  /** The producer's `send` in a span, whose context travels with the record. */
  async send<K, V>(
    producer: Producer<K, V>,
    record: ProducerRecord<K, V>,
    options?: Abortable,
  ): Promise<RecordMetadata> {
    const { topic } = record;
    return await this.inSpan(
      'send',
      { topic },
      this.api.context.active(),
      async (span, context) => {
        const headers = { ...record.headers, ...this.carried(context) };
        const metadata = await producer.send({ ...record, headers }, options);
        span.setAttribute(PARTITION_ID, String(metadata.partition));
        span.setAttribute('messaging.millrace.offset', metadata.offset);
        return metadata;
      },
    );
  }

  /** The producer's `sendMany` in one span, whose context travels with each of the records. */
  async sendMany<K, V>(
    producer: Producer<K, V>,
    topic: string,
    records: Iterable<TopicRecord<K, V>>,
    options?: Abortable,
  ): Promise<SendSummary> {
    return await this.inSpan(
      'send',
      { topic },
      this.api.context.active(),
      async (span, context) => {
        const carried = this.carried(context);
        const summary = await producer.sendMany(topic, withHeaders(records, carried), options);
        span.setAttribute('messaging.batch.message_count', summary.records);
        return summary;
      },
    );
  }

  /** Processes a record in a span that belongs to the trace of whoever sent it. */
  async process<K, V, Result>(
    record: ConsumedRecord<K, V>,
    run: () => Result | Promise<Result>,
  ): Promise<Result> {
    const { topic, partition } = record;
    const carrier: Record<string, string> = {};
    for (const { key, value } of record.headers) {
      if (value !== undefined) carrier[key] = utf8.decode(value);
    }
    const parent = this.api.propagation.extract(this.api.context.active(), carrier);
    return await this.inSpan('process', { topic, partition }, parent, async (span) => {
      span.setAttribute('messaging.millrace.offset', record.offset);
      return await run();
    });
  }

  private async inSpan<Result>(
    operation: 'send' | 'process',
    at: { readonly topic: string; readonly partition?: number },
    parent: unknown,
    run: (span: TracingSpan, context: unknown) => Promise<Result>,
  ): Promise<Result> {
    const { context, trace } = this.api;
    const partition = at.partition === undefined ? {} : { [PARTITION_ID]: String(at.partition) };
    const attributes = {
      'messaging.system': 'millrace',
      'messaging.operation.name': operation,
      'messaging.operation.type': operation,
      'messaging.destination.name': at.topic,
      ...partition,
    };
    const kind = operation === 'send' ? PRODUCER_SPAN : CONSUMER_SPAN;
    const tracer = trace.getTracer('millrace');
    const span = tracer.startSpan(`${operation} ${at.topic}`, { kind, attributes }, parent);
    const inside = trace.setSpan(parent, span);
    try {
      return await context.with(inside, async () => await run(span, inside));
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown : new Error(String(thrown));
      span.recordException(error);
      span.setStatus({ code: STATUS_ERROR, message: error.message });
      span.setAttribute('error.type', error instanceof BrokerError ? error.code : error.name);
      throw thrown;
    } finally {
      span.end();
    }
  }

  private carried(context: unknown): Readonly<Record<string, string>> {
    const carrier: Record<string, string> = {};
    this.api.propagation.inject(context, carrier);
    return carrier;
  }
}

/** Headers need not be text: what is not, is not a propagator's. */
const utf8 = new TextDecoder();

function* withHeaders<K, V>(
  records: Iterable<TopicRecord<K, V>>,
  carried: Readonly<Record<string, string>>,
): Generator<TopicRecord<K, V>> {
  for (const record of records) yield { ...record, headers: { ...record.headers, ...carried } };
}
