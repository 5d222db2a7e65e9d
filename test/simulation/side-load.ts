import { hexOf } from '../../src/base/bytes.js';
import type { Prng } from '../../src/base/prng.js';
import type { TopicMetadata } from '../../src/broker/admin-types.js';
import type { BrokerServices } from '../../src/broker/types.js';
import { BrokerError } from '../../src/model/errors.js';
import { topicId } from '../../src/model/ids.js';
import { linearizable, type ModelCall } from '../checker/linearizable.js';
import type { ClientNet } from './client-net.js';
import type { LoadContext } from './load.js';
import { Violation } from './violation.js';
import { ms, type Micros } from './world.js';

type FoundTopic = Extract<TopicMetadata, { readonly error?: undefined }>;

/** What brokers are told. */
const CALL = { deadlineMs: 4_000 };
const PATIENCE_MS = [50, 500, CALL.deadlineMs + 500];
const ATTEMPTS_MAX = 3;
/** What follows at once, while attempts at what was before may still be on their way. */
const AT_ONCE_CHANCE = 0.6;
const AT_ONCE: Micros = ms(100);

/** Creates, looks up and deletes topics of few names, and notes what it was told. */
export class TopicClient {
  private readonly context: LoadContext;
  private readonly prng: Prng;
  private p: number;
  private isOn = true;

  constructor(context: LoadContext, prng: Prng, period: Micros) {
    this.context = context;
    this.prng = prng;
    this.p = context.history.newProcess();
    this.next(period);
  }

  stop(): void {
    this.isOn = false;
  }

  private next(period: Micros): void {
    const longest = this.prng.chance(AT_ONCE_CHANCE) ? AT_ONCE : 2 * period;
    this.context.scheduler.schedule(1 + this.prng.int(longest), undefined, () => {
      if (!this.isOn) return;
      void this.act().then(() => this.next(period));
    });
  }

  private async act(): Promise<void> {
    const { context, prng } = this;
    const { history } = context;
    const topic = prng.pick(['side-a', 'side-b']);
    const kind = prng.int(3);
    try {
      switch (kind) {
        case 0: {
          const partitions = 1 + prng.int(3);
          history.invoke(this.p, { f: 'topic-create', topic, partitions });
          await this.create(topic, partitions);
          history.complete(this.p, 'ok');
          break;
        }
        case 1: {
          history.invoke(this.p, { f: 'topic-delete', topic });
          await this.delete(topic);
          history.complete(this.p, 'ok');
          break;
        }
        default: {
          history.invoke(this.p, { f: 'topic-get', topic });
          const found = await this.find(topic);
          const state = found === undefined ? null : { partitions: found.partitions.length };
          history.complete(this.p, 'ok', { state });
        }
      }
    } catch (thrown) {
      this.failed(BrokerError.from(thrown), kind === 0);
    }
  }

  /** As the client does: however many attempts, they are for one topic. */
  private async create(topic: string, partitions: number): Promise<void> {
    const { prng } = this;
    const request = {
      topic,
      topicId: topicId(hexOf(Uint8Array.from({ length: 16 }, () => prng.int(256)))),
      partitions,
      replicationFactor: undefined,
      config: new Map<string, string>(),
      noWait: prng.chance(0.5),
      timeoutMs: undefined,
    };
    await this.insist((s) => s.admin.createTopic(request, CALL));
  }

  private async delete(topic: string): Promise<void> {
    const found = await this.find(topic);
    if (found === undefined) throw new BrokerError('UNKNOWN_TOPIC', `there is no ${topic}`);
    const request = { topic, topicId: found.topicId, timeoutMs: undefined };
    try {
      await this.insist((s) => s.admin.deleteTopic(request, CALL));
    } catch (thrown) {
      const error = BrokerError.from(thrown);
      // An attempt whose answer was lost did it.
      if (error.code !== 'UNKNOWN_TOPIC' || error.outcome !== 'unknown') throw error;
    }
  }

  private async find(topic: string): Promise<FoundTopic | undefined> {
    const request = { topics: [topic], linearizable: true };
    const { topics } = await this.insist((s) => s.admin.getMetadata(request, CALL));
    const [found] = topics;
    if (found === undefined) return undefined;
    if (found.error === undefined) return found;
    if (found.error.code === 'UNKNOWN_TOPIC') return undefined;
    throw found.error;
  }

