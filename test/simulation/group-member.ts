import type { Prng } from '../../src/base/prng.js';
import type { ClusterView } from '../../src/client/cluster-view.js';
import { GroupConsumer, type GroupConsumerOptions } from '../../src/client/group-consumer.js';
import type { ConsumedBatch, ConsumedRecord } from '../../src/client/records.js';
import type { TopicPartition } from '../../src/client/types.js';
import { BrokerError, type ErrorCode } from '../../src/model/errors.js';
import type { Row } from '../checker/line.js';
import type { SimClientTransport } from './client-transport.js';
import { GroupJournal } from './group-journal.js';
import { rowOf, simClient, type LoadContext } from './load.js';
import { Violation } from './violation.js';
import { ms, type SimProcess } from './world.js';

export interface MemberOptions extends Pick<
  GroupConsumerOptions,
  | 'group'
  | 'topics'
  | 'pattern'
  | 'instanceId'
  | 'assignor'
  | 'rack'
  | 'sessionTimeoutMs'
  | 'rebalanceTimeoutMs'
  | 'processingTimeoutMs'
  | 'autoCommit'
> {
  /** Of which there is a history. */
  readonly topic: string;
}

export interface MemberHabits {
  /** Longest time that one record, or batch, takes it. */
  readonly workMsMax: number;
  readonly isBatchwise: boolean;
  readonly clockRate: number;
}

/** What a member's reading may end with, and go on after. */
const PASSING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'PROCESSING_TIMEOUT',
  'DEADLINE_EXCEEDED',
  'UNRELEASED_INSTANCE_ID',
  'SHUTTING_DOWN',
]);
const COMMIT_MS = 300;
const AGAIN_MS = 50;

const keyOf = ({ topic, partition }: TopicPartition): string => `${topic}/${partition}`;

/** A program that is a member of a consumer group, by the production client library, in a process of its own. */
export class SimMember {
  readonly process: SimProcess;
  readonly options: MemberOptions;
  readonly consumer: GroupConsumer;
  /** Records handed out. */
  polled = 0;
  private readonly habits: MemberHabits;
  private readonly context: LoadContext;
  private readonly prng: Prng;
  private readonly transport: SimClientTransport;
  private readonly journal: GroupJournal;
  private readonly view: ClusterView;
  private committed = 0;
  private isHurried = false;
  private isClosing = false;
  private isClosed = false;

  constructor(context: LoadContext, prng: Prng, options: MemberOptions, habits: MemberHabits) {
    this.habits = habits;
    this.context = context;
    this.prng = prng;
    this.options = options;
    const client = simClient(context, prng, habits.clockRate);
    this.process = client.world;
    this.transport = client.transport;
    this.view = client.view;
    const { topic, ...chosen } = options;
    this.consumer = new GroupConsumer(
      {
        ...chosen,
        autoCommitIntervalMs: COMMIT_MS,
        requestTimeoutMs: 5_000,
        prefetchBytesMax: prng.pick([400, 4_000, 100_000]),
        onAssigned: () => this.journal.owns(),
        onRevoked: async (at) => await this.revoked(at),
      },
      client,
    );
    const owner = options.instanceId ?? this.consumer.memberId;
    this.journal = new GroupJournal(context.history, owner, {
      ...{ group: options.group, topic, isFromEnd: false },
      state: () => ({ gen: this.consumer.memberEpoch, owned: this.holding() }),
    });
    this.transport.watcher = this.journal.watcher;
    void this.read();
    if (options.autoCommit === false) this.commitLater();
  }

  /** It runs, and has not been told to leave. */
  get isIn(): boolean {
    return this.process.isAlive && !this.isClosing;
  }

  /** It has left, or is dead. */
  get isOver(): boolean {
    return this.isClosed || !this.process.isAlive;
  }

  /** From now on nothing that comes takes it long. */
  hurry(): void {
    this.isHurried = true;
  }

  holding(): string[] {
    return this.consumer.assignment().map(keyOf);
  }

