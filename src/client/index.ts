/**
 * The client: producers, consumers, groups and administration. `millrace` is the same.
 * @module client
 */

import { crc32c as portableCrc32c, type Crc32c } from '../base/crc32c.js';
import { BrokerError } from '../model/errors.js';
import type { World } from '../ports/world.js';
import type { Abortable } from './abort.js';
import { Admin } from './admin.js';
import { ClusterView } from './cluster-view.js';
import { Codecs } from './compression/codecs.js';
import type { ClientTransport } from './connection.js';
import { Consumer, type ConsumerOptions } from './consumer.js';
import { GroupConsumer, type GroupConsumerOptions } from './group-consumer.js';
import type { ClientHooks } from './hooks.js';
import { GrpcTransport } from './grpc-transport.js';
import type { ProducerOptions } from './producer-options.js';
import { Producer } from './producer.js';
import type { NeededDeserializers, NeededSerializers } from './record-coding.js';
import type { RecordData } from './records.js';
import type { RetryBudgetOptions } from './retry-budget.js';
import { systemWorld } from './system-world.js';
import type { BrokerAddress } from './types.js';

export {
  BrokerError,
  ERRORS,
  type ErrorCode,
  type ErrorFacts,
  type LeaderHint,
} from '../model/errors.js';
export type { Crc32c } from '../base/crc32c.js';
export type { Compression } from '../model/record-batch.js';
export type { RecordHeader, StoredRecord } from '../model/record.js';
export type { BatchReport, RecordMetadata } from './accumulator.js';
export type { Abortable } from './abort.js';
export { Admin } from './admin.js';
export type { BatchView } from './batch-view.js';
export type { AppendedRecords, ConditionalAppend, KeyedAppend } from './conditional-append.js';
export { Consumer, type ConsumerOptions, type StartAt } from './consumer.js';
export {
  GroupConsumer,
  type GroupConsumerOptions,
  type RecordHandler,
  type RunOptions,
} from './group-consumer.js';
export type * from './group-types.js';
export type { ClientHooks, FetchEvent, LeaderChangeEvent, RetryEvent } from './hooks.js';
export type { ProducerOptions, SendSummary } from './producer-options.js';
export type { ReplayOptions } from './replay-clock.js';
export { Producer } from './producer.js';
export type { UndecodablePolicy } from './record-coding.js';
export type { WorkContext } from './keyed-work.js';
export type * from './records.js';
export type { OutOfRangePolicy, ReadFrom } from './read-options.js';
export type { RetryBudgetOptions } from './retry-budget.js';
export {
  bytesSerde,
  jsonSerde,
  stringSerde,
  type Deserializer,
  type Serde,
  type Serializer,
} from './serdes.js';
export { Tracing, type TracingApi, type TracingSpan } from './tracing.js';
export type * from './types.js';

/** How to reach a cluster, and how patient to be. */
export interface ClientOptions {
  /** Brokers to ask first: 'host:port', comma-separated or as a list. */
  readonly bootstrap: string | readonly string[];
  /** Of administrative calls. Default: 30,000. */
  readonly timeoutMs?: number | undefined;
  /** How often this client may try again, all in all. */
  readonly retryBudget?: RetryBudgetOptions | undefined;
  /**
   * How often producers, and consumers of whole topics, ask for added partitions and changed settings.
   * Default: 30,000. Members of groups are told at once.
   */
  readonly metadataRefreshMs?: number | undefined;
  /** Told of retries, leaders, batches and fetches. */
  readonly hooks?: ClientHooks | undefined;
  /** A faster CRC-32C than the portable one, such as @node-rs/crc32's. */
  readonly crc32c?: Crc32c | undefined;
  /**
   * For tests and simulations.
   * @internal
   */
  readonly world?: World | undefined;
  /** @internal */
  readonly transport?: ClientTransport | undefined;
}

interface Closable {
  close(options: Abortable): Promise<void>;
}

