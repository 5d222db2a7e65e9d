import type { Prng } from '../../src/base/prng.js';
import { deferred } from '../../src/base/deferred.js';
import type { BrokerServices, ProduceResult } from '../../src/broker/types.js';
import type {
  ClientTransport,
  FetchLink,
  MembershipLink,
  ProduceAnswer,
  ProduceCall,
  ProduceHandlers,
  ProduceLink,
} from '../../src/client/connection.js';
import type { ClusterMethods, Metadata } from '../../src/client/types.js';
import { BrokerError } from '../../src/model/errors.js';
import { topicId } from '../../src/model/ids.js';
import { brokerAt, clientAddress, type BrokerApp } from './broker-app.js';
import type { SimBroker, SimCluster } from './cluster.js';
import { ms, type Micros, type Scheduler, type SimProcess } from './world.js';

/** Hears of every answer to a produce before the client does. */
export type ProduceWatcher = (
  services: BrokerServices,
  call: ProduceCall,
  result: ProduceResult,
) => void;

/**
 * The network between clients and brokers. Connections are streams: what is sent arrives in order,
 * late or, once the connection breaks, not at all. A connection breaks when its broker's process
 * ends, and now and then by itself.
 */
export class ClientNet {
  watcher: ProduceWatcher | undefined;
  private readonly cluster: SimCluster<BrokerApp>;
  private readonly prng: Prng;
  private readonly delayMax: Micros;
  private breakChance: number;

  constructor(
    cluster: SimCluster<BrokerApp>,
    prng: Prng,
    options: { readonly delayMax: Micros; readonly breakChance: number },
  ) {
    this.cluster = cluster;
    this.prng = prng;
    this.delayMax = options.delayMax;
    this.breakChance = options.breakChance;
  }

  get scheduler(): Scheduler {
    return this.cluster.scheduler;
  }

  heal(): void {
    this.breakChance = 0;
  }

  delay(): Micros {
    return 100 + this.prng.int(this.delayMax);
  }

  breaks(): boolean {
    return this.breakChance > 0 && this.prng.chance(this.breakChance);
  }

  broker(id: number): SimBroker<BrokerApp> {
    return this.cluster.broker(id);
  }

  /** Runs once the process has ended. */
  whenGone(process: SimProcess, run: () => void): void {
    this.cluster.whenGone(process, run);
  }

  /**
   * One question to one broker. Rejects with BROKER_UNAVAILABLE if nobody is there, and with
   * DEADLINE_EXCEEDED if no answer came in time: the call may have had its effect.
   */
  call<T>(
    id: number,
    deadlineMs: number,
    serve: (services: BrokerServices) => Promise<T>,
  ): Promise<T> {
    const outcome = deferred<T>();
    const { scheduler } = this;
    scheduler.schedule(ms(deadlineMs), undefined, () =>
      outcome.reject(new BrokerError('DEADLINE_EXCEEDED', `broker ${id} did not answer in time`)),
    );
    scheduler.schedule(this.delay(), undefined, () => {
      const { process, app } = this.broker(id);
      const services = app?.services;
      if (process === undefined || services === undefined) {
        const gone = new BrokerError('BROKER_UNAVAILABLE', `broker ${id} is not there`);
        scheduler.schedule(this.delay(), undefined, () => outcome.reject(gone));
        return;
      }
      const answer = (run: () => void): void => {
        if (process.isAlive) scheduler.schedule(this.delay(), undefined, run);
      };
      scheduler.schedule(0, process, () => {
        serve(services).then(
          (value) => answer(() => outcome.resolve(value)),
          (error: unknown) => answer(() => outcome.reject(BrokerError.from(error))),
        );
      });
    });
    return outcome.promise;
  }
}

/** A lane of a stream: what enters it leaves it in order, after its delay. */
class StreamLane {
  private readonly net: ClientNet;
  private freeAt: Micros = 0;

  constructor(net: ClientNet) {
    this.net = net;
  }

  carry(to: SimProcess | undefined, run: () => void): void {
    const { scheduler } = this.net;
    this.freeAt = Math.max(this.freeAt, scheduler.now + this.net.delay());
    scheduler.schedule(this.freeAt - scheduler.now, undefined, () => {
      if (to === undefined) run();
      else scheduler.schedule(0, to, run);
    });
  }
}

/** A produce stream to one life of one broker. */
class SimProduceLink implements ProduceLink {
  private readonly net: ClientNet;
  private readonly broker: number;
  private readonly handlers: ProduceHandlers;
  private readonly up: StreamLane;
  private readonly down: StreamLane;
  private process: SimProcess | undefined;
  private services: BrokerServices | undefined;
  private isClosed = false;

  constructor(net: ClientNet, broker: number, handlers: ProduceHandlers) {
    this.net = net;
    this.broker = broker;
    this.handlers = handlers;
    this.up = new StreamLane(net);
    this.down = new StreamLane(net);
    this.up.carry(undefined, () => this.connect());
  }

