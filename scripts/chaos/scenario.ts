import type { Prng } from '../../src/base/prng.js';
import type { MillraceClient } from '../../src/client/index.js';
import type { HistoryWriter } from '../../test/checker/index.js';
import type { BrokerProcess } from '../lib/broker-process.js';
import type { ChaosCluster } from './chaos-cluster.js';
import type { GroupLoad } from './group-load.js';

/** A scenario's name: D01 to D36 of docs/RELIABILITY.md, or a name of our own. */
export type ScenarioId = string;

/** What a scenario's cluster and load must be like, where that differs from the usual. */
export interface Needs {
  /** 3 unless told. */
  readonly brokers?: number;
  /** Of the topic that is written to; 3 unless told. */
  readonly replicationFactor?: number;
  /** 10 unless told. */
  readonly partitions?: number;
  /** Of all producers together; 500 unless told. */
  readonly recordsPerSecond?: number;
  /** Every broker reaches every other through a link of its own, and Raft messages may be troubled. */
  readonly peerLinks?: boolean;
  /** Clients reach every broker through a link. */
  readonly clientLinks?: boolean;
  /** Settings of the brokers that differ from the defaults. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** In the environment of every broker's process. */
  readonly env?: (id: number, dataDir: string) => Readonly<Record<string, string>>;
  /** Of the two groups: how many members each; 3 unless told. */
  readonly groupMembers?: number;
  /** One group, whose members come and go all the time, and a probe of how soon one has its share. */
  readonly churn?: boolean;
}

/** A fault that took effect, and what it hit. */
export interface FaultNote {
  /** A kind of `FAULTS`, or a word of the scenario's own. */
  readonly kind: string;
  readonly nodes: readonly number[];
  /** Partitions led by whom it hit: their write gap is what the fault costs. */
  readonly keys: readonly string[];
  /** When it began, by performance.now(); now unless told. */
  readonly atMs?: number;
  /** The longest write gap it may cause: the kind's own unless told; null: not judged. */
  readonly limitMs?: number | null;
}

/** What a strike has to work with. Everything it waits for ends early once the run's time is over. */
export interface Stage {
  readonly cluster: ChaosCluster;
  readonly admin: MillraceClient['admin'];
  readonly topic: string;
  readonly partitions: number;
  readonly prng: Prng;
  readonly history: HistoryWriter;
  readonly groups: readonly GroupLoad[];
  /** How long strikes go on in all. */
  readonly seconds: number;
  /** What was counted so far. */
  readonly figures: Readonly<Record<string, number>>;

  /** True once the run's time is over, enough strikes were made, or the load broke down. */
  isOver(): boolean;
  /** Waits so long, but not beyond the end of the strikes. */
  rest(ms: number): Promise<void>;
  /** Every partition has a leader and all its replicas in sync. */
  whole(): Promise<void>;
  /** Partitions as keys, by the broker that leads them. */
  leaders(): Promise<ReadonlyMap<number, readonly string[]>>;
  broker(id: number): BrokerProcess;

  /**
   * Writes a fault into the history and the books. What goes on taking effect (an orderly end) is said to be
   * over by calling what this returns: gaps that begin until then are its own.
   */
  fault(fault: FaultNote): () => void;
  /** Writes a repair into the history. */
  repair(kind: string, nodes: readonly number[], limitMs?: number): void;
  /** Kills these brokers at once, and notes the fault. */
  kill(fault: Omit<FaultNote, 'atMs'>): Promise<void>;
  /** Starts brokers that were ended, and waits until they serve. */
  start(nodes: readonly number[]): Promise<void>;

  /** Something is wrong that the history cannot tell: the run fails. */
  problem(text: string): void;
  /** The fault did not really strike: the run proves nothing. */
  doubt(text: string): void;
  /** Adds to a figure of the report. */
  count(name: string, by?: number): void;
  say(text: string): void;
  /** This stage for a shorter time, or until something else is over. */
  part(seconds: number, isOver: () => boolean): Stage;
}

/**
 * One fault scenario: it strikes again and again until the run's time is over, and every strike leaves
 * the cluster as it found it.
 */
export interface Scenario {
  readonly id: ScenarioId;
  /** By which it may be called as well. */
  readonly alias?: string;
  readonly title: string;
  readonly needs?: Needs;
  /** From the beginning of a strike to the next one's; one follows the other unless told. */
  readonly everyMs?: number;
  /** False: strikes do not wait for a whole cluster. */
  readonly onWhole?: boolean;
  /** It changes the state of links, and cannot be beside another one that does. */
  readonly setsLinks?: boolean;
  /** Fewer faults than this make the run INVALID; 1 unless told. */
  readonly faultsMin?: number;
  /** Limits of faults count for so many times themselves, where several happen at once; 1 unless told. */
  readonly slack?: number;
  /** Whether `--random` may draw it: alone, or also while another one strikes. */
  readonly random?: 'alone' | 'beside';
  /** Before the strikes; resolves with what undoes it, called before the cluster heals. */
  prepare?(stage: Stage): Promise<() => Promise<void>>;
  strike(stage: Stage, turn: number): Promise<void>;
  /** After the strikes, on a healed cluster: what has to be seen besides the history. */
  verify?(stage: Stage): Promise<void>;
}
