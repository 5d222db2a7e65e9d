import { invariant } from '../../src/base/assert.js';
import type { Prng } from '../../src/base/prng.js';
import { BrokerError } from '../../src/model/errors.js';
import type { BrokerId } from '../../src/model/ids.js';
import type { Snapshot } from '../../src/ports/log-store.js';
import type {
  GroupMessage,
  PeerAddress,
  PeerCallHandler,
  PeerCaller,
  PeerDirectory,
  PeerMessage,
  SnapshotHeader,
  Transport,
  TransportHandlers,
} from '../../src/ports/transport.js';
import { decodeMessages, encodeMessages, isBulkMessage } from '../../src/rpc/message-codec.js';
import { ms, seconds, type Micros, type Scheduler, type SimProcess } from './world.js';

/** How links behave; drawn once a seed, and made perfect for the liveness phase. */
export interface NetworkOptions {
  readonly delayMin: Micros;
  readonly delayMax: Micros;
  /** Chance that a delivery is late by up to ten times delayMax: overtaken, so reordered. */
  readonly straggleChance: number;
  readonly dropChance: number;
  readonly duplicateChance: number;
  /** Whether the death of a process is noticed by its peers at once. */
  readonly hasHints: boolean;
  /** Chance, at each send, of a hint although the peer lives. */
  readonly falseHintChance: number;
  /** What was sent before a process died may still reach its next life. */
  readonly crossesLives: boolean;
  /** Messages travel as the bytes of production, not as values. */
  readonly encodes: boolean;
}

export const PERFECT_NETWORK: NetworkOptions = {
  delayMin: 100,
  delayMax: 400,
  straggleChance: 0,
  dropChance: 0,
  duplicateChance: 0,
  hasHints: true,
  falseHintChance: 0,
  crossesLives: false,
  encodes: false,
};

/** Counts of what the network did to traffic, for the report. */
export interface NetworkCounts {
  delivered: number;
  dropped: number;
  duplicated: number;
  reordered: number;
  hints: number;
}

/** Sees every message as it leaves its sender: the oracle checks what it claims. */
export type MessageWatcher = (from: BrokerId, to: BrokerId, sent: GroupMessage) => void;

/** After this long without an answer a snapshot's stream counts as broken. */
const SNAPSHOT_PATIENCE = seconds(3);

/** The code of a message kind in the trace. */
const KIND_CODES: Readonly<Record<PeerMessage['message']['kind'], number>> = {
  preVoteRequest: 1,
  preVoteResponse: 2,
  voteRequest: 3,
  voteResponse: 4,
  appendRequest: 5,
  appendResponse: 6,
  heartbeatRequest: 7,
  heartbeatResponse: 8,
  timeoutNow: 9,
  quiesceRequest: 10,
  wakeRequest: 11,
  pulse: 12,
};

/**
 * All links between brokers. A link is directed: it may be cut one way. Each send travels as one
 * delivery for control and one for bulk, as on two streams; a delivery is dropped, repeated, late
 * or overtaken as the seed says. What is on its way when a process dies does not reach it.
 */
export class SimNetwork {
  readonly counts: NetworkCounts = {
    delivered: 0,
    dropped: 0,
    duplicated: 0,
    reordered: 0,
    hints: 0,
  };
  watcher: MessageWatcher | undefined;
  private options: NetworkOptions;
  private readonly endpoints = new Map<number, SimEndpoint>();
  private readonly cuts = new Set<string>();
  /** Who has a call or a stream open to a process. */
  private readonly connected = new Map<
    SimProcess,
    { readonly caller: SimProcess; readonly broken: () => void }[]
  >();

  readonly scheduler: Scheduler;
  private readonly prng: Prng;

  constructor(scheduler: Scheduler, prng: Prng, options: NetworkOptions) {
    this.scheduler = scheduler;
    this.prng = prng;
    this.options = options;
  }

  setOptions(options: NetworkOptions): void {
    this.options = options;
  }

  /** The network as one life of a broker sees it. */
  attach(process: SimProcess): SimEndpoint {
    const endpoint = new SimEndpoint(this, process);
    this.endpoints.set(process.brokerId, endpoint);
    return endpoint;
  }

  /** Runs `broken` at the caller once the peer's process, as it is now, has ended. */
  whenBroken(caller: SimProcess, peer: number, broken: () => void): void {
    const process = this.endpoints.get(peer)?.process;
    if (process?.isAlive !== true) return;
    const waiting = this.connected.get(process) ?? [];
    this.connected.set(process, waiting);
    waiting.push({ caller, broken });
  }