  /** SIGKILL. Who was connected hears of it, unless the whole machine is gone. */
  crash(isHeard: boolean): void {
    this.say('crashes');
    this.process.kill();
    if (isHeard) this.transport.reset();
    else this.context.scheduler.schedule(ms(15_000), undefined, () => this.transport.reset());
  }

  async close(isForGood: boolean): Promise<void> {
    if (this.isClosing) return;
    this.isClosing = true;
    this.say('closes');
    try {
      await this.consumer.close({ leave: isForGood });
    } catch (thrown) {
      this.mayFail(BrokerError.from(thrown), 'closing');
    }
    this.isClosed = true;
    this.view.close();
    this.say('has closed');
  }

  private say(what: string): void {
    const { group } = this.options;
    const name = this.consumer.memberId.slice(0, 6);
    this.context.scheduler.say(() => `member ${name} of ${group} ${what}`);
  }

  private async read(): Promise<void> {
    const { habits, consumer } = this;
    do {
      const next = habits.isBatchwise ? consumer.batches() : consumer.records();
      try {
        for (;;) {
          this.journal.polls();
          const result = await next.next();
          if (result.done === true) {
            this.journal.polled('', [], undefined);
            break;
          }
          this.take(result.value);
          await this.work();
        }
      } catch (thrown) {
        const error = BrokerError.from(thrown);
        this.journal.pollFailed(error);
        this.mayFail(error, 'reading');
      }
    } while (await this.isInAgain());
  }

  private async isInAgain(): Promise<boolean> {
    if (this.isIn) await this.pause(AGAIN_MS);
    return this.isIn;
  }

  private take(got: ConsumedBatch | ConsumedRecord): void {
    const isBatch = 'records' in got;
    const records = isBatch ? got.records : [got];
    const rows = records.map((record): Row => {
      const row = rowOf(record.offset, record.value);
      return isBatch ? [...row, got.leaderEpoch] : row;
    });
    this.polled += rows.length;
    const { scheduler } = this.context;
    scheduler.hash.add(rows.length, records[0]?.offset ?? 0);
    scheduler.say(
      () =>
        `member ${this.consumer.memberId.slice(0, 6)} got ${keyOf(got)} ` +
        `${records[0]?.offset ?? -1}..${records.at(-1)?.offset ?? -1}`,
    );
    this.journal.polled(keyOf(got), rows, isBatch ? got.highWatermark : undefined);
  }

  /** What it takes to process what came. */
  private async work(): Promise<void> {
    if (this.isHurried || this.prng.chance(0.6)) return;
    await this.pause(1 + this.prng.int(this.habits.workMsMax));
  }

  private async revoked(at: readonly TopicPartition[]): Promise<void> {
    if (this.options.autoCommit !== false) return;
    const offsets = at.map((one) => ({ ...one, offset: this.consumer.position(one) }));
    await this.commit(async () => await this.consumer.commit(offsets));
  }

  private commitLater(): void {
    this.process.timers.after(COMMIT_MS, () => {
      if (this.isClosing) return;
      const { polled } = this;
      if (polled === this.committed) {
        this.commitLater();
        return;
      }
      void this.commit(async () => {
        await this.consumer.commit();
        this.committed = polled;
      }).then(() => this.commitLater());
    });
  }

  private async commit(run: () => Promise<void>): Promise<void> {
    try {
      await run();
    } catch (thrown) {
      const error = BrokerError.from(thrown);
      if (error.code === 'INTERNAL') this.context.scheduler.fail(error.cause ?? error);
      this.say(`could not commit: ${error.code} ${error.message}`);
    }
  }

  private mayFail(error: BrokerError, what: string): void {
    const { scheduler } = this.context;
    this.say(`fails ${what}: ${error.code} ${error.message}`);
    if (error.code === 'INTERNAL') scheduler.fail(error.cause ?? error);
    else if (!PASSING.has(error.code) && !error.retriable) {
      const { code, message } = error;
      scheduler.fail(new Violation('I25', `a member fails ${what}`, { code, message }));
    }
  }

  private async pause(delayMs: number): Promise<void> {
    await new Promise<void>((resolve) => this.process.timers.after(delayMs, resolve));
  }
}
