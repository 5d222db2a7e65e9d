import { BrokerError } from '../../../../src/model/errors.js';
import type { BrokerId } from '../../../../src/model/ids.js';
import type {
  PeerAddress,
  PeerCaller,
  PeerCallHandler,
  PeerDirectory,
} from '../../../../src/ports/transport.js';
import type { World } from '../../../../src/ports/world.js';

interface Station {
  readonly handlers: Map<string, PeerCallHandler>;
  readonly clusterId: () => string | undefined;
}

export interface PeerCallRecord {
  readonly from: BrokerId;
  readonly to: BrokerId;
  readonly method: string;
}

/** Request and response between brokers of one process: a millisecond each way, cut at will. */
export class MemoryPeers {
  readonly calls: PeerCallRecord[] = [];
  /** Returning true loses the answer of a call that was carried out. */
  losesAnswer: (call: PeerCallRecord) => boolean = () => false;
  readonly #world: World;
  readonly #stations = new Map<BrokerId, Station>();
  readonly #isolated = new Set<BrokerId>();

  constructor(world: World) {
    this.#world = world;
  }

  /** What one life of a broker is given; `clusterId` is what it would check. */
  connect(self: BrokerId, clusterId: () => string | undefined): PeerCaller & PeerDirectory {
    const station: Station = { handlers: new Map(), clusterId };
    this.#stations.set(self, station);
    const known = new Set<BrokerId>();
    return {
      setPeers: (peers) => {
        known.clear();
        for (const peer of peers) known.add(peer.id);
      },
      handle: (method, handler) => void station.handlers.set(method, handler),
      call: (to, method, body, { deadlineMs }) => {
        if (typeof to === 'number' && !known.has(to)) {
          return Promise.reject(new BrokerError('BROKER_UNAVAILABLE', `no address of ${to}`));
        }
        return this.#call(self, typeof to === 'number' ? to : to.id, method, body, deadlineMs);
      },
    };
  }

  remove(id: BrokerId): void {
    this.#stations.delete(id);
  }
  isolate(id: BrokerId): void {
    this.#isolated.add(id);
  }
  /** Loses the first answer to each method that matches; in the set are those that were lost. */
  loseFirstAnswers(methods: RegExp): ReadonlySet<string> {
    const lost = new Set<string>();
    this.losesAnswer = ({ method }) => {
      const isFirst = methods.test(method) && !lost.has(method);
      if (isFirst) lost.add(method);
      return isFirst;
    };
    return lost;
  }

  heal(id: BrokerId): void {
    this.#isolated.delete(id);
  }

  #isCut(from: BrokerId, to: BrokerId): boolean {
    return this.#isolated.has(from) || this.#isolated.has(to);
  }

  #call(
    from: BrokerId,
    to: BrokerId,
    method: string,
    body: Uint8Array,
    deadlineMs: number,
  ): Promise<Uint8Array> {
    const record = { from, to, method };
    this.calls.push(record);
    return new Promise((resolve, reject) => {
      const cancel = this.#world.timers.after(deadlineMs, () =>
        reject(new BrokerError('DEADLINE_EXCEEDED', `${method} took too long`)),
      );
      const end = (finish: () => void): void => {
        if (this.#isCut(from, to) || this.losesAnswer(record)) return;
        this.#world.timers.after(1, () => {
          cancel();
          finish();
        });
      };
      this.#world.timers.after(1, () => {
        const caller = this.#stations.get(from);
        const station = this.#stations.get(to);
        if (this.#isCut(from, to)) return;
        if (station === undefined || caller === undefined) {
          end(() => reject(new BrokerError('BROKER_UNAVAILABLE', `broker ${to} is down`)));
          return;
        }
        answer(caller, station, from, method, body).then(
          (bytes) => end(() => resolve(bytes)),
          (error: unknown) => end(() => reject(BrokerError.from(error))),
        );
      });
    });
  }
}

async function answer(
  caller: Station,
  station: Station,
  from: BrokerId,
  method: string,
  body: Uint8Array,
): Promise<Uint8Array> {
  if (!method.startsWith('formation.') && caller.clusterId() !== station.clusterId()) {
    throw new BrokerError(
      'WRONG_CLUSTER',
      `there ${station.clusterId()}, here ${caller.clusterId()}`,
    );
  }
  const handler = station.handlers.get(method);
  if (handler === undefined) throw new BrokerError('BROKER_UNAVAILABLE', `no ${method} yet`);
  return handler(from, body);
}

export function addressOf(id: number): PeerAddress {
  return { id: id as BrokerId, host: 'peer.test', port: 7_500 + id };
}
