import { crc32c } from '../../src/base/crc32c.js';
import type { Prng } from '../../src/base/prng.js';
import { ClusterView } from '../../src/client/cluster-view.js';
import { Codecs } from '../../src/client/compression/codecs.js';
import { Producer } from '../../src/client/producer.js';
import { BrokerError } from '../../src/model/errors.js';
import { BATCH_HEADER_BYTES, readBatchHeader } from '../../src/model/record-batch.js';
import type { FetchedPartition } from '../../src/broker/types.js';
import type { HistoryWriter } from '../checker/index.js';
import type { Row } from '../checker/line.js';
import { clientAddress } from './broker-app.js';
import type { ClientNet } from './client-net.js';
import { SimClientTransport } from './client-transport.js';
import { ms, SimProcess, type Micros, type Scheduler, type SimEvent } from './world.js';
import { recordsOf } from '../support/records-of.js';

export interface LoadContext {
  readonly net: ClientNet;
  readonly scheduler: Scheduler;
  readonly history: HistoryWriter;
  readonly brokers: number;
  /** As in the swarm's options. */
  readonly pace: number;
  /** "topic/partition". */
  readonly keys: readonly string[];
}

export interface TopicPartitionKey {
  readonly topic: string;
  readonly partition: number;
}

export function keyParts(key: string): TopicPartitionKey {
  const slash = key.lastIndexOf('/');
  return { topic: key.slice(0, slash), partition: Number(key.slice(slash + 1)) };
}

const crcOf = (bytes: Uint8Array): string => crc32c(bytes).toString(16);

/** A record of the load as the history shows it. */
export function rowOf(offset: number, value: Uint8Array | undefined): [number, string, string] {
  const bytes = value ?? new Uint8Array();
  return [offset, new TextDecoder().decode(bytes).replace(/\.+$/, ''), crcOf(bytes)];
}

export interface ClientParts {
  readonly transport: SimClientTransport;
  readonly world: SimProcess;
  readonly view: ClusterView;
  readonly codecs: Codecs;
  readonly crc32c: typeof crc32c;
}

/** A client process of its own: what the production client's producers and consumers are made from. */
export function simClient(context: LoadContext, prng: Prng, clockRate = 1): ClientParts {
  const timing = { rate: clockRate, wallBaseMs: 1_700_000_000_000 };
  const world = new SimProcess(0, 1, context.scheduler, timing, prng.fork());
  const transport = new SimClientTransport(context.net, world);
  const bootstrap = Array.from({ length: context.brokers }, (_, at) => clientAddress(at + 1));
  const view = new ClusterView(transport, world, bootstrap);
  return { transport, world, view, codecs: new Codecs(), crc32c };
}

/** The production client's producer, in a process of its own. */
export function simProducer(context: LoadContext, prng: Prng): Producer {
  const client = simClient(context, prng);
  const options = { lingerMs: prng.pick([0, 2, 10]), deliveryTimeoutMs: 20_000 };
  return new Producer({ ...options, requestTimeoutMs: 2_000 }, client);
}

/** Mean time between two sends of one who hurries. */
const HURRIED_PERIOD = ms(100);

/** A program that produces through the production client library, and notes what it was told. */
export class SimProducer {
  acked = 0;
  sent = 0;
  /** By key: when the last send that was acknowledged had been invoked. */
  readonly ackedFrom = new Map<string, Micros>();
  private readonly context: LoadContext;
  private readonly prng: Prng;
  private readonly producer: Producer;
  private readonly name: string;
  private readonly inFlightMax: number;
  private period: Micros;
  private turn: SimEvent | undefined;
  /** History processes that have nothing in flight. */
  private idle: number[] = [];
  private inFlight = 0;
  private isOn = true;

  constructor(
    context: LoadContext,
    prng: Prng,
    options: { readonly name: string; readonly period: Micros; readonly inFlightMax: number },
  ) {
    this.context = context;
    this.prng = prng;
    this.name = options.name;
    this.producer = simProducer(context, prng);
    this.period = options.period;
    this.inFlightMax = options.inFlightMax;
    this.work();
  }

  /** No more sends; what is in flight still ends. */
  stop(): void {
    this.isOn = false;
  }

  get pending(): number {
    return this.inFlight;
  }

  /** From now on it sends often: every partition is to show soon that it serves. */
  hurry(): void {
    this.period = Math.min(this.period, HURRIED_PERIOD);
    if (this.turn !== undefined) this.turn.isCancelled = true;
    this.work();
  }

  private work(): void {
    this.turn = this.context.scheduler.schedule(
      1 + this.prng.int(2 * this.period),
      undefined,
      () => {
        if (!this.isOn) return;
        if (this.inFlight < this.inFlightMax) this.send(this.prng.pick(this.context.keys));
        this.work();
      },
    );
  }