  /** Tells the peers, where a hint can reach them, that this process is gone. */
  detach(process: SimProcess): void {
    for (const { caller, broken } of this.connected.get(process) ?? []) {
      if (this.isCut(process.brokerId, caller.brokerId)) continue;
      this.scheduler.schedule(this.delay(), caller, broken);
    }
    this.connected.delete(process);
    if (!this.options.hasHints) return;
    for (const peer of this.endpoints.values()) {
      if (peer.process === process || !peer.process.isAlive) continue;
      if (this.isCut(process.brokerId, peer.process.brokerId)) continue;
      this.hint(peer, process.brokerId);
    }
  }

  /** When a broker last heard from another in its present life; undefined: never. */
  heardAt(at: number, from: number): Micros | undefined {
    return this.endpoints.get(at)?.heardAt.get(from);
  }

  cut(from: number, to: number): void {
    this.cuts.add(`${from}>${to}`);
  }

  mend(): void {
    this.cuts.clear();
  }

  isCut(from: number, to: number): boolean {
    return this.cuts.has(`${from}>${to}`);
  }

  isReachable(broker: number): boolean {
    return this.endpoints.get(broker)?.process.isAlive === true;
  }

  deliver(from: SimProcess, to: BrokerId, messages: readonly PeerMessage[]): boolean {
    for (const sent of messages) {
      this.scheduler.hash.add(KIND_CODES[sent.message.kind], from.brokerId, to, sent.group ?? 0);
      if (sent.group === undefined) continue;
      this.scheduler.hash.add(sent.message.term);
      this.watcher?.(from.brokerId as BrokerId, to, sent);
    }
    const target = this.endpoints.get(to);
    if (this.options.falseHintChance > 0 && this.prng.chance(this.options.falseHintChance)) {
      const sender = this.endpoints.get(from.brokerId);
      if (sender !== undefined) {
        this.scheduler.mishap('falseHint');
        this.hint(sender, to);
      }
    }
    if (target?.process.isAlive !== true) {
      this.counts.dropped += messages.length;
      return this.isCut(from.brokerId, to) || this.options.crossesLives;
    }
    const bulk = messages.filter((sent) => isBulkMessage(sent.message));
    const control = messages.filter((sent) => !isBulkMessage(sent.message));
    for (const load of [control, bulk]) {
      if (load.length > 0) this.dispatch(from, to, target.process.life, load);
    }
    return true;
  }

  private dispatch(
    from: SimProcess,
    to: BrokerId,
    life: number,
    load: readonly PeerMessage[],
  ): void {
    if (this.prng.chance(this.options.dropChance)) {
      this.scheduler.mishap('drop');
      this.counts.dropped += load.length;
      return;
    }
    const ends = { from: from.brokerId as BrokerId, to };
    const bytes = this.options.encodes ? encodeMessages(load).joined() : undefined;
    let copies = 1;
    if (this.prng.chance(this.options.duplicateChance)) {
      copies = 2;
      this.scheduler.mishap('duplicate');
      this.counts.duplicated += load.length;
    }
    for (let copy = 0; copy < copies; copy += 1) {
      this.travel(from.brokerId, to, this.delay(), (target) => {
        if (target.process.life !== life && !this.options.crossesLives) return;
        this.counts.delivered += load.length;
        target.receive(ends.from, bytes === undefined ? load : decodeMessages(bytes, ends));
      });
    }
  }

  /** Runs `arrive` at the peer after `delay`, unless the link is cut or the peer is gone by then. */
  travel(
    from: number,
    to: number,
    delay: Micros,
    arrive: (target: SimEndpoint) => void,
    lost: () => void = () => undefined,
  ): void {
    if (this.isCut(from, to)) {
      this.counts.dropped += 1;
      this.scheduler.schedule(delay, undefined, lost);
      return;
    }
    this.scheduler.schedule(delay, undefined, () => {
      const target = this.endpoints.get(to);
      if (target?.process.isAlive !== true || this.isCut(from, to)) {
        this.counts.dropped += 1;
        lost();
        return;
      }
      target.process.hear(() => arrive(target));
    });
  }

  delay(): Micros {
    const { delayMin, delayMax, straggleChance } = this.options;
    const usual = delayMin + this.prng.int(Math.max(1, delayMax - delayMin));
    if (straggleChance > 0 && this.prng.chance(straggleChance)) {
      this.scheduler.mishap('reorder');
      this.counts.reordered += 1;
      return usual + this.prng.int(10 * Math.max(1, delayMax));
    }
    return usual;
  }

