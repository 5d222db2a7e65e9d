import { deferred } from '../../src/base/deferred.js';
import type { Prng } from '../../src/base/prng.js';
import type {
  BrokerServices,
  FetchedPartition,
  FetchRequest,
  ProduceResult,
} from '../../src/broker/types.js';
import type { ProduceCall } from '../../src/client/connection.js';
import { BrokerError } from '../../src/model/errors.js';
import type { BrokerApp } from './broker-app.js';
import type { SimBroker, SimCluster } from './cluster.js';
import { ms, type Micros, type Scheduler, type SimProcess } from './world.js';

/** Sees what brokers answer before the clients do. */
export interface AnswerWatcher {
  /** Called as the broker is asked; what it returns, with what the broker answers, in the end. */
  producing(services: BrokerServices, call: ProduceCall): (result: ProduceResult) => void;
  fetched(request: FetchRequest, partitions: readonly FetchedPartition[]): void;
}

/** A client gives its broker this much longer to answer than it tells it. */
const SLACK_MS = 250;
const STRAGGLE_MS_MAX = 6_000;

/**
 * The network between clients and brokers. Connections are streams: what is sent arrives in order,
 * late or, once the connection breaks, not at all. A connection breaks when a process at one of its
 * ends does, when the client is cut off from the broker, and now and then by itself.
 */
export class ClientNet {
  watcher: AnswerWatcher | undefined;
  /** There are no faults any more. */
  hasHealed = false;
  private readonly cluster: SimCluster<BrokerApp>;
  private readonly prng: Prng;
  private readonly delayMax: Micros;
  private breakChance: number;
  /** Of a call that is held up on its way for longer than anyone waits for it. */
  private straggleChance: number;
  /** Questions that have no answer yet, each with who waits for it. */
  private readonly open = new Set<{ readonly client: SimProcess | undefined }>();
  /** Brokers that a client cannot reach, and what waits until it can. */
  private readonly cuts = new Map<SimProcess, { brokers: Set<number>; waiting: (() => void)[] }>();

  constructor(
    cluster: SimCluster<BrokerApp>,
    prng: Prng,
    options: {
      readonly delayMax: Micros;
      readonly breakChance: number;
      readonly straggleChance?: number;
    },
  ) {
    this.cluster = cluster;
    this.prng = prng;
    this.delayMax = options.delayMax;
    this.breakChance = options.breakChance;
    this.straggleChance = options.straggleChance ?? 0;
  }

  get scheduler(): Scheduler {
    return this.cluster.scheduler;
  }

  heal(): void {
    this.hasHealed = true;
    this.breakChance = 0;
    this.straggleChance = 0;
    for (const client of [...this.cuts.keys()]) this.mend(client);
  }

  /** Nobody who is alive waits for an answer. */
  get isQuiet(): boolean {
    return [...this.open].every(({ client }) => client?.isAlive === false);
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

  /** Runs once the broker's process has ended. */
  whenGone(process: SimProcess, run: () => void): void {
    this.cluster.whenGone(process, run);
  }

  /** Nothing gets through between the client and these brokers until it is mended. */
  cut(client: SimProcess, brokers: readonly number[]): void {
    const known = this.cuts.get(client) ?? { brokers: new Set(), waiting: [] };
    this.cuts.set(client, known);
    for (const id of brokers) known.brokers.add(id);
  }

  mend(client: SimProcess): void {
    const cut = this.cuts.get(client);
    this.cuts.delete(client);
    for (const run of cut?.waiting ?? []) run();
  }

  isCut(client: SimProcess, broker: number): boolean {
    return this.cuts.get(client)?.brokers.has(broker) === true;
  }

  /** Runs when the client's cut is mended. */
  whenMended(client: SimProcess, run: () => void): void {
    this.cuts.get(client)?.waiting.push(run);
  }

  /**
   * One question to one broker. Rejects with BROKER_UNAVAILABLE if nobody is there, and with
   * DEADLINE_EXCEEDED if no answer came in time: the call may have had its effect.
   */
  call<T>(
    id: number,
    deadlineMs: number,
    serve: (services: BrokerServices) => Promise<T>,
    client?: SimProcess,
  ): Promise<T> {
    const outcome = deferred<T>();
    const { scheduler } = this;
    const isLost = (): boolean => client !== undefined && this.isCut(client, id);
    const limitMs = deadlineMs + (client === undefined ? 0 : SLACK_MS);
    const question = { client };
    this.open.add(question);
    const settle = (run: () => void): void => {
      if (!this.open.delete(question)) return;
      patience.isCancelled = true;
      run();
    };
    const patience = scheduler.schedule(ms(limitMs), client, () =>
      settle(() =>
        outcome.reject(new BrokerError('DEADLINE_EXCEEDED', `broker ${id} did not answer in time`)),
      ),
    );
    const isHeldUp = this.straggleChance > 0 && this.prng.chance(this.straggleChance);
    const wayMs = isHeldUp ? this.prng.int(STRAGGLE_MS_MAX) : 0;
    scheduler.schedule(this.delay() + ms(wayMs), undefined, () => {
      if (isLost()) return;
      const { process, app } = this.broker(id);
      const services = app?.services;
      if (process === undefined || services === undefined) {
        const gone = new BrokerError('BROKER_UNAVAILABLE', `broker ${id} is not there`);
        scheduler.schedule(this.delay(), client, () => settle(() => outcome.reject(gone)));
        return;
      }
      const answer = (run: () => void): void => {
        if (process.isAlive && !isLost()) {
          scheduler.schedule(this.delay(), client, () => settle(run));
        }
      };
      process.hear(() => {
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
export class StreamLane {
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
      else to.hear(run);
    });
  }
}