  private send(key: string): void {
    const { history, scheduler } = this.context;
    const p = this.idle.pop() ?? history.newProcess();
    const value = `${this.name}-${this.sent}`;
    this.sent += 1;
    const bytes = new TextEncoder().encode(value.padEnd(10 + this.prng.int(60), '.'));
    history.invoke(p, { f: 'send', k: key, v: value, crc: crcOf(bytes) });
    this.inFlight += 1;
    const invokedAt = scheduler.now;
    const { topic, partition } = keyParts(key);
    this.producer.send({ topic, partition, value: bytes }).then(
      ({ offset, leaderEpoch, brokerId }) => {
        this.acked += 1;
        this.ackedFrom.set(key, Math.max(invokedAt, this.ackedFrom.get(key) ?? 0));
        scheduler.say(() => `${value} is acked at ${key} ${offset}`);
        history.complete(p, 'ok', { off: offset, epoch: leaderEpoch, node: brokerId });
        this.free(p);
      },
      (thrown: unknown) => {
        const error = BrokerError.from(thrown);
        if (error.code === 'INTERNAL') scheduler.fail(error.cause ?? error);
        const type = error.outcome === 'none' ? 'fail' : 'info';
        scheduler.say(() => `${value} ends as ${type}: ${error.code} ${error.message}`);
        history.complete(p, type, { err: error.code });
        this.free(type === 'fail' ? p : undefined);
      },
    );
  }

  private free(p: number | undefined): void {
    this.inFlight -= 1;
    if (p !== undefined) this.idle.push(p);
  }
}

/** A program that reads one partition from its beginning, over and over to its end. */
export class SimReader {
  /** Next offset to read. */
  position = 0;
  private readonly context: LoadContext;
  private readonly prng: Prng;
  private readonly key: string;
  private readonly p: number;
  private broker: number;
  private isOn = true;

  constructor(context: LoadContext, prng: Prng, key: string, options: { readonly period: Micros }) {
    this.context = context;
    this.prng = prng;
    this.key = key;
    this.p = context.history.newProcess();
    this.broker = 1 + prng.int(context.brokers);
    const { history } = context;
    history.invoke(this.p, { f: 'assign', v: [key], seek: 'begin' });
    history.complete(this.p, 'ok');
    this.next(options.period);
  }

  stop(): void {
    this.isOn = false;
  }

  private next(period: Micros): void {
    this.context.scheduler.schedule(1 + this.prng.int(2 * period), undefined, () => {
      if (!this.isOn) return;
      void this.poll().then(() => this.next(period));
    });
  }

  private async poll(): Promise<void> {
    const { context, key, p, prng } = this;
    const lin = prng.chance(0.3);
    context.history.invoke(p, lin ? { f: 'poll', lin } : { f: 'poll' });
    const partition = {
      ...keyParts(key),
      topicId: undefined,
      offset: this.position,
      maxBytes: prng.pick([1, 500, 10_000]),
      leaderEpoch: 0,
    };
    const request = {
      partitions: [partition],
      minBytes: 1,
      maxBytes: 10_000,
      maxWaitMs: prng.pick([0, 100, 400]),
      linearizable: lin,
      allowForward: prng.chance(0.3),
    };
    try {
      const { net } = context;
      const result = await net.call(this.broker, 3_000, async (services) => {
        const answer = await services.fetch.fetch(request);
        net.watcher?.fetched(request, answer.partitions);
        return answer;
      });
      const [fetched] = result.partitions;
      if (fetched === undefined) throw new BrokerError('INTERNAL', 'a fetch without an answer');
      if (fetched.error !== undefined) throw fetched.error;
      this.take(fetched);
    } catch (thrown) {
      this.failed(BrokerError.from(thrown));
    }
  }

  private take(fetched: FetchedPartition): void {
    const { key, context } = this;
    const rows: Row[] = [];
    for (const batch of fetched.batches) {
      const header = readBatchHeader(batch);
      for (const record of recordsOf(header, batch.subarray(BATCH_HEADER_BYTES))) {
        if (record.offset < this.position) continue;
        rows.push([...rowOf(record.offset, record.value), header.leaderEpoch]);
        this.position = record.offset + 1;
      }
    }
    context.scheduler.hash.add(rows.length, this.position);
    context.history.complete(this.p, 'ok', {
      recs: rows.length === 0 ? {} : { [key]: rows },
      hw: { [key]: fetched.highWatermark },
      epoch: { [key]: fetched.leaderEpoch },
    });
  }

  private failed(error: BrokerError): void {
    const { context, prng } = this;
    if (error.code === 'INTERNAL') context.scheduler.fail(error.cause ?? error);
    context.scheduler.say(() => `reader of ${this.key}: ${error.code} ${error.message}`);
    context.history.complete(this.p, 'fail', { err: error.code });
    this.broker = error.facts.leader?.brokerId ?? 1 + prng.int(context.brokers);
  }
}

/** Retries until it works: for what a scenario needs before it can begin. */
export async function insist(
  scheduler: Scheduler,
  attempt: () => Promise<unknown>,
  isEnough: (error: BrokerError) => boolean,
): Promise<void> {
  for (;;) {
    try {
      await attempt();
      return;
    } catch (thrown) {
      if (isEnough(BrokerError.from(thrown))) return;
    }
    await new Promise<void>((resolve) => scheduler.schedule(ms(200), undefined, resolve));
  }
}
