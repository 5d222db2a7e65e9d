import type { Prng } from '../../src/base/prng.js';
import { HistoryWriter } from '../checker/index.js';
import type { BrokerOracles } from './broker-oracles.js';
import type { ClientNet } from './client-net.js';
import { SimConsumer, TrimmedReader } from './consumer-load.js';
import { CounterClient, CounterHistory } from './counter-load.js';
import type { FaultList } from './fault-list.js';
import { GroupLoad } from './group-load.js';
import { KeyedClient, type KeyedWorld } from './keyed-load.js';
import { SimProducer, SimReader, type LoadContext } from './load.js';
import { PartitionAdder } from './partition-adder.js';
import { OffsetClient, TopicClient, Trimmer } from './side-load.js';
import type { SwarmOptions } from './swarm.js';
import { TableReader, TableWriter } from './table-load.js';
import { ms, type Micros, type Scheduler } from './world.js';

/** Between two reads of who reads everything at the end: one batch each is enough, however long the log is. */
const FINAL_READ: Micros = ms(15);
const TOPIC = 'events';
/** A topic that is trimmed, or keeps only so much: it has producers and a reader, but no history. */
const SHORT_TOPIC = 'short';
/** A topic to which everyone compares and appends. */
const COUNTER_TOPIC = 'counter';
/** A topic that puts its syncs off: it may lose what it acknowledged, so that it has no history. */
const UNSAFE_TOPIC = 'unsafe';
const UNSAFE = new Map([
  ['durability', 'unsafe-quorum-memory'],
  ['unsafe.flush.ms', '500'],
]);
/** A topic to which everyone compares and appends by key. */
const KEYED_TOPIC = 'keyed';
/** A topic that keeps the last record of each key. */
const TABLE_TOPIC = 'table';
/** Records that a limit leaves standing, as they were written together with some that count. */
const LIMIT_SLACK = 100;

interface WantedTopic {
  readonly topic: string;
  readonly partitions: number;
  readonly config: ReadonlyMap<string, string>;
}

export interface BrokerLoadWorld {
  readonly net: ClientNet;
  readonly scheduler: Scheduler;
  readonly history: HistoryWriter;
  readonly oracles: BrokerOracles;
  readonly options: SwarmOptions;
  readonly faults: FaultList;
}

/** Every program that uses the cluster of a run at the broker level. */
export class BrokerLoad {
  /** "topic/partition" of what has a history. */
  readonly keys: string[];
  readonly topics: readonly WantedTopic[];
  members: GroupLoad | undefined;
  private readonly world: BrokerLoadWorld;
  private readonly prng: Prng;
  private readonly counter = new CounterHistory();
  private readonly unheard: HistoryWriter;
  private readonly keepsRecords: number | undefined;
  private readonly isCompacting: boolean;
  private producers: SimProducer[] = [];
  private counters: (CounterClient | KeyedClient)[] = [];
  private keyed: KeyedWorld | undefined;
  private adder: PartitionAdder | undefined;
  private readers: { stop(): void }[] = [];
  private side: { stop(): void }[] = [];
  private offsets: OffsetClient[] = [];
  private trimmed: TrimmedReader | undefined;
  private table: { readonly writer: TableWriter; readonly reader: TableReader } | undefined;
  /** When replicas' records were looked at last. */
  private comparedAt = 0;
  private areTablesEqual = false;
  private final: SimReader[] = [];

  constructor(prng: Prng, world: BrokerLoadWorld) {
    this.world = world;
    this.prng = prng;
    this.unheard = new HistoryWriter(
      () => undefined,
      () => world.scheduler.now,
    );
    this.isCompacting = prng.chance(0.4);
    const count = prng.pick([1, 1, 2, 3]);
    this.keys = Array.from({ length: count }, (_, at) => `${TOPIC}/${at}`);
    this.keepsRecords = prng.pick([undefined, 5, 60]);
    const limit: [string, string] =
      this.keepsRecords === undefined
        ? ['retention.bytes', String(prng.pick([-1, 400, 4_000]))]
        : ['retention.records', String(this.keepsRecords)];
    this.topics = [
      { topic: TOPIC, partitions: count, config: new Map() },
      { topic: SHORT_TOPIC, partitions: 1, config: new Map([limit]) },
      { topic: COUNTER_TOPIC, partitions: 1, config: new Map() },
      ...(this.isCompacting
        ? [{ topic: TABLE_TOPIC, partitions: 1, config: this.compaction() }]
        : []),
      ...(world.options.lazySync ? [{ topic: UNSAFE_TOPIC, partitions: 1, config: UNSAFE }] : []),
      ...(world.options.comparesByKey
        ? [{ topic: KEYED_TOPIC, partitions: 1, config: new Map([['compare.by.key', 'true']]) }]
        : []),
    ];
  }

