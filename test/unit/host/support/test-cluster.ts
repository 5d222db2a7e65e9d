import { expect } from 'chai';

import { createMultiRaft } from '../../../../src/host/multi-raft.js';
import type { HostTuning } from '../../../../src/host/host-options.js';
import type {
  MultiRaft,
  ProposalObserver,
  ProposeOutcome,
  RaftGroup,
  RaftGroupOwner,
} from '../../../../src/host/raft-group.js';
import {
  brokerId,
  raftGroupId,
  type BrokerId,
  type LogIndex,
  type Term,
} from '../../../../src/model/ids.js';
import type { LogEntry } from '../../../../src/model/log-entry.js';
import { membershipOf } from '../../../../src/model/membership.js';
import type { ReplicaSpec } from '../../../../src/ports/log-store.js';
import type { StateMachine } from '../../../../src/ports/state-machine.js';
import type { Logger, Telemetry } from '../../../../src/ports/telemetry.js';
import type { World } from '../../../../src/ports/world.js';
import { DEFAULT_RAFT_CONFIG, type RaftConfig } from '../../../../src/raft/config.js';
import type { RoleChange } from '../../../../src/raft/io.js';
import type { RaftNode } from '../../../../src/raft/raft-node.js';
import { createRaftNode } from '../../../../src/raft/raft-core.js';
import { FakeWorld } from './fake-world.js';
import { MemoryBrokerStore, type MemoryReplica } from './memory-store.js';
import { MemoryNetwork } from './memory-network.js';

const TICK_MS = 50;
const text = new TextDecoder();
const bytes = new TextEncoder();

/** Remembers every command in order, and refuses to apply one twice or out of order. */
export class ListMachine implements StateMachine {
  applied = 0;
  commands: string[] = [];
  restores: number[] = [];

  apply(entry: LogEntry): unknown {
    expect(entry.index).to.equal(this.applied + 1, 'applied in order, once');
    this.applied = entry.index;
    if (entry.kind === 'command') this.commands.push(text.decode(entry.payload));
    return `result ${entry.index}`;
  }
  encode(): Uint8Array {
    return bytes.encode(JSON.stringify({ applied: this.applied, commands: this.commands }));
  }
  restore(state: Uint8Array | undefined, index: LogIndex): void {
    const saved = state === undefined ? '{"applied":0,"commands":[]}' : text.decode(state);
    const { applied, commands } = JSON.parse(saved) as { applied: number; commands: string[] };
    expect(applied).to.equal(index);
    this.applied = applied;
    this.commands = commands;
    this.restores.push(index);
  }
}

/** The owner of one group on one broker: keeps what it heard. */
export class TestOwner implements RaftGroupOwner {
  readonly machine = new ListMachine();
  readonly roles: RoleChange[] = [];
  readonly ready: Term[] = [];
  readonly fencings: unknown[] = [];
  lastApplied = 0;
  roleChanged(change: RoleChange): void {
    this.roles.push(change);
  }
  leaderReady(term: Term): void {
    this.ready.push(term);
  }
  applied(index: LogIndex): void {
    this.lastApplied = index;
  }
  fenced(reason: unknown): void {
    this.fencings.push(reason);
  }
}

/** What became of a proposal. */
export class Outcome implements ProposalObserver {
  readonly heard: string[] = [];
  result: unknown;
  persisted(): void {
    this.heard.push('persisted');
  }
  committed(result: unknown): void {
    this.heard.push('committed');
    this.result = result;
  }
  failed(): void {
    this.heard.push('failed');
  }
  get end(): string | undefined {
    return this.heard.find((h) => h !== 'persisted');
  }
}

export interface LogLine {
  readonly level: string;
  readonly text: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export function testTelemetry(lines: LogLine[], values: Map<string, number>): Telemetry {
  const logger = (bound: object): Logger => {
    const at =
      (level: string) =>
      (fields: object, message: string): void => {
        lines.push({ level, text: message, fields: { ...bound, ...fields } });
      };
    const child = (fields: object): Logger => logger({ ...bound, ...fields });
    const [trace, debug, info, warn] = ['trace', 'debug', 'info', 'warn'].map(at);
    return { trace: trace!, debug: debug!, info: info!, warn: warn!, error: at('error'), child };
  };
  const add = (name: string, amount: number): unknown =>
    values.set(name, (values.get(name) ?? 0) + amount);
  return {
    log: logger({}),
    metrics: {
      counter: (name) => ({ add: (amount) => void add(name, amount) }),
      gauge: (name) => ({ set: (value) => void values.set(name, value) }),
      histogram: () => ({ observe: () => undefined }),
    },
  };
}

/** A world whose timers end with the process. */
function mortalWorld(world: World, life: { readonly isDead: boolean }): World {
  const whileAlive = (run: () => void) => () => {
    if (!life.isDead) run();
  };
  return {
    clock: world.clock,
    random: world.random,
    timers: {
      after: (delayMs, run) => world.timers.after(delayMs, whileAlive(run)),
      every: (periodMs, run) => world.timers.every(periodMs, whileAlive(run)),
      defer: (run) => world.timers.defer(whileAlive(run)),
    },
  };
}

/** One broker: its disk outlives its host. */
export class TestBroker {
  readonly id: BrokerId;
  readonly store: MemoryBrokerStore;
  readonly log: LogLine[] = [];
  readonly metrics = new Map<string, number>();
  readonly groups = new Map<number, { readonly group: RaftGroup; readonly owner: TestOwner }>();
  readonly stopped: unknown[] = [];
  /** What the cores of this broker hear, once a test wants to know. */
  steps: string[] | undefined;
  host: MultiRaft;
  readonly #cluster: TestCluster;
  #life = { isDead: false };