  send(call: ProduceCall): boolean {
    const copy = { ...call, batch: Uint8Array.from(call.batch) };
    this.up.carry(this.process, () => this.serve(copy));
    if (this.net.breaks()) this.down.carry(undefined, () => this.lose());
    return true;
  }

  close(): void {
    this.isClosed = true;
  }

  private connect(): void {
    const { process, app } = this.net.broker(this.broker);
    if (process === undefined || app?.services === undefined) {
      this.down.carry(undefined, () => this.lose());
      return;
    }
    this.process = process;
    this.services = app.services;
    this.net.whenGone(process, () => this.down.carry(undefined, () => this.lose()));
    this.down.carry(undefined, () => {
      if (!this.isClosed) this.handlers.ready();
    });
  }

  private serve(call: ProduceCall): void {
    const { services } = this;
    if (this.isClosed || services === undefined) return;
    const { topic, partition, acks, batch, expectedOffset, timeoutMs } = call;
    const id = call.topicId === '' ? undefined : topicId(call.topicId);
    const sent = Uint8Array.from(batch);
    services.produce.produce(
      {
        ...{ topic, partition, topicId: id, acks, batch },
        ...{ expectedOffset, timeoutMs, allowForward: false },
      },
      (result) => {
        this.net.watcher?.(services, { ...call, batch: sent }, result);
        this.down.carry(undefined, () => {
          if (!this.isClosed) this.handlers.answer(answerOf(call.correlationId, result));
        });
      },
    );
  }

  private lose(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.handlers.closed(new BrokerError('BROKER_UNAVAILABLE', 'the connection broke'));
  }
}

function answerOf(correlationId: number, result: ProduceResult): ProduceAnswer {
  if (result.error !== undefined) {
    return {
      correlationId,
      error: result.error,
      baseOffset: -1,
      appendTimeMs: -1,
      leaderEpoch: 0,
      brokerId: 0,
      isDuplicate: false,
    };
  }
  const { baseOffset, appendTimeMs, leaderEpoch, brokerId, isDuplicate } = result;
  return {
    correlationId,
    error: undefined,
    baseOffset,
    appendTimeMs,
    leaderEpoch,
    brokerId,
    isDuplicate,
  };
}

/** What the production client is given as its network: producing, and what it asks for that. */
export class SimClientTransport implements ClientTransport {
  private readonly net: ClientNet;

  constructor(net: ClientNet) {
    this.net = net;
  }

  openProduce(to: { readonly port: number }, handlers: ProduceHandlers): ProduceLink {
    return new SimProduceLink(this.net, brokerAt(to.port), handlers);
  }

  openFetch(): FetchLink {
    throw new BrokerError('UNSUPPORTED', 'readers of the simulation ask one by one');
  }

  openMembership(): MembershipLink {
    throw new BrokerError('UNSUPPORTED', 'the simulation has no members of groups');
  }

  call<Method extends keyof ClusterMethods>(
    to: { readonly port: number },
    method: Method,
    request: ClusterMethods[Method]['request'],
    options: { readonly deadlineMs: number },
  ): Promise<ClusterMethods[Method]['answer']> {
    const { deadlineMs } = options;
    return this.net.call(brokerAt(to.port), deadlineMs, async ({ admin }) => {
      switch (method) {
        case 'getMetadata': {
          const asked = request as ClusterMethods['getMetadata']['request'];
          return metadataOf(await admin.getMetadata(asked, options)) as never;
        }
        case 'initProducer': {
          const asked = request as ClusterMethods['initProducer']['request'];
          return (await admin.initProducer(asked, options)) as never;
        }
        default:
          throw new BrokerError('UNSUPPORTED', `${method} is not part of this simulation`);
      }
    });
  }

  close(): void {
    // Links end with their producers.
  }
}

type Described = Awaited<ReturnType<BrokerServices['admin']['getMetadata']>>;

function metadataOf(result: Described): Metadata {
  return {
    clusterId: result.clusterId,
    controller: result.controller,
    metadataVersion: result.metadataVersion,
    brokers: result.brokers.map(({ id, rack, isFenced, address }) => ({
      id,
      rack,
      isFenced,
      ...clientAddress(id),
      peerHost: address.peerHost,
      peerPort: address.peerPort,
      httpPort: address.httpPort,
    })),
    topics: result.topics.map((topic) =>
      topic.error === undefined
        ? {
            topic: topic.topic,
            topicId: topic.topicId,
            partitions: topic.partitions.map((p) => ({ ...p, leaderEpoch: p.leaderEpoch ?? 0 })),
            config: Object.fromEntries(topic.config),
            configVersion: topic.configVersion,
            error: undefined,
          }
        : {
            ...{ topic: topic.topic, topicId: '', partitions: [], config: {}, configVersion: 0 },
            error: topic.error,
          },
    ),
  };
}
