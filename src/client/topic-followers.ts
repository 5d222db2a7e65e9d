import type { Cancel, World } from '../ports/world.js';
import type { TopicInfo } from './types.js';

type Listener = (info: TopicInfo) => void;

/** After an answer that did not come: soon again, as the next broker may be well. */
const RETRY_MS = 1_000;

/**
 * Keeps those informed who depend on what a topic is like, beyond who leads it: how many partitions it
 * has and how it is set. All topics that somebody follows are asked for together, one question at a
 * time.
 *
 * Invariant: no timer runs while nobody follows anything.
 */
export class TopicFollowers {
  private readonly world: World;
  private readonly refreshMs: number;
  /** Asks one broker; what it answers is told through {@link tell}. */
  private readonly ask: (topics: readonly string[]) => Promise<void>;
  private readonly byTopic = new Map<string, Set<Listener>>();
  private timer: Cancel | undefined;
  private isAsking = false;
  private isClosed = false;

  constructor(world: World, refreshMs: number, ask: (topics: readonly string[]) => Promise<void>) {
    this.world = world;
    this.refreshMs = refreshMs;
    this.ask = ask;
  }

  /** Told whatever is heard of the topic, changed or not; to be taken back once. */
  follow(topic: string, listener: Listener): Cancel {
    const listeners = this.byTopic.get(topic) ?? new Set();
    this.byTopic.set(topic, listeners);
    listeners.add(listener);
    this.schedule(this.refreshMs);
    return () => {
      listeners.delete(listener);
      if (listeners.size > 0 || this.byTopic.get(topic) !== listeners) return;
      this.byTopic.delete(topic);
      if (this.byTopic.size === 0) this.unschedule();
    };
  }

  tell(info: TopicInfo): void {
    for (const listener of [...(this.byTopic.get(info.topic) ?? [])]) listener(info);
  }

  close(): void {
    this.isClosed = true;
    this.byTopic.clear();
    this.unschedule();
  }

  private schedule(delayMs: number): void {
    if (this.timer !== undefined || this.isAsking || this.isClosed) return;
    // Clients that began together do not ask in step.
    const jitter = 0.8 + 0.2 * (this.world.random.u32() / 0x1_0000_0000);
    this.timer = this.world.timers.after(delayMs * jitter, () => {
      this.timer = undefined;
      void this.round();
    });
  }

  private unschedule(): void {
    this.timer?.();
    this.timer = undefined;
  }

  private async round(): Promise<void> {
    this.isAsking = true;
    let nextMs = this.refreshMs;
    try {
      await this.ask([...this.byTopic.keys()]);
    } catch {
      nextMs = Math.min(nextMs, RETRY_MS);
    }
    this.isAsking = false;
    if (this.byTopic.size > 0) this.schedule(nextMs);
  }
}
