import { fork, type ChildProcess } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { MillraceClient } from '../../src/client/index.js';
import type { HistoryWriter } from '../../test/checker/index.js';
import { bundled } from '../lib/bundle.js';
import { CommittedOffsets } from './committed-offsets.js';
import { type Fault, type GapSummary, summarize } from './gaps.js';
import { GroupTimes, type GroupTimesFigures } from './group-times.js';
import type { FromMember, MemberSettings, ShareTaken } from './group-protocol.js';
import { MemberProcess } from './member-process.js';

const PROBE = fileURLToPath(new URL('share-probe.ts', import.meta.url));
const WORKER = fileURLToPath(new URL('group-member.ts', import.meta.url));
/** A member's process is killed outright about this often; the others leave in order. */
const KILL_EVERY_MS = 10_000;
const DRAINED_WITHIN_MS = 60_000;
const STOP_WITHIN_MS = 15_000;

export interface GroupLoadOptions extends Omit<MemberSettings, 'seed'> {
  readonly members: number;
}

/** Partitions that a member said it owns, and when it said so. */
interface Holding {
  readonly keys: readonly string[];
  readonly sinceMs: number;
}

export interface GroupFigures extends GroupTimesFigures {
  readonly joins: number;
  readonly leaves: number;
  readonly processesKilled: number;
  /** Times a member lost its partitions without having given them up. */
  readonly lost: number;
  readonly commits: number;
  readonly commitsRefused: number;
  readonly polledRecords: number;
  /** From joining to the first partition. */
  readonly joinedMs: GapSummary;
  /** Acknowledged commits below one that was acknowledged before they were made. */
  readonly commitsBackwards: number;
}

/**
 * A consumer group under load: each member a process of its own that stays, or joins and leaves all the
 * time. Their calls stand in the run's history, each invocation before the call is made and each end after
 * it, by the run's own clock.
 */
export class GroupLoad {
  private readonly options: GroupLoadOptions;
  private readonly history: HistoryWriter;
  private readonly members: MemberProcess[] = [];
  private readonly holdings = new Map<number, Holding>();
  private readonly joined: number[] = [];
  private readonly times = new GroupTimes();
  private readonly committed = new CommittedOffsets();
  private probe: ChildProcess | undefined;
  private readonly counts = { joins: 0, leaves: 0, killed: 0, lost: 0, refused: 0 };
  private spawned = 0;
  private commits = 0;
  private polledRecords = 0;
  private readonly over = new AbortController();
  private killing: Promise<void> = Promise.resolve();
  private problem: string | undefined;
  private worker = '';

  constructor(options: GroupLoadOptions, history: HistoryWriter) {
    this.options = options;
    this.history = history;
  }

  async start(): Promise<void> {
    this.worker = await bundled(WORKER);
    for (let i = 0; i < this.options.members; i += 1) this.spawn(i, i + 1);
    if (!this.options.isChurning) return;
    this.killing = this.killNowAndThen();
    this.probe = this.probing();
  }

  get size(): number {
    return this.options.members;
  }

  get name(): string {
    return this.options.group;
  }

  /**
   * Every partition is one member's. One that two say to have is on its way: whoever has it next has said so
   * already, and would not say so again if the other were killed.
   */
  get isWhole(): boolean {
    const said = [...this.holdings.values()].flatMap(({ keys }) => keys);
    const { partitions } = this.options;
    return said.length === partitions && new Set(said).size === partitions;
  }

  /** What the member said last that it owns. */
  keysOf(place: number): readonly string[] {
    return this.holdings.get(place)?.keys ?? [];
  }

  /** Whether all of these keys were taken over since then; by anybody but that member, if one is named. */
  areTakenOver(keys: readonly string[], sinceMs: number, otherThan?: number): boolean {
    const taken = new Set(
      [...this.holdings]
        .filter(([place, holding]) => place !== otherThan && holding.sinceMs > sinceMs)
        .flatMap(([, holding]) => holding.keys),
    );
    return keys.every((key) => taken.has(key));
  }

  /** Whether the member said anew what it owns. */
  hasSpoken(place: number, sinceMs: number): boolean {
    return (this.holdings.get(place)?.sinceMs ?? 0) > sinceMs;
  }

  /** Ends the process of a member outright; another one follows it, as a new member. */
  async replaceMember(place: number): Promise<boolean> {
    if ((await this.members[place]?.kill()) !== true) return false;
    this.holdings.delete(place);
    this.counts.killed += 1;
    this.spawned += 1;
    this.spawn(place, this.options.members + this.spawned);
    return true;
  }

  /** Stops the process of a member, or lets it go on. */
  signalMember(place: number, signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.members[place]?.signal(signal);
  }

  /** A process of a member that ended without being told to: what is measured is less than it should be. */
  get failure(): string | undefined {
    return this.problem;
  }