  /** Asks another broker when one takes its time: what it was asked may arrive long after that. */
  private async insist<T>(ask: (services: BrokerServices) => Promise<T>): Promise<T> {
    const { context, prng } = this;
    let isInDoubt = false;
    for (let attempt = 1; ; attempt += 1) {
      const patienceMs = prng.pick(PATIENCE_MS);
      try {
        return await context.net.call(1 + prng.int(context.brokers), patienceMs, ask);
      } catch (thrown) {
        const error = BrokerError.from(thrown);
        if (error.outcome === 'unknown' || error.code === 'BROKER_UNAVAILABLE') isInDoubt = true;
        const isOver = !error.retriable || attempt === ATTEMPTS_MAX || !this.isOn;
        if (isOver) throw isInDoubt ? error.inDoubt() : error;
      }
    }
  }

  private failed(error: BrokerError, isCreate: boolean): void {
    const { history, scheduler } = this.context;
    if (error.code === 'INTERNAL') scheduler.fail(error.cause ?? error);
    scheduler.say(() => `topic client: ${error.code} ${error.message}`);
    if (error.outcome === 'unknown') {
      history.complete(this.p, 'info', { err: error.code });
      this.p = history.newProcess();
    } else if (error.code === 'TOPIC_EXISTS') history.complete(this.p, 'fail', { err: 'EXISTS' });
    else if (error.code === 'UNKNOWN_TOPIC' && !isCreate) {
      history.complete(this.p, 'fail', { err: 'NOT_FOUND' });
    } else history.complete(this.p, 'fail', { err: error.code });
  }
}

/** What a committed offset is to who reads it, where none is. */
const NONE = '-1';

/**
 * Commits rising offsets of one group, reads them back, and now and then has the group forget them:
 * they must be a register (P5).
 */
export class OffsetClient {
  private readonly net: ClientNet;
  private readonly context: LoadContext;
  private readonly prng: Prng;
  private readonly group: string;
  private readonly calls: ModelCall[] = [];
  private next = 0;
  private isOn = true;

  constructor(context: LoadContext, prng: Prng, group: string, period: Micros) {
    this.net = context.net;
    this.context = context;
    this.prng = prng;
    this.group = group;
    this.schedule(period);
  }

  stop(): void {
    this.isOn = false;
  }

  /** Throws if what was told cannot have happened. */
  check(): void {
    const result = linearizable(this.calls, NONE);
    if (result.kind === 'yes') return;
    const at = result.kind === 'no' ? result.at.text : 'could not be decided';
    throw new Violation('I25', 'committed offsets are no register', { group: this.group, at });
  }

  private schedule(period: Micros): void {
    this.context.scheduler.schedule(1 + this.prng.int(2 * period), undefined, () => {
      if (!this.isOn) return;
      void this.act().then(() => this.schedule(period));
    });
  }

  private act(): Promise<void> {
    const { prng } = this;
    if (!prng.chance(0.6)) return this.read();
    return prng.chance(0.15) ? this.clear() : this.commit();
  }

  /** Deletes the group, or what it has committed; without members and offsets there is no group. */
  private async clear(): Promise<void> {
    const { context, prng, group } = this;
    const from = context.scheduler.now;
    const options = { deadlineMs: 3_000 };
    const { topic, partition } = this.where();
    const forgotten = { group, topics: [{ topic, topicId: undefined, partitions: [partition] }] };
    const isWhole = prng.chance(0.5);
    const text = isWhole ? 'delete the group' : 'delete its offset';
    try {
      await this.net.call(1 + prng.int(context.brokers), 3_500, async ({ groups }) => {
        if (isWhole) await groups.deleteGroup(group, options);
        else await groups.deleteGroupOffsets(forgotten, options);
      });
      this.calls.push({ from, to: context.scheduler.now, step: () => NONE, text });
    } catch (thrown) {
      const error = BrokerError.from(thrown);
      if (error.code === 'INTERNAL') context.scheduler.fail(error.cause ?? error);
      context.scheduler.say(() => `offset client: ${text}: ${error.code} ${error.message}`);
      if (error.outcome !== 'none') {
        this.calls.push({ from, to: Number.POSITIVE_INFINITY, step: () => NONE, text });
      } else if (error.code === 'UNKNOWN_GROUP') {
        const step = (state: string): string | undefined => (state === NONE ? state : undefined);
        this.calls.push({ from, to: context.scheduler.now, step, text: `${text}: there is none` });
      }
    }
  }

