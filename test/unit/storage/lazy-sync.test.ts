import { expect } from 'chai';
import { deferred, type Deferred } from '../../../src/base/deferred.js';
import type { Durability } from '../../../src/model/durability.js';
import { LazySync } from '../../../src/storage/lazy-sync.js';
import { eventually } from '../../support/eventually.js';

type Bounds = Extract<Durability, { kind: 'unsafe-quorum-memory' }>;

const WIDE: Bounds = { kind: 'unsafe-quorum-memory', flushMs: 60_000, flushBytes: 1_000 };

/** A log whose syncs end when the test says so. */
class Fixture {
  readonly marks: boolean[] = [];
  readonly errors: unknown[] = [];
  /** Of each write: whether it was to sync itself. */
  readonly writes: boolean[] = [];
  syncs: Deferred<undefined>[] = [];
  readonly lazy = new LazySync({
    sync: () => {
      const sync = deferred<undefined>();
      this.syncs.push(sync);
      return sync.promise;
    },
    mark: (mayBeUnsynced) => {
      this.marks.push(mayBeUnsynced);
      return Promise.resolve();
    },
    onError: (error) => this.errors.push(error),
  });

  write(bytes: number): Promise<void> {
    return this.lazy.write(bytes, (sync) => {
      this.writes.push(sync);
      return Promise.resolve();
    });
  }

  endSync(): void {
    this.syncs.shift()?.resolve(undefined);
  }
}

describe('LazySync', () => {
  let f: Fixture;

  beforeEach(() => {
    f = new Fixture();
  });

  afterEach(() => f.lazy.stop());

  it('has every write synced until it is told otherwise', async () => {
    await f.write(10);
    expect(f.writes).to.eql([true]);
    expect(f.marks).to.eql([]);
  });

  it('says durably that something may be unsynced before anything is', async () => {
    await f.lazy.setBounds(WIDE);
    const marked = deferred<undefined>();
    const lazy = new LazySync({
      sync: () => Promise.resolve(),
      mark: () => marked.promise,
      onError: () => undefined,
    });
    await lazy.setBounds(WIDE);
    let isWritten = false;
    const done = lazy.write(10, () => {
      isWritten = true;
      return Promise.resolve();
    });
    await Promise.resolve();
    expect(isWritten).to.equal(false);
    marked.resolve(undefined);
    await done;
    expect(isWritten).to.equal(true);
    lazy.stop();
  });

  it('begins a sync at half of the bytes, and lets nothing exceed the whole', async () => {
    await f.lazy.setBounds(WIDE);
    await f.write(400);
    expect(f.syncs).to.have.length(0);
    await f.write(200);
    expect(f.syncs).to.have.length(1);
    await f.write(400);
    expect(f.lazy.unsyncedBytes).to.equal(1_000);
    let isDone = false;
    const next = f.write(1).then(() => (isDone = true));
    await new Promise(setImmediate);
    expect(isDone).to.equal(false);
    f.endSync();
    await next;
    expect(f.lazy.unsyncedBytes).to.equal(401);
    expect(f.writes).to.eql([false, false, false, false]);
  });

  it('has a write that exceeds them alone sync itself, once nothing else waits', async () => {
    await f.lazy.setBounds(WIDE);
    await f.write(10);
    const large = f.write(2_000);
    await eventually('a sync begins', () => f.syncs.length === 1);
    expect(f.writes).to.eql([false]);
    f.endSync();
    await large;
    expect(f.writes).to.eql([false, true]);
    expect(f.lazy.unsyncedBytes).to.equal(0);
  });

  it('begins a sync in time, and lets writes wait while it is late', async () => {
    await f.lazy.setBounds({ ...WIDE, flushMs: 20 });
    await f.write(10);
    const writtenAt = performance.now();
    await eventually('a sync begins', () => f.syncs.length === 1);
    await eventually('it is late', () => performance.now() - writtenAt > 20);
    let isDone = false;
    const next = f.write(10).then(() => (isDone = true));
    await new Promise(setImmediate);
    expect(isDone).to.equal(false);
    f.endSync();
    await next;
  });

  it('syncs everything before it says that all is synced again', async () => {
    await f.lazy.setBounds(WIDE);
    await f.write(10);
    const strict = f.lazy.setBounds(undefined);
    await eventually('a sync begins', () => f.syncs.length === 1);
    expect(f.marks).to.eql([true]);
    f.endSync();
    await strict;
    expect(f.marks).to.eql([true, false]);
    await f.write(10);
    expect(f.writes).to.eql([false, true]);
  });

  it('tells of a sync that failed, and of no write after it', async () => {
    await f.lazy.setBounds(WIDE);
    await f.write(600);
    const next = f.write(600);
    f.syncs.shift()?.reject(new Error('EIO'));
    let thrown: unknown;
    await next.catch((error: unknown) => (thrown = error));
    expect(String(thrown)).to.match(/EIO/);
    expect(f.errors.map(String)).to.eql(['Error: EIO']);
    expect(f.writes).to.eql([false]);
  });
});
