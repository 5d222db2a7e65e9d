import type { Durability } from '../model/durability.js';

type Bounds = Extract<Durability, { kind: 'unsafe-quorum-memory' }>;

/** After so long without anything unsynced, the state file says again that everything is on the disk. */
const SETTLE_MS = 10_000;

/**
 * Keeps what a log has written without a sync within the bounds that its topic allows: syncs early
 * enough, and lets writes wait when it is late. Owned by one store.
 *
 * Invariants: while anything is unsynced, the state file durably says that something may be; a write is
 * admitted only while nothing unsynced is older than flushMs and all of it fits flushBytes, but for a
 * larger one alone, which is synced itself.
 */
export class LazySync {
  private readonly store: {
    /** Makes everything written so far durable. */
    sync(): Promise<void>;
    /** Notes durably whether anything may be unsynced. */
    mark(mayBeUnsynced: boolean): Promise<void>;
    onError(error: unknown): void;
  };
  private bounds: Bounds | undefined;
  private isMarked = false;
  private isWriting = false;
  /** Written, and covered by no sync begun since. */
  private pendingBytes = 0;
  /** Covered by the sync under way. */
  private syncingBytes = 0;
  /** When the oldest of what is pending was written. */
  private pendingSinceMs = 0;
  private syncingSinceMs = 0;
  private syncing: Promise<void> | undefined;
  private timer: NodeJS.Timeout | undefined;
  private isStopped = false;

  constructor(store: LazySync['store']) {
    this.store = store;
  }

  get unsyncedBytes(): number {
    return this.pendingBytes + this.syncingBytes;
  }

  /** From fsync on nothing is unsynced: the caller lets no write in between. */
  async setBounds(bounds: Bounds | undefined): Promise<void> {
    this.bounds = bounds;
    if (bounds === undefined) await this.settle();
    else if (this.pendingBytes > 0) this.schedule();
  }

  /** One at a time: a write of so many bytes, which is told whether to sync itself. */
  async write(bytes: number, run: (sync: boolean) => Promise<void>): Promise<void> {
    const { bounds } = this;
    if (bounds === undefined) {
      await run(true);
      return;
    }
    this.isWriting = true;
    try {
      if (!this.isMarked) {
        this.isMarked = true;
        await this.store.mark(true);
      }
      while (this.unsyncedBytes > 0 && this.isOver(bounds, bytes)) {
        await (this.syncing ?? this.begin());
      }
      const isLazy = bytes <= bounds.flushBytes;
      await run(!isLazy);
      if (isLazy) this.wrote(bytes, bounds);
    } finally {
      this.isWriting = false;
    }
  }

  /** Resolves once everything written before is on the disk. */
  async drain(): Promise<void> {
    while (this.unsyncedBytes > 0) await (this.syncing ?? this.begin());
  }

  /** Everything is on the disk, and the state file says so. */
  async settle(): Promise<void> {
    await this.drain();
    if (!this.isMarked || this.isWriting || this.unsyncedBytes > 0) return;
    this.isMarked = false;
    await this.store.mark(false);
  }

  stop(): void {
    this.isStopped = true;
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  private wrote(bytes: number, bounds: Bounds): void {
    if (this.isStopped) return;
    if (this.pendingBytes === 0) this.pendingSinceMs = performance.now();
    this.pendingBytes += bytes;
    // The other half has room for what comes while this one is on its way.
    if (this.pendingBytes >= bounds.flushBytes / 2 && this.syncing === undefined) {
      this.begin().catch(() => undefined);
    } else {
      this.schedule();
    }
  }

  private isOver(bounds: Bounds, bytes: number): boolean {
    const sinceMs = this.syncingBytes > 0 ? this.syncingSinceMs : this.pendingSinceMs;
    const isLate = performance.now() - sinceMs >= bounds.flushMs;
    return isLate || this.unsyncedBytes + bytes > bounds.flushBytes;
  }

  /** Half the time is for the sync itself. */
  private schedule(): void {
    if (this.timer !== undefined || this.isStopped || this.bounds === undefined) return;
    const ageMs = performance.now() - this.pendingSinceMs;
    const waitMs = Math.max(0, this.bounds.flushMs / 2 - ageMs);
    this.timer = setTimeout(() => this.due(), waitMs);
  }

  private due(): void {
    this.timer = undefined;
    if (this.syncing !== undefined) return;
    if (this.pendingBytes > 0) this.begin().catch(() => undefined);
    else if (!this.isWriting) this.settle().catch((error: unknown) => this.store.onError(error));
  }

  /** Rejects, after telling the store, if what was written may be lost. */
  private begin(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.syncingBytes = this.pendingBytes;
    this.syncingSinceMs = this.pendingSinceMs;
    this.pendingBytes = 0;
    this.syncing = this.run();
    return this.syncing;
  }

  private async run(): Promise<void> {
    try {
      await this.store.sync();
      this.syncingBytes = 0;
    } catch (error) {
      this.stop();
      this.store.onError(error);
      throw error;
    } finally {
      this.syncing = undefined;
    }
    if (this.pendingBytes > 0) this.schedule();
    else if (!this.isStopped) this.timer ??= setTimeout(() => this.due(), SETTLE_MS);
  }
}