  private async commit(): Promise<void> {
    const { context, prng, group } = this;
    // Offset 0 is committed and committed again: it never exceeds the high watermark.
    const metadata = String((this.next += 1));
    if (prng.chance(0.1)) await this.commitBeyond(metadata);
    const from = context.scheduler.now;
    let to = Number.POSITIVE_INFINITY;
    let isRefused = false;
    try {
      const request = { group, offsets: [{ ...this.where(), offset: 0, metadata }] };
      const options = { deadlineMs: 3_000 };
      const [answer] = await this.net.call(1 + prng.int(context.brokers), 3_500, (s) =>
        s.admin.commitOffsets(request, options),
      );
      if (answer?.error !== undefined) throw answer.error;
      to = context.scheduler.now;
    } catch (thrown) {
      const error = BrokerError.from(thrown);
      if (error.code === 'INTERNAL') context.scheduler.fail(error.cause ?? error);
      context.scheduler.say(() => `offset client: ${error.code} ${error.message}`);
      isRefused = error.outcome === 'none';
    }
    if (isRefused) return;
    this.calls.push({ from, to, step: () => metadata, text: `commit ${metadata}` });
  }

  /** What nobody can have read is refused, whoever is asked (I25, and the oracle sees it too). */
  private async commitBeyond(metadata: string): Promise<void> {
    const { context, prng, group } = this;
    const request = { group, offsets: [{ ...this.where(), offset: 1_000_000, metadata }] };
    await this.net
      .call(1 + prng.int(context.brokers), 3_500, (s) =>
        s.admin.commitOffsets(request, { deadlineMs: 3_000 }),
      )
      .then(
        ([answer]) => {
          if (answer?.error !== undefined) return;
          context.scheduler.fail(new Violation('I25', 'takes a commit beyond the end', { group }));
        },
        () => undefined,
      );
  }

  private async read(): Promise<void> {
    const { context, prng, group } = this;
    const from = context.scheduler.now;
    try {
      const request = { group, partitions: [this.where()] };
      const options = { deadlineMs: 2_000 };
      const answers = await this.net.call(1 + prng.int(context.brokers), 2_500, (s) =>
        s.admin.fetchOffsets(request, options),
      );
      const [answer] = answers;
      if (answer?.error !== undefined) throw answer.error;
      const seen = answer === undefined || answer.offset < 0 ? NONE : answer.metadata;
      this.calls.push({
        from,
        to: context.scheduler.now,
        step: (state) => (state === seen ? state : undefined),
        text: `read ${seen}`,
      });
    } catch (thrown) {
      const error = BrokerError.from(thrown);
      context.scheduler.say(() => `offset client: ${error.code} ${error.message}`);
    }
  }

  private where(): { topic: string; partition: number } {
    return { topic: 'events', partition: 0 };
  }
}

/** Keeps a topic short: what is trimmed everywhere becomes snapshots. */
export class Trimmer {
  private readonly context: LoadContext;
  private readonly prng: Prng;
  private isOn = true;

  constructor(context: LoadContext, prng: Prng, topic: string, period: Micros) {
    this.context = context;
    this.prng = prng;
    this.next(topic, period);
  }

  stop(): void {
    this.isOn = false;
  }

  private next(topic: string, period: Micros): void {
    const { scheduler, net, brokers } = this.context;
    scheduler.schedule(1 + this.prng.int(2 * period) + ms(1), undefined, () => {
      if (!this.isOn) return;
      const options = { deadlineMs: 2_000 };
      const request = { topic, partition: 0, beforeOffset: -1 };
      net
        .call(1 + this.prng.int(brokers), 2_500, (s) => s.admin.trimPartition(request, options))
        .then(
          (start) => scheduler.say(() => `${topic} is trimmed to ${start}`),
          (error: unknown) => scheduler.say(() => `trimming: ${String(error)}`),
        )
        .finally(() => this.next(topic, period));
    });
  }
}
