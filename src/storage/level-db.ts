import { Level } from 'level';
import { errorCode } from './durable-files.js';

export interface LevelDbOptions {
  readonly createIfMissing: boolean;
  readonly writeBufferBytes: number;
  readonly cacheBytes: number;
}

export type LevelOperation =
  | { readonly type: 'put'; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: Uint8Array };

export interface LevelScan {
  readonly gte: Uint8Array;
  readonly lt: Uint8Array;
  readonly reverse?: boolean;
  /** A native read ends once it holds more than this. */
  readonly bytesPerRead: number;
}

type Bytes = Level<Uint8Array, Uint8Array>;

/** LevelDB has it, but the package's types, shared with browsers, leave it out. */
interface Compactable {
  approximateSize(start: Uint8Array, end: Uint8Array): Promise<number>;
  compactRange(start: Uint8Array, end: Uint8Array): Promise<void>;
}

/** Files LevelDB may hold open beside its log; its own default is 1,000. */
const OPEN_FILES_MAX = 128;

/**
 * One LevelDB with every option that matters said out loud: no compression (batches are compressed
 * by producers, and Snappy would hide damage), bytes in and out, syncs chosen by each write. Owned
 * by one store, which never writes twice at once.
 */
export class LevelDb {
  private readonly db: Bytes;

  private constructor(db: Bytes) {
    this.db = db;
  }

  static async open(directory: string, options: LevelDbOptions): Promise<LevelDb> {
    const db: Bytes = new Level<Uint8Array, Uint8Array>(directory, {
      keyEncoding: 'view',
      valueEncoding: 'view',
      createIfMissing: options.createIfMissing,
      errorIfExists: false,
      compression: false,
      writeBufferSize: options.writeBufferBytes,
      cacheSize: options.cacheBytes,
      maxOpenFiles: OPEN_FILES_MAX,
    });
    await db.open();
    return new LevelDb(db);
  }

  /** Copies keys and values before it returns: the caller may reuse their memory at once. */
  write(operations: LevelOperation[], options: { readonly sync: boolean }): Promise<void> {
    return this.db.batch(operations, options);
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.db.get(key, { fillCache: false });
  }

  /** Pairs in key order, a native read at a time; sees the state of when it began. */
  async *scan(range: LevelScan): AsyncGenerator<[Uint8Array, Uint8Array][], void, undefined> {
    const iterator = this.db.iterator({
      gte: range.gte,
      lt: range.lt,
      reverse: range.reverse ?? false,
      fillCache: false,
      highWaterMarkBytes: range.bytesPerRead,
    });
    try {
      for (;;) {
        const pairs = await iterator.nextv(PAIRS_PER_READ);
        if (pairs.length === 0) return;
        yield pairs;
      }
    } finally {
      await iterator.close();
    }
  }

  /** The first key in the range; undefined if there is none. */
  async firstKey(gte: Uint8Array, lt: Uint8Array): Promise<Uint8Array | undefined> {
    for await (const key of this.db.keys({ gte, lt, limit: 1, fillCache: false })) return key;
    return undefined;
  }

  /** Stores what is still in memory as a file of its own, apart from what is written next. */
  flush(): Promise<void> {
    return this.compact(END_KEY, END_KEY);
  }

  /** Bytes that the range takes in files, about. */
  bytesOf(start: Uint8Array, end: Uint8Array): Promise<number> {
    return (this.db as unknown as Compactable).approximateSize(start, end);
  }

  compact(start: Uint8Array, end: Uint8Array): Promise<void> {
    return (this.db as unknown as Compactable).compactRange(start, end);
  }

  close(): Promise<void> {
    return this.db.close();
  }
}

const PAIRS_PER_READ = 4096;
/** Behind every key. */
const END_KEY = Uint8Array.of(0xff);

/** LevelDB is open elsewhere: in this process or another. */
export function isLockedError(error: unknown): boolean {
  return causesOf(error).some((cause) => errorCode(cause) === 'LEVEL_LOCKED');
}

/**
 * The machine lacked something (space, descriptors, permission), so that nothing is known about the
 * stored bytes. LevelDB gives the system's reason as text only.
 */
export function isResourceError(error: unknown): boolean {
  const text = causesOf(error)
    .map((cause) => (cause instanceof Error ? cause.message : ''))
    .join('\n');
  return RESOURCE_ERRORS.test(text);
}

const RESOURCE_ERRORS =
  /no space left|too many open files|permission denied|cannot allocate memory|not enough memory|file table overflow|read-only file system|disk quota/i;

function causesOf(error: unknown): unknown[] {
  const causes: unknown[] = [];
  for (let at: unknown = error; at !== undefined && causes.length < 8;) {
    causes.push(at);
    at = at instanceof Error ? at.cause : undefined;
  }
  return causes;
}