  private hint(peer: SimEndpoint, lost: number): void {
    this.counts.hints += 1;
    this.scheduler.schedule(this.delay(), peer.process, () => {
      this.scheduler.say(() => `b${peer.process.brokerId} hears that b${lost} is gone`);
      peer.connectionLost(lost as BrokerId);
    });
  }
}

/** One life of one broker on the network: what production code is given as its transport. */
export class SimEndpoint implements Transport, PeerCaller, PeerDirectory {
  private handlers: TransportHandlers | undefined;
  private readonly methods = new Map<string, PeerCallHandler>();
  /** When the last message of each peer came. */
  readonly heardAt = new Map<number, Micros>();

  private readonly network: SimNetwork;
  readonly process: SimProcess;

  constructor(network: SimNetwork, process: SimProcess) {
    this.network = network;
    this.process = process;
  }

  start(handlers: TransportHandlers): void {
    this.handlers = handlers;
  }

  setPeers(): void {
    // Every broker can reach every other: addresses mean nothing here.
  }

  send(to: BrokerId, messages: readonly PeerMessage[]): readonly PeerMessage[] {
    return this.network.deliver(this.process, to, messages) ? [] : messages;
  }

  receive(from: BrokerId, messages: readonly PeerMessage[]): void {
    this.heardAt.set(from, this.network.scheduler.now);
    this.handlers?.messages(from, messages);
  }

  connectionLost(peer: BrokerId): void {
    this.handlers?.connectionLost(peer);
  }

  sendSnapshot(to: BrokerId, header: SnapshotHeader, snapshot: Snapshot): Promise<void> {
    const self = this.process.brokerId;
    return new Promise<void>((resolve, reject) => {
      const fail = (): void => reject(new BrokerError('BROKER_UNAVAILABLE', 'snapshot lost'));
      const settle = (run: () => void): void => this.process.hear(run);
      this.network.scheduler.schedule(SNAPSHOT_PATIENCE, this.process, fail);
      this.network.whenBroken(this.process, to, fail);
      this.network.travel(
        self,
        to,
        4 * this.network.delay(),
        (target) => {
          const reply = (run: () => void): void => {
            const lost = (): void => settle(fail);
            this.network.travel(to, self, this.network.delay(), () => settle(run), lost);
          };
          const handlers = target.handlers;
          if (handlers === undefined) {
            reply(fail);
            return;
          }
          handlers.snapshot(self as BrokerId, header, Uint8Array.from(snapshot.state)).then(
            () => reply(resolve),
            (error: unknown) => reply(() => reject(error)),
          );
        },
        () => settle(fail),
      );
    });
  }

  call(
    to: BrokerId | PeerAddress,
    method: string,
    body: Uint8Array,
    options: { readonly deadlineMs: number },
  ): Promise<Uint8Array> {
    const peer = typeof to === 'object' ? to.id : to;
    const self = this.process.brokerId;
    return new Promise<Uint8Array>((resolve, reject) => {
      let isDone = false;
      const finish = (run: () => void): void => {
        if (isDone) return;
        isDone = true;
        cancel();
        run();
      };
      const cancel = this.process.timers.after(options.deadlineMs, () => {
        const late = new BrokerError('DEADLINE_EXCEEDED', `${method} to broker ${peer} timed out`);
        finish(() => reject(late));
      });
      this.network.travel(self, peer, this.network.delay(), (target) => {
        const reply = (run: () => void): void => {
          this.network.travel(peer, self, this.network.delay(), (back) => {
            if (back === this) finish(run);
          });
        };
        target.answer(self as BrokerId, method, Uint8Array.from(body)).then(
          (answer) => reply(() => resolve(answer)),
          (error: unknown) => reply(() => reject(BrokerError.from(error))),
        );
      });
      const gone = new BrokerError('BROKER_UNAVAILABLE', `broker ${peer} does not answer`);
      this.network.whenBroken(this.process, peer, () => finish(() => reject(gone)));
      if (!this.network.isReachable(peer)) {
        this.network.scheduler.schedule(ms(1), this.process, () => finish(() => reject(gone)));
      }
    });
  }

  handle(method: string, handler: PeerCallHandler): void {
    invariant(!this.methods.has(method), 'a method has one handler', { method });
    this.methods.set(method, handler);
  }

  private async answer(from: BrokerId, method: string, body: Uint8Array): Promise<Uint8Array> {
    const handler = this.methods.get(method);
    if (handler === undefined) throw new BrokerError('BROKER_UNAVAILABLE', `no ${method} yet`);
    return handler(from, body);
  }
}
