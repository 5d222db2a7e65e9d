import type { ClusterMethods, CommittedOffset, OffsetToCommit } from '../../src/client/types.js';
import { BrokerError } from '../../src/model/errors.js';
import type { HistoryWriter } from '../checker/index.js';
import type { Row } from '../checker/line.js';
import type { CallWatcher } from './client-transport.js';

/** A commit of one partition, from its first attempt to its end. */
interface OpenCommit {
  readonly p: number;
  readonly offset: number;
  /** As what the member commits: attempts of one commit have one. */
  readonly gen: number;
  /** Attempts that are not answered. */
  underWay: number;
  /** Some attempt ended without telling whether it took effect. */
  isInDoubt: boolean;
}

export interface JournalOptions {
  readonly group: string;
  /** Of which there is a history; its partitions are the history's keys. */
  readonly topic: string;
  readonly isFromEnd: boolean;
  /** What the member is in now. */
  readonly state: () => { readonly gen: number; readonly owned: readonly string[] };
}

/**
 * One member's calls as the history has them. Commits and looking up committed offsets are the
 * client library's own doing: they are seen on their way to the brokers, and all attempts of one
 * commit are one operation.
 */
export class GroupJournal {
  private readonly history: HistoryWriter;
  private readonly options: JournalOptions;
  /** Static name, or the member's own. */
  private readonly owner: string;
  private readonly poller: number;
  private idle: number[] = [];
  private readonly open = new Map<string, OpenCommit>();

  constructor(history: HistoryWriter, owner: string, options: JournalOptions) {
    this.history = history;
    this.owner = owner;
    this.options = options;
    this.poller = this.newProcess();
  }

  /** What the member holds has changed. */
  owns(): void {
    this.tellOwned(this.poller);
  }

  polls(): void {
    this.history.invoke(this.poller, { f: 'poll' });
  }

  polled(key: string, rows: readonly Row[], highWatermark: number | undefined): void {
    const isKnown = this.isKey(key) && rows.length > 0;
    const hw = isKnown && highWatermark !== undefined ? { hw: { [key]: highWatermark } } : {};
    this.history.complete(this.poller, 'ok', { recs: isKnown ? { [key]: rows } : {}, ...hw });
  }

  pollFailed(error: BrokerError): void {
    this.history.complete(this.poller, 'fail', { err: error.code });
  }

  readonly watcher: CallWatcher = (method, request, answer) => {
    if (method === 'commitOffsets') {
      const { offsets, member } = request as ClusterMethods['commitOffsets']['request'];
      const answers = answer as Promise<readonly CommittedOffset[]>;
      for (const at of offsets) this.commits(at, member?.memberEpoch ?? 0, answers);
    } else if (method === 'fetchOffsets') {
      const { partitions } = request as ClusterMethods['fetchOffsets']['request'];
      const ks = partitions.map((p) => `${p.topic}/${p.partition}`).filter((k) => this.isKey(k));
      if (ks.length > 0) this.looksUp(ks, answer as Promise<readonly CommittedOffset[]>);
    }
  };

  private commits(
    { topic, partition, offset }: OffsetToCommit,
    gen: number,
    answers: Promise<readonly CommittedOffset[]>,
  ): void {
    const key = `${topic}/${partition}`;
    if (!this.isKey(key)) return;
    const before = this.open.get(key);
    const isAnother = before?.offset !== offset || before.gen !== gen;
    if (before !== undefined && isAnother) this.giveUp(key, before);
    let commit = this.open.get(key);
    if (commit === undefined) {
      commit = { p: this.process(), offset, gen, underWay: 0, isInDoubt: false };
      this.open.set(key, commit);
      const { group: g } = this.options;
      this.history.invoke(commit.p, { f: 'commit', g, offs: { [key]: offset }, gen });
    }
    const one = commit;
    one.underWay += 1;
    const ended = (error: BrokerError | undefined): void => {
      one.underWay -= 1;
      if (this.open.get(key) === one) this.attempted(key, one, error);
    };
    answers.then(
      (all) => ended(all.find((a) => a.topic === topic && a.partition === partition)?.error),
      (thrown: unknown) => ended(BrokerError.from(thrown)),
    );
  }

  private attempted(key: string, commit: OpenCommit, error: BrokerError | undefined): void {
    if (error === undefined) {
      this.open.delete(key);
      this.history.complete(commit.p, 'ok');
      this.idle.push(commit.p);
      return;
    }
    if (error.outcome === 'unknown') commit.isInDoubt = true;
    // It may be tried again; if not, the next commit ends it.
    if (!error.retriable) this.giveUp(key, commit);
  }

  private giveUp(key: string, commit: OpenCommit): void {
    this.open.delete(key);
    const isOver = !commit.isInDoubt && commit.underWay === 0;
    this.history.complete(commit.p, isOver ? 'fail' : 'info', { err: 'REFUSED' });
    if (isOver) this.idle.push(commit.p);
  }

  private looksUp(ks: readonly string[], answer: Promise<readonly CommittedOffset[]>): void {
    const p = this.process();
    this.history.invoke(p, { f: 'committed', g: this.options.group, ks });
    answer.then(
      (all) => {
        const found = new Map(all.map((a) => [`${a.topic}/${a.partition}`, a]));
        const isWhole = ks.every((k) => found.has(k) && found.get(k)?.error === undefined);
        const offs = Object.fromEntries(ks.map((k) => [k, found.get(k)?.offset ?? null]));
        if (isWhole) this.history.complete(p, 'ok', { offs });
        else this.history.complete(p, 'fail', { err: 'PARTIAL' });
        this.idle.push(p);
      },
      (thrown: unknown) => {
        this.history.complete(p, 'fail', { err: BrokerError.from(thrown).code });
        this.idle.push(p);
      },
    );
  }

  /** With nothing in flight, and known to be the member's. */
  private process(): number {
    const p = this.idle.pop() ?? this.newProcess();
    this.tellOwned(p);
    return p;
  }

  private newProcess(): number {
    const { history, options } = this;
    const { group: g, topic, isFromEnd } = options;
    const p = history.newProcess();
    const reset = isFromEnd ? 'end' : 'begin';
    history.invoke(p, { f: 'subscribe', g, v: [topic], reset });
    history.complete(p, 'ok');
    return p;
  }

  private tellOwned(p: number): void {
    const { gen, owned } = this.options.state();
    const { group: g } = this.options;
    if (gen === 0) return;
    const keys = owned.filter((key) => this.isKey(key));
    this.history.event({ f: 'rebalance', p, g, gen, owned: keys, m: this.owner });
  }

  private isKey(key: string): boolean {
    return key.startsWith(`${this.options.topic}/`);
  }
}
