import { setTimeout as pause } from 'node:timers/promises';

import { type BrokerError, MillraceClient } from '../../src/client/index.js';
import type { HistoryWriter } from '../../test/checker/index.js';
import type { Answer, Call } from '../../test/checker/line.js';

const EVERY_MS = 1_000;
const LOOKS_EVERY_MS = 200;
const RETENTION = 'retention.ms';
const CALL_MS = 10_000;

/**
 * Topics that are made, changed and deleted all the time, and somebody who looks at them meanwhile: what
 * metadata is worth. Nothing is written to these topics. Every name is used once.
 */
export class TopicLoad {
  readonly counts = { made: 0, looks: 0, failed: 0 };
  private readonly client: MillraceClient;
  private readonly history: HistoryWriter;
  private readonly over = new AbortController();
  private topic = '';
  private running: Promise<unknown> = Promise.resolve();

  constructor(bootstrap: readonly string[], history: HistoryWriter) {
    this.client = new MillraceClient({ bootstrap, timeoutMs: CALL_MS });
    this.history = history;
  }

  start(): void {
    this.running = Promise.all([this.change(), this.look()]);
  }

  async stop(): Promise<void> {
    this.over.abort();
    await this.running;
    await this.client.close();
  }

  private async change(): Promise<void> {
    const actor = new Actor(this.history);
    for (let n = 0; !this.over.signal.aborted; n += 1) {
      const topic = `side-${n}`;
      this.topic = topic;
      const partitions = 1 + (n % 2);
      const { admin } = this.client;
      const isMade = await actor.call(
        { f: 'topic-create', topic, partitions },
        async () => await admin.createTopic({ topic, partitions, wait: false }),
      );
      if (isMade) this.counts.made += 1;
      else this.counts.failed += 1;
      await this.rest(EVERY_MS);
      for (const value of ['86400000', '3600000']) {
        await actor.call(
          { f: 'topic-config', topic, cfg: { [RETENTION]: value } },
          async () => await admin.alterTopic({ topic, set: { [RETENTION]: value } }),
        );
      }
      await this.get(actor, topic);
      await actor.call({ f: 'topic-delete', topic }, async () => await admin.deleteTopic(topic));
      await this.get(actor, topic);
      await this.rest(EVERY_MS);
    }
  }

  private async look(): Promise<void> {
    const actor = new Actor(this.history);
    while (!this.over.signal.aborted) {
      if (this.topic !== '') await this.get(actor, this.topic);
      await this.rest(LOOKS_EVERY_MS);
    }
  }

  private async get(actor: Actor, topic: string): Promise<void> {
    this.counts.looks += 1;
    await actor.call(
      { f: 'topic-get', topic },
      async () => await this.client.admin.metadata({ topics: [topic] }),
      ({ topics }) => {
        const [info] = topics;
        if (info === undefined || info.error?.code === 'UNKNOWN_TOPIC') return { state: null };
        if (info.error !== undefined) throw info.error;
        return { state: { partitions: info.partitions.length, cfg: info.config } };
      },
    );
  }

  private async rest(ms: number): Promise<void> {
    await pause(ms, undefined, { signal: this.over.signal }).catch(() => undefined);
  }
}

/** One logical client: one call at a time, a new process of the history after an unknown outcome. */
class Actor {
  private readonly history: HistoryWriter;
  private p: number;

  constructor(history: HistoryWriter) {
    this.history = history;
    this.p = history.newProcess();
  }

  /** Whether the call was answered as it should be. */
  async call<T>(
    call: Call,
    run: () => Promise<T>,
    answerOf: (value: T) => Answer = () => ({}),
  ): Promise<boolean> {
    const { history, p } = this;
    history.invoke(p, call);
    try {
      history.complete(p, 'ok', answerOf(await run()));
      return true;
    } catch (thrown) {
      const error = thrown as BrokerError;
      // The client tries again by itself: of a change, an attempt before the last may have taken effect.
      const isLookOnly = call.f === 'topic-get';
      history.complete(p, isLookOnly ? 'fail' : 'info', { err: error.code });
      if (!isLookOnly) this.p = history.newProcess();
      return false;
    }
  }
}