/**
 * A connection to a Millrace cluster, from which producers and consumers are made. It connects when
 * it is first used. Closing it closes everything made from it.
 */
export class MillraceClient {
  /** Topics, offsets, groups and brokers. */
  readonly admin: Admin;
  private readonly deps: {
    readonly transport: ClientTransport;
    readonly world: World;
    readonly view: ClusterView;
    readonly codecs: Codecs;
    readonly crc32c: Crc32c;
  };
  private readonly open = new Set<Closable>();

  constructor(options: ClientOptions) {
    const world = options.world ?? systemWorld();
    const transport = options.transport ?? new GrpcTransport();
    const view = new ClusterView(transport, world, parseBootstrap(options.bootstrap), options);
    const crc32c = options.crc32c ?? portableCrc32c;
    this.deps = { transport, world, view, codecs: new Codecs(), crc32c };
    this.admin = new Admin(view, world, { timeoutMs: options.timeoutMs });
  }

  /** A producer of records with keys and values of these types, by the serdes in its options. */
  producer<K = RecordData, V = RecordData>(
    options: ProducerOptions<K, V> & NeededSerializers<K, V>,
  ): Producer<K, V>;
  /** A producer of bytes and strings. */
  producer(): Producer;
  producer<K, V>(options: ProducerOptions<K, V> = {}): Producer<K, V> {
    return this.keep(() => new Producer(options, this.deps));
  }

  /** Reads the partitions it is told to; its serdes say what keys and values are. */
  consumer<K = Uint8Array, V = Uint8Array>(
    options: ConsumerOptions<K, V> & NeededDeserializers<K, V>,
  ): Consumer<K, V>;
  /** Reads nothing until partitions are assigned. */
  consumer(): Consumer;
  consumer<K, V>(options: ConsumerOptions<K, V> = {}): Consumer<K, V> {
    return this.keep((closed) => new Consumer(options, { ...this.deps, closed }));
  }

  /** Joins a group, whose members share the partitions of what they subscribe to. */
  groupConsumer<K = Uint8Array, V = Uint8Array>(
    options: GroupConsumerOptions<K, V> & NeededDeserializers<K, V>,
  ): GroupConsumer<K, V> {
    return this.keep((closed) => new GroupConsumer(options, { ...this.deps, closed }));
  }

  /**
   * Producers first deliver what they have, members of groups commit and leave. Idempotent. Rejects,
   * once all is closed, if a member's last commit failed. Aborted, it rejects and closes at once.
   */
  async close(options: Abortable = {}): Promise<void> {
    const open = [...this.open];
    this.open.clear();
    const ended = await Promise.allSettled(open.map(async (each) => await each.close(options)));
    this.deps.view.close();
    this.deps.transport.close();
    for (const end of ended) if (end.status === 'rejected') throw end.reason;
  }

  /** Remembers what was made until it is closed, which it may be from the start. */
  private keep<T extends Closable>(make: (closed: () => void) => T): T {
    const state: { made?: T; isClosed: boolean } = { isClosed: false };
    const made = make(() => {
      state.isClosed = true;
      if (state.made !== undefined) this.open.delete(state.made);
    });
    state.made = made;
    if (!state.isClosed) this.open.add(made);
    return made;
  }
}

/** Throws INVALID_ARGUMENT on anything but host:port, [v6]:port and lists of them. */
export function parseBootstrap(bootstrap: string | readonly string[]): BrokerAddress[] {
  const parts = typeof bootstrap === 'string' ? bootstrap.split(',') : bootstrap;
  return parts
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map((part) => {
      const match = /^(?:\[([0-9a-fA-F:.%]+)\]|([^:[\]\s/]+)):(\d{1,5})$/.exec(part);
      const port = Number(match?.[3]);
      const host = match?.[1] ?? match?.[2];
      if (host === undefined || port < 1 || port > 65_535) {
        throw new BrokerError(
          'INVALID_ARGUMENT',
          `bad broker address ${JSON.stringify(part)}: want host:port`,
        );
      }
      return { host, port };
    });
}