  figures(): GroupFigures {
    const { joins, leaves, killed, lost, refused } = this.counts;
    return {
      ...{ joins, leaves, lost },
      processesKilled: killed,
      commits: this.commits,
      commitsRefused: refused,
      polledRecords: this.polledRecords,
      joinedMs: summarize(this.joined),
      commitsBackwards: this.committed.backwards,
      ...this.times.figures(),
    };
  }

  /** A fault took effect: what was slow because of it is told apart. */
  faulted(fault: Fault): void {
    this.times.faulted(fault);
  }

  /** Joins and leaves are counted a second from here, until the members settle. */
  faultsBegin(): void {
    this.times.begin(this.counts);
  }

  /** Everyone stays in the group; resolves once it has read and committed everything there is. */
  async drain(): Promise<void> {
    this.times.end(this.counts);
    this.over.abort();
    this.probe?.disconnect();
    await this.killing;
    for (const member of this.members) member.send({ kind: 'settle' });
    const { bootstrap, group, partitions } = this.options;
    const client = new MillraceClient({ bootstrap });
    const giveUpAtMs = performance.now() + DRAINED_WITHIN_MS;
    for (;;) {
      const { partitions: read } = await client.admin.describeGroup(group);
      if (read.length === partitions && read.every((p) => p.lagRecords === 0)) break;
      // The judge says what is missing.
      if (performance.now() > giveUpAtMs) break;
      await pause(200);
    }
    await client.close();
  }

  async stop(): Promise<void> {
    await Promise.all(this.members.map(async (member) => await member.stop(STOP_WITHIN_MS)));
  }

  /** For a run that ends early. */
  async kill(): Promise<void> {
    this.over.abort();
    this.probe?.kill('SIGKILL');
    await this.killing;
    await Promise.all(this.members.map(async (member) => await member.kill()));
  }

  private spawn(place: number, seed: number): void {
    const { bootstrap, topic, group, partitions, isChurning } = this.options;
    const settings: MemberSettings = { bootstrap, topic, group, partitions, seed, isChurning };
    const member = new MemberProcess(this.worker, settings, {
      told: (message) => {
        this.told(member, message);
        if (this.members[place] === member) this.heard(place, message);
      },
      failed: (how) => (this.problem ??= `the process of member ${place} ended by itself: ${how}`),
    });
    this.members[place] = member;
  }

  private heard(place: number, message: FromMember): void {
    if (message.kind === 'rebalance') {
      this.holdings.set(place, { keys: message.owned, sinceMs: performance.now() });
    } else if (message.kind === 'gaveUp') {
      const { keys = [], sinceMs = 0 } = this.holdings.get(place) ?? {};
      const left = keys.filter((key) => !message.keys.includes(key));
      this.holdings.set(place, { keys: left, sinceMs });
    }
  }

  private probing(): ChildProcess {
    const { bootstrap, topic, group, partitions } = this.options;
    const settings: MemberSettings = {
      ...{ bootstrap, topic, partitions },
      ...{ group: `${group}-shares`, seed: 0, isChurning: true },
    };
    const child = fork(PROBE, [JSON.stringify(settings)], { stdio: ['ignore', 2, 2, 'ipc'] });
    child.on('message', (share: ShareTaken) => this.times.share(share));
    child.once('exit', (code, signal) => {
      if (this.over.signal.aborted) return;
      this.problem ??= `the probe of shares ended by itself: ${signal ?? `exit ${code}`}`;
    });
    return child;
  }

  /** A process that is killed is followed by another, as a new member. */
  private async killNowAndThen(): Promise<void> {
    const { signal } = this.over;
    for (let turn = 0; ; turn += 1) {
      await pause(KILL_EVERY_MS, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      const place = turn % this.options.members;
      await this.replaceMember(place);
    }
  }

  private told(member: MemberProcess, message: FromMember): void {
    const { history } = this;
    switch (message.kind) {
      case 'new':
        member.send({ kind: 'go', p: history.newProcess() });
        return;
      case 'invoke':
        history.invoke(message.p, message.call);
        this.committed.invoked(message.p, message.call);
        if (message.isAwaited) member.send({ kind: 'go', p: message.p });
        return;
      case 'complete': {
        const { p, type, answer } = message;
        const f = history.complete(p, type, answer);
        if (f === 'commit' && type === 'ok') this.commits += 1;
        this.committed.completed(p, type);
        for (const rows of Object.values(answer.recs ?? {})) this.polledRecords += rows.length;
        return;
      }
      case 'rebalance': {
        const { p, gen, owned, m } = message;
        history.event({ f: 'rebalance', p, g: this.options.group, gen, owned, m });
        return;
      }
      case 'gaveUp':
        return;
      case 'joined':
        this.joined.push(message.ms);
        return;
      case 'gap':
        this.times.gap(message);
        return;
      case 'event':
        if (message.what === 'join') this.counts.joins += 1;
        else if (message.what === 'leave') this.counts.leaves += 1;
        else this.counts[message.what] += 1;
    }
  }
}