  constructor(cluster: TestCluster, id: BrokerId) {
    this.#cluster = cluster;
    this.id = id;
    this.store = new MemoryBrokerStore(cluster.world);
    this.host = this.start();
  }

  start(): MultiRaft {
    this.groups.clear();
    const { network, tuning, config } = this.#cluster;
    this.#life = { isDead: false };
    const world = mortalWorld(this.#cluster.world, this.#life);
    this.host = createMultiRaft({
      self: this.id,
      world,
      transport: network.transport(this.id),
      store: this.store,
      createNode: (init, raftConfig) => this.#recorded(createRaftNode(init, raftConfig)),
      config,
      tickMs: TICK_MS,
      telemetry: testTelemetry(this.log, this.metrics),
      tuning,
      mayLead: (id) => this.#cluster.mayLead(id),
      replicaStopped: (_group, error) => this.stopped.push(error),
    });
    this.host.start();
    return this.host;
  }

  async open(
    spec: ReplicaSpec,
    options: {
      readonly owner?: TestOwner;
      readonly preferredLeader?: BrokerId;
      readonly tellsCommitAtOnce?: boolean;
    } = {},
  ): Promise<void> {
    const { owner = new TestOwner(), preferredLeader, tellsCommitAtOnce = false } = options;
    const opened = this.host.open(spec, owner, { preferredLeader, tellsCommitAtOnce });
    await this.#cluster.finished(opened);
    this.groups.set(spec.groupId, { group: await opened, owner });
  }

  #recorded(node: RaftNode): RaftNode {
    const step = node.step.bind(node);
    node.step = (event) => {
      this.steps?.push(event.kind);
      step(event);
    };
    return node;
  }

  /** As by kill -9: nothing is saved, nothing more is done. */
  kill(options: { readonly isNoticed: boolean }): void {
    this.#life.isDead = true;
    this.store.died();
    this.#cluster.network.remove(this.id, options.isNoticed);
  }

  group(id: number): RaftGroup {
    return this.groups.get(id)!.group;
  }
  owner(id: number): TestOwner {
    return this.groups.get(id)!.owner;
  }
  disk(id: number): MemoryReplica {
    return this.store.disk(raftGroupId(id));
  }

  propose(
    id: number,
    command: string,
  ): { readonly outcome: Outcome; readonly answer: ProposeOutcome } {
    const outcome = new Outcome();
    const payload = bytes.encode(command);
    return { outcome, answer: this.group(id).propose({ kind: 'command', payload }, outcome) };
  }
}

/** Brokers on one virtual clock and network. */
export class TestCluster {
  readonly world: FakeWorld;
  readonly network: MemoryNetwork;
  readonly tuning: Partial<HostTuning>;
  readonly config: RaftConfig;
  readonly brokers: TestBroker[];
  mayLead: (id: BrokerId) => boolean = () => true;

  constructor(
    count: number,
    tuning: Partial<HostTuning> = {},
    seed = 1,
    config: RaftConfig = DEFAULT_RAFT_CONFIG,
  ) {
    this.config = config;
    this.world = new FakeWorld(seed);
    this.network = new MemoryNetwork(this.world);
    this.tuning = tuning;
    this.brokers = Array.from({ length: count }, (_, at) => new TestBroker(this, brokerId(at + 1)));
  }

  spec(id: number, members = this.brokers.map((b) => b.id as number)): ReplicaSpec {
    return {
      groupId: raftGroupId(id),
      topicId: undefined,
      topic: 'test',
      partition: id,
      bootstrap: membershipOf(members),
    };
  }

  /** Opens these groups on every broker and waits until each has a leader that is ready. */
  async open(...ids: number[]): Promise<void> {
    for (const id of ids) for (const broker of this.brokers) await broker.open(this.spec(id));
    for (const id of ids) await this.leader(id);
  }

  async leader(id: number, among: readonly TestBroker[] = this.brokers): Promise<TestBroker> {
    const find = (): TestBroker | undefined =>
      among.find((b) => b.groups.get(id)?.group.isLeaderReady());
    await this.world.until(() => find() !== undefined);
    return find()!;
  }

  followers(leader: TestBroker): TestBroker[] {
    return this.brokers.filter((b) => b !== leader);
  }

  async commit(leader: TestBroker, id: number, ...commands: string[]): Promise<void> {
    const outcomes = commands.map((command) => leader.propose(id, command).outcome);
    await this.world.until(() => outcomes.every((o) => o.end !== undefined));
    expect(outcomes.map((o) => o.end)).to.deep.equal(commands.map(() => 'committed'));
  }

  /** Makes them learners, and waits until the leader has filled them up. */
  async learn(leader: TestBroker, id: number, learners: readonly BrokerId[]): Promise<void> {
    const group = leader.group(id);
    const { voters } = group.status()!.membership;
    await this.finished(group.changeMembership({ voters, learners }, 5_000));
    await this.world.until(() =>
      learners.every((one) => {
        const peer = group.status()?.peers.find((known) => known.id === one);
        return peer !== undefined && peer.match > 0 && !peer.isRepairing;
      }),
    );
  }

  /** Everybody has applied the same commands. */
  async agree(
    id: number,
    count: number,
    among: readonly TestBroker[] = this.brokers,
  ): Promise<void> {
    await this.world.until(() => among.every((b) => b.owner(id).machine.commands.length >= count));
    const [first, ...others] = among.map((b) => b.owner(id).machine.commands);
    expect(first).to.have.length(count);
    for (const other of others) expect(other).to.deep.equal(first);
  }

  /** Lets time pass until the promise is settled. */
  async finished(promise: Promise<unknown>): Promise<void> {
    let isDone = false;
    const done = (): void => {
      isDone = true;
    };
    promise.then(done, done);
    await this.world.until(() => isDone);
  }
}
