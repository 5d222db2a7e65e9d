import { expect } from 'chai';
import {
  MillraceClient,
  Tracing,
  type ConsumedRecord,
  type TracingApi,
} from '../../../src/client/index.js';
import { BrokerError } from '../../../src/model/errors.js';
import { FakeCluster } from './fake-cluster.js';
import { VirtualWorld } from './virtual-world.js';

interface Context {
  readonly trace: string | undefined;
  readonly span: string | undefined;
}

interface FakeSpan {
  readonly name: string;
  readonly kind: number;
  readonly trace: string;
  readonly id: string;
  readonly parent: string | undefined;
  readonly attributes: Record<string, unknown>;
  status?: { code: number; message?: string };
  exception?: Error;
  ended: number;
}

/** OpenTelemetry with a recorder behind it, and the W3C's header. */
class Recorder {
  readonly spans: FakeSpan[] = [];
  private current: Context = { trace: undefined, span: undefined };

  readonly api: TracingApi = {
    context: {
      active: () => this.current,
      with: (context, run) => {
        const before = this.current;
        this.current = context as Context;
        try {
          return run();
        } finally {
          this.current = before;
        }
      },
    },
    propagation: {
      inject: (context, carrier) => {
        const { trace, span } = context as Context;
        carrier['traceparent'] = `00-${trace ?? ''}-${span ?? ''}-01`;
      },
      extract: (context, carrier) => {
        const [, trace, span] = carrier['traceparent']?.split('-') ?? [];
        return trace === undefined ? context : { trace, span };
      },
    },
    trace: {
      getTracer: () => ({
        startSpan: (name, { kind, attributes }, context) => {
          const { trace, span: parent } = context as Context;
          const id = `s${this.spans.length + 1}`;
          const own = { ...attributes };
          const span: FakeSpan = {
            ...{ name, kind, id, parent, attributes: own, ended: 0 },
            trace: trace ?? `t${this.spans.length + 1}`,
          };
          this.spans.push(span);
          const spanApi = {
            id,
            trace: span.trace,
            setAttribute: (key: string, value: string | number) => (own[key] = value),
            setStatus: (status: { code: number; message?: string }) => (span.status = status),
            recordException: (exception: Error) => (span.exception = exception),
            end: () => (span.ended += 1),
          };
          return spanApi;
        },
      }),
      setSpan: (_, span) => {
        const { id, trace } = span as unknown as FakeSpan;
        return { trace, span: id };
      },
    },
  };

  get active(): Context {
    return this.current;
  }
}

describe('tracing', () => {
  function setup(): {
    world: VirtualWorld;
    client: MillraceClient;
    recorder: Recorder;
    tracing: Tracing;
  } {
    const world = new VirtualWorld();
    const transport = new FakeCluster(world);
    const client = new MillraceClient({ bootstrap: 'b:1,b:2,b:3', world, transport });
    const recorder = new Recorder();
    return { world, client, recorder, tracing: new Tracing(recorder.api) };
  }

  async function readAll({ client, world }: ReturnType<typeof setup>): Promise<ConsumedRecord[]> {
    const consumer = client.consumer({ topic: 'events', stopAtEnd: true });
    const all: ConsumedRecord[] = [];
    const loop = async (): Promise<void> => {
      for await (const record of consumer) all.push(record);
    };
    await world.until(loop());
    return all;
  }

  it('takes a trace from who sends to who processes, through the headers', async () => {
    const s = setup();
    const producer = s.client.producer();
    const sent = s.tracing.send(producer, { topic: 'events', value: 'v', headers: { own: 'h' } });
    await s.world.until(sent);
    const [record] = await readAll(s);
    if (record === undefined) throw new Error('nothing was read');
    expect(record.headers.map((h) => h.key)).to.deep.equal(['own', 'traceparent']);
    const result = await s.tracing.process(record, () => s.recorder.active);
    const [send, process] = s.recorder.spans;
    expect(send).to.deep.include({ name: 'send events', kind: 3, ended: 1, parent: undefined });
    expect(send?.attributes).to.deep.equal({
      'messaging.system': 'millrace',
      'messaging.operation.name': 'send',
      'messaging.operation.type': 'send',
      'messaging.destination.name': 'events',
      'messaging.destination.partition.id': '0',
      'messaging.millrace.offset': 0,
    });
    expect(process).to.deep.include({ name: 'process events', kind: 4, ended: 1 });
    expect(process?.trace).to.equal(send?.trace);
    expect(process?.parent).to.equal(send?.id);
    expect(result, 'it runs inside of its span').to.deep.equal({
      trace: process?.trace,
      span: process?.id,
    });
  });

  it('gives many records one span', async () => {
    const s = setup();
    const records = ['a', 'b', 'c'].map((value) => ({ value }));
    await s.world.until(s.tracing.sendMany(s.client.producer(), 'events', records));
    expect(s.recorder.spans).to.have.length(1);
    expect(s.recorder.spans[0]?.attributes).to.include({ 'messaging.batch.message_count': 3 });
    const headers = (await readAll(s)).map((r) =>
      Buffer.from(r.headers[0]?.value ?? []).toString(),
    );
    expect(headers).to.deep.equal(Array(3).fill('00-t1-s1-01'));
  });

  it('processes what carries no trace in one of its own', async () => {
    const s = setup();
    await s.world.until(s.client.producer().send({ topic: 'events', value: 'v' }));
    const [record] = await readAll(s);
    if (record === undefined) throw new Error('nothing was read');
    expect(await s.tracing.process(record, async () => Promise.resolve(7))).to.equal(7);
    expect(s.recorder.spans[0]).to.include({ parent: undefined, trace: 't1' });
  });

  it('tells of failures, and passes them on', async () => {
    const s = setup();
    const producer = s.client.producer();
    const sent = s.tracing.send(producer, { topic: 'nowhere', value: 'v' });
    const error = await s.world.until(
      sent.then(
        () => undefined,
        (t: unknown) => BrokerError.from(t),
      ),
    );
    expect(error?.code).to.equal('UNKNOWN_TOPIC');
    const [span] = s.recorder.spans;
    expect(span?.exception).to.equal(error);
    expect(span?.status).to.deep.equal({ code: 2, message: error?.message });
    expect(span?.attributes['error.type']).to.equal('UNKNOWN_TOPIC');
    expect(span?.ended).to.equal(1);
  });
});