  start(): void {
    const { prng } = this;
    const { options } = this.world;
    const { pace } = options;
    const period = options.requestPeriod * 3;
    const context = this.context(this.keys);
    this.producers = [1, 2].slice(prng.int(2)).map((n) => {
      const inFlightMax = prng.pick([1, 5, 20]);
      return new SimProducer(context, prng.fork(), { name: `p${n}`, period, inFlightMax });
    });
    this.readers = this.keys.map((key) => this.reader(key));
    this.readers.push(new SimConsumer(context, prng.fork()));
    const short = this.context([`${SHORT_TOPIC}/0`], this.unheard);
    this.producers.push(
      new SimProducer(short, prng.fork(), { name: 's', period: period * 2, inFlightMax: 5 }),
    );
    if (options.lazySync) {
      const unsafe = this.context([`${UNSAFE_TOPIC}/0`], this.unheard);
      this.producers.push(
        new SimProducer(unsafe, prng.fork(), { name: 'u', period, inFlightMax: 5 }),
      );
    }
    this.trimmed = new TrimmedReader(short, prng.fork(), `${SHORT_TOPIC}/0`);
    this.offsets = ['g1', 'g2']
      .slice(prng.int(2))
      .map((g) => new OffsetClient(context, prng.fork(), g, ms(150) * pace));
    this.side = [new TopicClient(context, prng.fork(), ms(400) * pace), ...this.offsets];
    const counted = this.context([`${COUNTER_TOPIC}/0`], this.unheard);
    this.counters = [1, 2, 3]
      .slice(prng.int(2))
      .map(() => new CounterClient(counted, prng.fork(), this.counter, period));
    if (options.truncatePeriod !== undefined) {
      this.side.push(new Trimmer(short, prng.fork(), SHORT_TOPIC, options.truncatePeriod));
    }
    if (this.isCompacting) this.startTable(period);
    if (prng.chance(0.7)) {
      const { clockDrift } = options;
      const groups = { topic: TOPIC, others: 'side-.*', clockDrift };
      this.members = new GroupLoad(context, prng.fork(), groups, this.world.faults);
    }
    if (options.comparesByKey) this.startKeyed(period);
    if (options.addsPartitions) this.startAdding(context);
  }

  get requests(): number {
    return this.producers.reduce((sum, producer) => sum + producer.sent, 0);
  }

  get acked(): number {
    return this.producers.reduce((sum, producer) => sum + producer.acked, 0);
  }

  get faults(): Readonly<Record<string, number>> {
    const { appended = 0, refused = 0, unknown = 0 } = this.keyed?.oracle ?? {};
    const keyed = { keyAppended: appended, keyRefused: refused, keyUnknown: unknown };
    return {
      ...Object.fromEntries(this.members?.counts ?? []),
      ...(this.keyed === undefined ? {} : keyed),
      ...(this.adder === undefined ? {} : { partitionsAdded: this.adder.added }),
    };
  }

  /** Keys of which nothing was acknowledged that was sent since. */
  unserved(since: number): string[] {
    return this.keys.filter((key) =>
      this.producers.every((producer) => (producer.ackedFrom.get(key) ?? -1) < since),
    );
  }

  /** No more faults: nobody hangs, and nobody takes their time any more. */
  settle(): void {
    this.adder?.stop();
    for (const producer of this.producers) producer.hurry();
    this.trimmed?.hurry();
    this.members?.settle();
  }

  stopWriting(): void {
    for (const one of [...this.producers, ...this.counters, ...this.side]) one.stop();
    this.table?.writer.stop();
  }

  get isWriting(): boolean {
    const table = this.table?.writer.pending ?? 0;
    return table > 0 || [...this.producers, ...this.counters].some(({ pending }) => pending > 0);
  }

  stopReading(): void {
    for (const reader of [...this.readers, ...this.final]) reader.stop();
  }

  /** From the beginning to the end, each key by a reader of its own. */
  readAll(): void {
    this.final = this.keys.map((key) => this.reader(key, FINAL_READ));
    this.table?.reader.readOnce();
  }

