/**
 * One process of `npm run chaos`: a member of a consumer group that reads and commits, joins once or
 * again and again, and tells the run of every call before it makes it. Started by group-load.ts, with
 * its settings as the only argument.
 */
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';

import { Prng } from '../../src/base/prng.js';
import {
  type BrokerError,
  type GroupConsumer,
  MillraceClient,
  type TopicPartition,
} from '../../src/client/index.js';
import type { Answer, Call, Row } from '../../test/checker/line.js';
import type { FromMember, MemberSettings, ToMember } from './group-protocol.js';
import { digest, valueOf } from './payload.js';

const settings = JSON.parse(process.argv[2] ?? '{}') as MemberSettings;
const { topic, group } = settings;
const prng = new Prng(settings.seed);
const COMMIT_MS = 200;
/** Shorter pauses of a partition are the pace of its writers. */
const GAP_MS_MIN = 100;
const LIVES_MS_MIN = 500;
const LIVES_MS_MAX = 4_000;

const waiting: ((p: number) => void)[] = [];
const state = { isSettled: !settings.isChurning, isStopping: false };
let wakeUp: () => void = () => undefined;

process.on('message', (message: ToMember) => {
  if (message.kind === 'go') {
    waiting.shift()?.(message.p);
    return;
  }
  state.isSettled = true;
  if (message.kind === 'stop') state.isStopping = true;
  wakeUp();
});
process.on('disconnect', () => process.exit(0));

function tell(message: FromMember): void {
  process.send?.(message);
}

async function ask(message: FromMember): Promise<number> {
  return await new Promise<number>((resolve) => {
    waiting.push(resolve);
    tell(message);
  });
}

const keyOf = (at: TopicPartition): string => `${at.topic}/${at.partition}`;

/** A logical process of the history: one call at a time, and a new one after each unknown outcome. */
class Logical {
  /** All processes of one member are one owner. */
  private readonly owner: string;
  private p = -1;
  private tail: Promise<unknown> = Promise.resolve();

  constructor(owner: string) {
    this.owner = owner;
  }

  /**
   * Makes the call in its turn, once it stands in the history; one that decides nothing for others may
   * be written down while it is made. Rejects if the call did.
   */
  async call<T>(
    callOf: () => Call,
    run: () => Promise<T>,
    answerOf: (value: T) => Answer,
  ): Promise<T> {
    return await this.inTurn(async () => {
      const { p } = this;
      const call = callOf();
      const invoke = { kind: 'invoke', p, call, isAwaited: call.f !== 'poll' } as const;
      if (invoke.isAwaited) await ask(invoke);
      else tell(invoke);
      try {
        const value = await run();
        tell({ kind: 'complete', p, type: 'ok', answer: answerOf(value) });
        return value;
      } catch (thrown) {
        const error = thrown as BrokerError;
        const type = error.outcome === 'none' || call.f !== 'commit' ? 'fail' : 'info';
        tell({ kind: 'complete', p, type, answer: { err: error.code } });
        if (type === 'info') this.p = -1;
        throw thrown;
      }
    });
  }

  async owns(consumer: GroupConsumer): Promise<void> {
    await this.inTurn(() => {
      const owned = consumer.assignment().map(keyOf);
      const gen = consumer.memberEpoch;
      if (gen > 0) tell({ kind: 'rebalance', p: this.p, gen, owned, m: this.owner });
      return Promise.resolve();
    });
  }

  private async inTurn<T>(run: () => Promise<T>): Promise<T> {
    const turn = this.tail.then(async () => {
      if (this.p < 0) this.p = await subscribed();
      return await run();
    });
    this.tail = turn.catch(() => undefined);
    return await turn;
  }
}

/** A new process that is a member of the group. */
async function subscribed(): Promise<number> {
  const p = await ask({ kind: 'new' });
  tell({ kind: 'invoke', p, call: { f: 'subscribe', g: group, v: [topic] }, isAwaited: false });
  tell({ kind: 'complete', p, type: 'ok', answer: {} });
  return p;
}

/** One membership, from joining to leaving. */
class Life {
  private readonly consumer: GroupConsumer;
  private readonly polls: Logical;
  private readonly commits: Logical;
  /** Next offset to read of what was handed out, by key. */
  private readonly positions = new Map<string, number>();
  private readonly committed = new Map<string, number>();
  private isOver = false;
  private readonly readAtMs = new Map<string, number>();
  private readonly startedAtMs = performance.now();
  private hasPartitions = false;

