import { setTimeout as pause } from 'node:timers/promises';

import type { Prng } from '../../src/base/prng.js';
import type { MillraceClient } from '../../src/client/index.js';
import type { HistoryWriter } from '../../test/checker/index.js';
import type { BrokerProcess } from '../lib/broker-process.js';
import type { ChaosCluster } from './chaos-cluster.js';
import type { Fault } from './gaps.js';
import type { GroupLoad } from './group-load.js';
import { goalOf, LIMIT_MS_DEFAULT } from './limits.js';
import type { FaultNote, Stage } from './scenario.js';

const WHOLE_WITHIN_MS = 60_000;
const LOOK_EVERY_MS = 50;
/** A broker that recovers beside others that do takes its time. */
const READY_WITHIN_MS = 120_000;

export interface StageOptions {
  readonly seconds: number;
  readonly faultsMax: number;
  /** Longest write gap to allow instead of the faults' own. */
  readonly limitMs: number | undefined;
  /** Limits count for so many times themselves: several faults at once take longer. */
  readonly slack: number;
  readonly say: (text: string) => void;
}

/** The stage of one run: what a strike may use, and the books of what it did. */
export class LiveStage implements Stage {
  readonly faults: Fault[] = [];
  readonly problems: string[] = [];
  readonly doubts: string[] = [];
  readonly figures: Record<string, number> = {};
  readonly seconds: number;
  readonly cluster: ChaosCluster;
  readonly admin: MillraceClient['admin'];
  readonly topic: string;
  readonly partitions: number;
  readonly prng: Prng;
  readonly history: HistoryWriter;
  readonly groups: readonly GroupLoad[];
  private readonly options: StageOptions;
  /** Shared by all parts of the stage. */
  private readonly state = { beganAtMs: performance.now(), isEnded: false, hasLimits: false };

  constructor(
    deps: Pick<Stage, 'cluster' | 'admin' | 'topic' | 'partitions' | 'prng' | 'history' | 'groups'>,
    options: StageOptions,
  ) {
    this.cluster = deps.cluster;
    this.admin = deps.admin;
    this.topic = deps.topic;
    this.partitions = deps.partitions;
    this.prng = deps.prng;
    this.history = deps.history;
    this.groups = deps.groups;
    this.options = options;
    this.seconds = options.seconds;
  }

  /** Whether any fault so far limits the gap in writing that it may cause. */
  get hasLimits(): boolean {
    return this.state.hasLimits;
  }

  /** The run's time counts from here. */
  begin(): void {
    this.state.beganAtMs = performance.now();
  }

  /** Every wait ends now. */
  end(): void {
    this.state.isEnded = true;
  }

  isOver(): boolean {
    return (
      this.state.isEnded ||
      performance.now() - this.state.beganAtMs > this.seconds * 1000 ||
      this.faults.length >= this.options.faultsMax ||
      this.groups.some((group) => group.failure !== undefined)
    );
  }

  async rest(ms: number): Promise<void> {
    const untilMs = performance.now() + ms;
    for (;;) {
      const leftMs = untilMs - performance.now();
      if (leftMs <= 0 || this.isOver()) return;
      await pause(Math.min(leftMs, LOOK_EVERY_MS));
    }
  }

  async whole(): Promise<void> {
    const giveUpAt = performance.now() + WHOLE_WITHIN_MS;
    for (;;) {
      if (this.state.isEnded) return;
      const description = await this.admin.describeTopic(this.topic);
      const isWhole = description.partitions.every(
        (p) => p.leader !== undefined && p.replicas.every((replica) => replica.inSync),
      );
      if (isWhole) return;
      if (performance.now() > giveUpAt) {
        throw new Error(`the cluster did not become whole within ${WHOLE_WITHIN_MS} ms`);
      }
      await pause(LOOK_EVERY_MS);
    }
  }

  async leaders(): Promise<ReadonlyMap<number, readonly string[]>> {
    const { partitions } = await this.admin.describeTopic(this.topic);
    const led = new Map<number, string[]>();
    for (const { partition, leader } of partitions) {
      if (leader === undefined) continue;
      led.set(leader, [...(led.get(leader) ?? []), `${this.topic}/${partition}`]);
    }
    return led;
  }

  broker(id: number): BrokerProcess {
    return this.cluster.script.broker(id);
  }

  fault({ kind, nodes, keys, limitMs, atMs = performance.now() }: FaultNote): () => void {
    const own = limitMs === undefined ? (goalOf(kind)?.max ?? LIMIT_MS_DEFAULT) : limitMs;
    this.nemesis(kind, nodes, own ?? undefined);
    const fault: Fault = { kind, atMs, untilMs: atMs, keys };
    this.faults.push(fault);
    for (const group of this.groups) group.faulted(fault);
    return () => (fault.untilMs = performance.now());
  }

  repair(kind: string, nodes: readonly number[], limitMs?: number): void {
    this.nemesis(kind, nodes, limitMs);
  }

  async kill(fault: Omit<FaultNote, 'atMs'>): Promise<void> {
    const atMs = performance.now();
    await Promise.all(fault.nodes.map((id) => this.broker(id).kill()));
    this.fault({ ...fault, atMs });
  }

  async start(nodes: readonly number[]): Promise<void> {
    for (const id of nodes) this.broker(id).start();
    await Promise.all(nodes.map((id) => this.broker(id).ready(READY_WITHIN_MS)));
    this.repair('start', nodes);
  }

  problem(text: string): void {
    this.problems.push(text);
    this.say(`PROBLEM: ${text}`);
  }

  doubt(text: string): void {
    this.doubts.push(text);
    this.say(`DOUBT: ${text}`);
  }

  count(name: string, by = 1): void {
    this.figures[name] = (this.figures[name] ?? 0) + by;
  }

  say(text: string): void {
    this.options.say(text);
  }

  part(seconds: number, isOver: () => boolean): Stage {
    const untilMs = performance.now() + seconds * 1000;
    // Everything but its time is this stage's: books, history and helpers.
    return Object.create(this, {
      seconds: { value: seconds },
      isOver: { value: () => this.isOver() || performance.now() > untilMs || isOver() },
    }) as Stage;
  }

  private nemesis(kind: string, nodes: readonly number[], limitMs: number | undefined): void {
    const [first] = nodes;
    const node = first !== undefined && nodes.length === 1 ? first : nodes;
    const allowed =
      limitMs === undefined ? undefined : (this.options.limitMs ?? limitMs * this.options.slack);
    const limit = allowed === undefined ? {} : { limitMs: allowed };
    this.state.hasLimits ||= allowed !== undefined;
    this.history.event({ f: 'nemesis', v: { kind, node, ...limit } });
  }
}