  /** What is not yet read to its end, given up as its limits say, or settled among members. */
  unfinished(): string[] {
    const { oracles } = this.world;
    const ends = (key: string): number => oracles.highWatermarkOf(key);
    const unread = this.keys.flatMap((key, at) => {
      const position = this.final[at]?.position ?? 0;
      return position < ends(key) ? [`${key} is read up to ${position}/${ends(key)}`] : [];
    });
    const short = `${SHORT_TOPIC}/0`;
    const kept = ends(short) - oracles.logStartOf(short);
    const position = this.trimmed?.position ?? 0;
    // What was given up before it was read cannot be waited for.
    if (position < ends(short) && kept > 0) unread.push(`${short} is read up to ${position}`);
    if (kept > (this.keepsRecords ?? Infinity) + LIMIT_SLACK) unread.push(`${short} keeps ${kept}`);
    unread.push(...(this.members?.unsettled(oracles.groups, ends) ?? []));
    return unread.length > 0 || this.table === undefined ? unread : this.unequal(this.table.reader);
  }

  /** The last value of every key is read, and all replicas keep the same records. */
  private unequal(reader: TableReader): string[] {
    const { oracles, scheduler } = this.world;
    const key = `${TABLE_TOPIC}/0`;
    const end = oracles.highWatermarkOf(key);
    const [is, should] = [reader.table, oracles.tableOf(key).table()];
    const isTable = is.size === should.size && [...should].every(([k, v]) => is.get(k) === v);
    // Behind the last record there may be nothing left but holes.
    if (!isTable)
      return [`${key} reads ${is.size} of ${should.size} keys at ${reader.position}/${end}`];
    if (!this.areTablesEqual && scheduler.now - this.comparedAt >= ms(200)) {
      this.comparedAt = scheduler.now;
      this.areTablesEqual = oracles.storedOf(key).size === 1;
    }
    return this.areTablesEqual ? [] : [`replicas of ${key} keep other records`];
  }

  stopTrimmed(): void {
    this.trimmed?.stop();
    this.table?.reader.stop();
  }

  /** Throws if what clients beside the history were told cannot have happened. */
  check(): void {
    const { scheduler, oracles } = this.world;
    for (const client of this.offsets) client.check();
    const counted = oracles.highWatermarkOf(`${COUNTER_TOPIC}/0`);
    this.counter.end(scheduler.now, scheduler.now + 1, counted);
    this.counter.check();
    this.keyed?.oracle.check();
  }

  /** Members that have not left, and groups that still have some; also of those who died. */
  stillThere(): string[] {
    const { members } = this;
    if (members === undefined) return [];
    const groups = this.world.oracles.groups.model.groups;
    const sizes = members.groups.map((name) => ({
      name,
      size: groups.get(name)?.members.size ?? 0,
    }));
    return [
      ...(members.areAllClosed ? [] : ['a member has not left']),
      ...sizes.flatMap(({ name, size }) => (size === 0 ? [] : [`${name} has ${size} members`])),
    ];
  }

  private compaction(): ReadonlyMap<string, string> {
    const { prng } = this;
    return new Map([
      ['cleanup.policy', 'compact'],
      ['min.cleanable.dirty.ratio', prng.pick(['0', '0.1', '0.5'])],
      ['min.compaction.lag.ms', prng.pick(['0', '0', '500'])],
      ['delete.retention.ms', prng.pick(['0', '300', '3000'])],
    ]);
  }

  private startAdding(context: LoadContext): void {
    const growing = {
      topic: TOPIC,
      groups: this.members?.groups ?? [],
      count: () => this.keys.length,
      added: (key: string) => {
        this.keys.push(key);
        this.readers.push(this.reader(key));
      },
    };
    const period = ms(600) * this.world.options.pace;
    this.adder = new PartitionAdder(context, this.prng.fork(), growing, period);
  }

  private startKeyed(period: Micros): void {
    const { prng } = this;
    const key = `${KEYED_TOPIC}/0`;
    const keyed = { oracle: this.world.oracles.keyedOf(key), nextId: 0 };
    const context = this.context([key], this.unheard);
    this.keyed = keyed;
    const clients = [1, 2, 3].slice(prng.int(2));
    this.counters.push(...clients.map(() => new KeyedClient(context, prng.fork(), keyed, period)));
  }

  private startTable(period: Micros): void {
    const key = `${TABLE_TOPIC}/0`;
    const context = this.context([key], this.unheard);
    const oracle = this.world.oracles.tableOf(key);
    this.table = {
      writer: new TableWriter(context, this.prng.fork(), period),
      reader: new TableReader(context, this.prng.fork(), key, oracle),
    };
  }

  private context(keys: readonly string[], history = this.world.history): LoadContext {
    const { net, scheduler, options } = this.world;
    const { brokers, pace } = options;
    return { net, scheduler, history, brokers, pace, keys };
  }

  private reader(key: string, period = ms(60) * this.world.options.pace): SimReader {
    return new SimReader(this.context(this.keys), this.prng.fork(), key, { period });
  }
}