  constructor(client: MillraceClient) {
    const consumer = client.groupConsumer({
      group,
      topics: [topic],
      autoCommit: false,
      sessionTimeoutMs: 6_000,
      rebalanceTimeoutMs: 10_000,
      onAssigned: (at) => this.assigned(at),
      onRevoked: (at) => this.revoked(at),
      onLost: (at) => {
        tell({ kind: 'event', what: 'lost' });
        this.gaveUp(at.map(keyOf));
      },
    });
    this.consumer = consumer;
    this.polls = new Logical(consumer.memberId);
    this.commits = new Logical(consumer.memberId);
  }

  async live(): Promise<void> {
    tell({ kind: 'event', what: 'join' });
    const reading = this.read();
    const committing = this.commitNowAndThen();
    const livesMs = LIVES_MS_MIN + prng.int(LIVES_MS_MAX - LIVES_MS_MIN);
    const isOver = new Promise<void>((resolve) => (wakeUp = resolve));
    if (!state.isSettled) await Promise.race([pause(livesMs), isOver]);
    while (state.isSettled && !state.isStopping) {
      await new Promise<void>((resolve) => (wakeUp = resolve));
    }
    tell({ kind: 'event', what: 'leave' });
    this.isOver = true;
    await committing;
    await this.consumer.close();
    await reading;
  }

  private async read(): Promise<void> {
    const batches = this.consumer.batches();
    for (;;) {
      const next = await this.polls.call(
        () => ({ f: 'poll' }),
        async () => await batches.next(),
        (next): Answer => {
          if (next.done === true) return { recs: {} };
          const batch = next.value;
          const key = keyOf(batch);
          const rows = batch.records.map((record): Row => {
            const payload = record.value ?? new Uint8Array();
            return [record.offset, valueOf(payload), digest(payload), batch.leaderEpoch];
          });
          this.noteRead(key);
          this.positions.set(key, batch.nextOffset);
          return { recs: { [key]: rows }, hw: { [key]: batch.highWatermark } };
        },
      );
      if (next.done === true) return;
    }
  }

  private async assigned(at: readonly TopicPartition[]): Promise<void> {
    if (!this.hasPartitions) {
      this.hasPartitions = true;
      tell({ kind: 'joined', ms: performance.now() - this.startedAtMs });
    }
    await this.commits.owns(this.consumer);
    const ks = at.map(keyOf);
    await this.commits
      .call(
        () => ({ f: 'committed', g: group, ks }),
        async () => await this.consumer.committed(),
        (all) => ({
          offs: Object.fromEntries(
            ks.map((k) => [k, all.find((c) => keyOf(c) === k)?.offset ?? null]),
          ),
        }),
      )
      .catch(() => undefined);
  }

  private async revoked(at: readonly TopicPartition[]): Promise<void> {
    const keys = at.map(keyOf);
    for (const key of keys) this.readAtMs.delete(key);
    await this.commit(keys);
    this.gaveUp(keys);
  }

  private gaveUp(keys: readonly string[]): void {
    for (const key of keys) this.forget(key);
    tell({ kind: 'gaveUp', keys });
  }

  private forget(key: string): void {
    this.positions.delete(key);
    this.committed.delete(key);
    this.readAtMs.delete(key);
  }

  private async commitNowAndThen(): Promise<void> {
    while (!this.isOver) {
      await this.commit([...this.positions.keys()]);
      await pause(COMMIT_MS);
    }
  }

  /**
   * Everything handed out of these partitions counts as processed by now. One commit a partition: of
   * one call for many, nobody could say which part was refused.
   */
  private async commit(keys: readonly string[]): Promise<void> {
    for (const key of keys) {
      const offset = this.positions.get(key);
      // Given up, or lost, while others were committed.
      if (offset === undefined || this.committed.get(key) === offset) continue;
      const partition = Number(key.slice(key.lastIndexOf('/') + 1));
      try {
        await this.commits.call(
          () => ({
            f: 'commit',
            g: group,
            offs: { [key]: offset },
            gen: this.consumer.memberEpoch,
          }),
          async () => await this.consumer.commit([{ topic, partition, offset }]),
          () => ({}),
        );
        this.committed.set(key, offset);
      } catch {
        tell({ kind: 'event', what: 'refused' });
      }
    }
  }

  private noteRead(key: string): void {
    const nowMs = performance.timeOrigin + performance.now();
    const before = this.readAtMs.get(key);
    this.readAtMs.set(key, nowMs);
    if (before === undefined || nowMs - before < GAP_MS_MIN) return;
    tell({ kind: 'gap', key, fromMs: before, toMs: nowMs });
  }
}

const client = new MillraceClient({ bootstrap: settings.bootstrap });
const isStopping = (): boolean => state.isStopping;
while (!isStopping()) {
  await new Life(client).live();
  if (!isStopping()) await pause(prng.int(500));
}
await client.close();
process.disconnect();
