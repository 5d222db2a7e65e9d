import type { Crc32c } from '../../../src/base/crc32c.js';
import { deferred } from '../../../src/base/deferred.js';
import { createMultiRaft } from '../../../src/host/multi-raft.js';
import type { MultiRaft, RaftGroup, RaftGroupOwner } from '../../../src/host/raft-group.js';
import { brokerId, incarnation, type BrokerId } from '../../../src/model/ids.js';
import type {
  BrokerStore,
  LoadedReplica,
  LogStore,
  ReplicaSpec,
} from '../../../src/ports/log-store.js';
import type { Logger, Telemetry } from '../../../src/ports/telemetry.js';
import type { TransportHandlers } from '../../../src/ports/transport.js';
import { DEFAULT_RAFT_CONFIG } from '../../../src/raft/config.js';
import type { Message } from '../../../src/raft/message.js';
import { createRaftNode } from '../../../src/raft/raft-core.js';
import type { LevelBrokerStore } from '../../../src/storage/level-broker-store.js';
import { StillWorld } from './still-world.js';
import { openStore, type Truth } from './truth.js';

const TICK_MS = 50;
const ANSWER_WITHIN_MS = 5_000;
const STRANGER = incarnation(99);

type Body<M> = M extends Message ? Omit<M, 'from' | 'to' | 'incarnation'> : never;

/** Accepts everything and remembers nothing: what is in the log is looked at in the log. */
export function blindOwner(): RaftGroupOwner {
  return {
    machine: {
      apply: () => undefined,
      encode: () => new Uint8Array(),
      restore: () => undefined,
    },
    roleChanged: () => undefined,
    leaderReady: () => undefined,
    applied: () => undefined,
    fenced: () => undefined,
  };
}

const SILENT: Logger = {
  trace: () => undefined,
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => SILENT,
};

export const NO_TELEMETRY: Telemetry = {
  log: SILENT,
  metrics: {
    counter: () => ({ add: () => undefined }),
    gauge: () => ({ set: () => undefined }),
    histogram: () => ({ observe: () => undefined }),
  },
};

/** Passes everything on, and keeps what openings found. */
export class WatchedStore implements BrokerStore {
  opened: { readonly store: LogStore; readonly loaded: LoadedReplica } | undefined;
  error: unknown;
  wasDamaged = false;
  private readonly store: BrokerStore;

  constructor(store: BrokerStore) {
    this.store = store;
  }

  identity(): ReturnType<BrokerStore['identity']> {
    return this.store.identity();
  }
  saveIdentity(identity: Parameters<BrokerStore['saveIdentity']>[0]): Promise<void> {
    return this.store.saveIdentity(identity);
  }
  replicas(): ReturnType<BrokerStore['replicas']> {
    return this.store.replicas();
  }
  createReplica(spec: ReplicaSpec): Promise<void> {
    return this.store.createReplica(spec);
  }
  async openReplica(
    groupId: ReplicaSpec['groupId'],
  ): Promise<{ store: LogStore; loaded: LoadedReplica }> {
    try {
      const opened = await this.store.openReplica(groupId);
      this.opened = opened;
      this.wasDamaged ||= opened.loaded.verdict.kind === 'damaged';
      return opened;
    } catch (error) {
      this.error = error;
      throw error;
    }
  }
  deleteReplica(groupId: ReplicaSpec['groupId']): Promise<void> {
    return this.store.deleteReplica(groupId);
  }
  freeBytes(): Promise<number> {
    return this.store.freeBytes();
  }
  close(): Promise<void> {
    return this.store.close();
  }
}

/**
 * One life of a replica on a directory: the production store under the production host, alone, with
 * peers that say only what they are made to. Close it, whatever happened.
 */
export class Life {
  readonly world: StillWorld;
  /** Everything that the replica sent. */
  readonly sent: Message[] = [];
  private readonly broker: LevelBrokerStore;
  private readonly watched: WatchedStore;
  private readonly host: MultiRaft;
  private readonly truth: Truth;
  private handlers: TransportHandlers | undefined;
  private onSent: (message: Message) => void = () => undefined;
  group: RaftGroup | undefined;

  private constructor(broker: LevelBrokerStore, truth: Truth, seed: number) {
    this.broker = broker;
    this.truth = truth;
    this.world = new StillWorld(seed);
    this.watched = new WatchedStore(broker);
    this.host = createMultiRaft({
      self: brokerId(truth.self),
      world: this.world,
      transport: {
        start: (handlers) => {
          this.handlers = handlers;
        },
        send: (_to, messages) => {
          for (const { group, message } of messages) {
            if (group === undefined) continue;
            this.sent.push(message);
            this.onSent(message);
          }
          return [];
        },
        sendSnapshot: () => Promise.reject(new Error('there is nobody')),
      },
      store: this.watched,
      createNode: createRaftNode,
      config: DEFAULT_RAFT_CONFIG,
      tickMs: TICK_MS,
      telemetry: NO_TELEMETRY,
      // What it would do later, at its own pace, a case does at once.
      tuning: { verifyBytesPerSecondMax: 0 },
    });
  }

  /** Rejects where a broker would refuse to start. */
  static async open(directory: string, truth: Truth, crc32c: Crc32c): Promise<Life> {
    const broker = await openStore(directory, crc32c);
    const life = new Life(broker, truth, 1);
    try {
      life.host.start();
      life.group = await life.host.open(truth.spec, blindOwner());
      return life;
    } catch (error) {
      await life.close();
      throw error;
    }
  }

  /** What the opening found; an error if the replica is fenced, to be opened anew later. */
  found():
    { readonly store: LogStore; readonly loaded: LoadedReplica } | { readonly error: unknown } {
    return this.watched.opened ?? { error: this.watched.error };
  }

  /** Sends as a peer and waits for the answer to it; undefined if none comes. */
  async ask<M extends Message>(from: BrokerId, body: Body<M>): Promise<Message | undefined> {
    const to = brokerId(this.truth.self);
    const message = { ...body, from, to, incarnation: STRANGER } as unknown as Message;
    const answered = deferred<Message | undefined>();
    const giveUp = setTimeout(() => answered.resolve(undefined), ANSWER_WITHIN_MS);
    this.onSent = (sent) => {
      if (sent.to === from && sent.kind.endsWith('Response')) answered.resolve(sent);
    };
    this.handlers?.messages(from, [{ group: this.truth.spec.groupId, message }]);
    const answer = await answered.promise;
    clearTimeout(giveUp);
    return answer;
  }

  async close(): Promise<void> {
    await this.host.stop();
    await this.broker.close();
  }
}
