import { expect } from 'chai';
import { gzipSync } from 'node:zlib';
import { crc32c } from '../../../src/base/crc32c.js';
import { decodeCompacted, encodeCompacted } from '../../../src/broker/log-compactor.js';
import type { TopicSettings } from '../../../src/metadata/topic-config.js';
import {
  brokerId,
  logIndex,
  offset,
  term,
  type Offset,
  type RaftGroupId,
} from '../../../src/model/ids.js';
import { LIMITS } from '../../../src/model/limits.js';
import { NO_PRODUCER, RecordBatchBuilder } from '../../../src/model/record-batch-builder.js';
import { splitBatches } from '../../../src/model/record.js';
import { decodePartitionCommand, type CompactionBounds } from '../../../src/partition/command.js';
import { PartitionState } from '../../../src/partition/partition-state.js';
import { PARTITION_OPS } from '../../../src/broker/partition-ops.js';
import { callPeer, handlePeer } from '../../../src/broker/peer-op.js';
import type { FakeGroup } from './partition-fixture.js';
import { FakePeers, FloorFixture, GZIP, settingsOf, settled } from './partition-fixture.js';
import { recordsOf } from '../../support/records-of.js';

type Pair = readonly [key: string | undefined, value: string | undefined];

const bytesOf = (text: string | undefined): Uint8Array | undefined =>
  text === undefined ? undefined : new Uint8Array(Buffer.from(text));

function batchOf(pairs: readonly Pair[], gzip = false): Uint8Array {
  const builder = new RecordBatchBuilder();
  for (const [key, value] of pairs) builder.append({ key: bytesOf(key), value: bytesOf(value) }, 5);
  const compressed = { codec: 'gzip' as const, records: gzipSync(builder.records()) };
  return builder.finish(NO_PRODUCER, crc32c, gzip ? compressed : undefined);
}

/** Of the event loop: more than any check, rewriting or question to peers takes. */
const TURNS = 50;
const COMPACT = settingsOf({ 'cleanup.policy': 'compact' });

describe('compaction of a partition', () => {
  let fixture: FloorFixture;
  let group: FakeGroup;

  async function begin(settings: TopicSettings): Promise<void> {
    fixture = new FloorFixture();
    group = await fixture.open(0, settings);
    group.lead();
  }

  afterEach(() => fixture.floor.stop());

  async function send(pairs: readonly Pair[], gzip = false): Promise<void> {
    fixture.produce(batchOf(pairs, gzip));
    await settled(TURNS);
    group.commit();
  }

  /** Time goes by, checks come, and everything that was asked for gets done. */
  async function pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 250) {
      fixture.world.advance(Math.min(left, 250));
      await settled(TURNS);
      group.commit();
    }
  }

  async function contents(): Promise<string[]> {
    const [got] = await fixture.fetch({ offset: 0, maxBytes: 1e7 });
    const out: string[] = [];
    for (const { header, bytes } of splitBatches(Buffer.concat(got?.batches ?? []), crc32c)) {
      const packed = bytes.subarray(61);
      const isPlain = (header.attributes & 7) === 0;
      const records = isPlain ? packed : await GZIP.decompress(1, packed);
      for (const { offset: at, key, value } of recordsOf(header, records)) {
        const text = value === undefined ? 'none' : Buffer.from(value).toString();
        out.push(`${at} ${Buffer.from(key ?? []).toString()}=${text}`);
      }
    }
    return out;
  }

  const commands = (): CompactionBounds[] =>
    group.entries.flatMap((entry) => {
      if (entry.kind !== 'command') return [];
      const command = decodePartitionCommand(entry.payload);
      return command.kind === 'compact' ? [{ ...command }] : [];
    });

  /** What the replicas on other brokers say of themselves; undefined: nothing. */
  function othersAt(to: () => number | undefined): void {
    const remote = new FakePeers();
    handlePeer(remote, PARTITION_OPS.compacted, async (ids: readonly RaftGroupId[]) => {
      const at = to();
      if (at === undefined) throw new Error('down');
      return Promise.resolve(ids.map((): Offset => offset(at)));
    });
    fixture.peers.remote = remote;
  }

  it('leaves the last record of each key, whatever the codec, and readers go over the holes', async () => {
    await begin(COMPACT);
    await send([
      ['a', '1'],
      ['b', '1'],
    ]);
    await send(
      [
        ['a', '2'],
        ['a', '3'],
      ],
      true,
    );
    await send(
      [
        ['c', '1'],
        ['a', '4'],
        ['b', undefined],
      ],
      true,
    );
    await pass(2_000);
    expect(commands()).to.deep.equal([
      { kind: 'compact', to: 7, tombstonesBelow: 0, settledBelow: 0 },
    ]);
    expect(await contents()).to.deep.equal(['4 c=1', '5 a=4', '6 b=none']);
    const [got] = await fixture.fetch({ offset: 0 });
    expect(got?.nextOffset).to.equal(7);
    expect(got?.batches).to.have.length(3);

    // The same state as without, and nothing more to do.
    const replayed = new PartitionState();
    for (const entry of group.entries) replayed.apply(entry);
    const { rewrites } = group;
    await pass(5_000);
    expect(commands()).to.have.length(1);
    expect(group.rewrites).to.equal(rewrites);
  });

  it('waits until enough is dirty, or until the oldest of it is too old', async () => {
    const filled: Pair[] = Array.from({ length: 50 }, (_, i) => [`key ${i}`, 'x'.repeat(50)]);
    const config = { 'cleanup.policy': 'compact', 'max.compaction.lag.ms': '60000' };
    await begin(settingsOf(config));
    await send(filled);
    await pass(2_000);
    await send([['key 0', 'new']]);
    await pass(10_000);
    expect(commands()).to.have.length(1);
    await pass(55_000);
    expect(commands().map(({ to }) => to)).to.deep.equal([50, 51]);
    expect((await contents()).at(-1)).to.equal('50 key 0=new');
    await send(filled);
    await send(filled);
    await pass(2_000);
    expect(commands().map(({ to }) => to)).to.deep.equal([50, 51, 151]);
  });

  it('leaves young records alone', async () => {
    const config = { 'cleanup.policy': 'compact', 'min.compaction.lag.ms': '20000' };
    await begin(settingsOf(config));
    await send([
      ['a', '1'],
      ['a', '2'],
    ]);
    await pass(10_000);
    await send([['a', '3']]);
    expect(commands()).to.deep.equal([]);
    await pass(12_000);
    expect(commands().map(({ to }) => to)).to.deep.equal([2]);
    expect(await contents()).to.deep.equal(['1 a=2', '2 a=3']);
  });

  it('keeps tombstones until every member has compacted what they stand for, and a while longer', async () => {
    const config = { 'cleanup.policy': 'compact', 'delete.retention.ms': '10000' };
    await begin(settingsOf(config));
    let reached: number | undefined = 0;
    othersAt(() => reached);
    await send([
      ['a', '1'],
      ['b', '1'],
      ['a', undefined],
    ]);
    await pass(3_000);
    const before = ['1 b=1', '2 a=none'];
    expect(await contents()).to.deep.equal(before);
    await pass(15_000);
    reached = undefined;
    await pass(5_000);
    reached = 2;
    await pass(5_000);
    expect(commands(), 'another has yet to compact').to.have.length(1);
    reached = 3;
    await pass(9_000);
    const settled = { kind: 'compact', to: 3, tombstonesBelow: 0, settledBelow: 3 };
    expect(commands().slice(1)).to.deep.equal([settled]);
    expect(await contents(), 'who has read a=1 may be on the way').to.deep.equal(before);
    await pass(3_000);
    const gone = { kind: 'compact', to: 3, tombstonesBelow: 3, settledBelow: 0 };
    expect(commands().slice(2)).to.deep.equal([gone]);
    expect(await contents()).to.deep.equal(['1 b=1']);
    await pass(30_000);
    expect(commands()).to.have.length(3);
  });

  it('keeps tombstones as long when what they stand for was compacted late', async () => {
    const config = {
      'cleanup.policy': 'compact',
      'delete.retention.ms': '10000',
      'min.compaction.lag.ms': '30000',
    };
    await begin(settingsOf(config));
    let reached = 0;
    othersAt(() => reached);
    await send([
      ['a', '1'],
      ['a', undefined],
    ]);
    await pass(29_000);
    expect(await contents()).to.deep.equal(['0 a=1', '1 a=none']);
    reached = 2;
    await pass(8_000);
    expect(await contents(), 'it is old, but a=1 went just now').to.deep.equal(['1 a=none']);
    await pass(8_000);
    expect(await contents()).to.deep.equal([]);
  });

  it('goes on counting the time of tombstones under another leader', async () => {
    const config = { 'cleanup.policy': 'compact', 'delete.retention.ms': '10000' };
    await begin(settingsOf(config));
    othersAt(() => 2);
    await send([
      ['a', '1'],
      ['a', undefined],
    ]);
    await pass(5_000);
    group.stepDown();
    await pass(1_000);
    group.lead();
    await pass(8_500);
    expect(await contents()).to.deep.equal([]);
  });

  it('deletes by retention only where the policy says so', async () => {
    const config = { 'retention.records': '1', 'cleanup.policy': 'compact' };
    await begin(settingsOf(config));
    await send([
      ['a', '1'],
      ['b', '1'],
      ['c', '1'],
    ]);
    await pass(3_000);
    expect(await contents()).to.have.length(3);
    fixture.floor.host.configure(
      group.id,
      settingsOf({ ...config, 'cleanup.policy': 'compact,delete' }),
    );
    await pass(3_000);
    const [got] = await fixture.fetch({ offset: 2 });
    expect(got?.logStartOffset).to.equal(2);
  });

  it('does as a follower what was decided elsewhere, and decides nothing', async () => {
    await begin(COMPACT);
    await send([
      ['a', '1'],
      ['a', '2'],
    ]);
    fixture.world.advance(2_000);
    await settled(TURNS);
    group.commit();
    group.stepDown();
    await pass(3_000);
    await send([['x', '1']]);
    expect(await group.note()).to.not.equal(undefined);
    expect(decodeCompacted((await group.note())!)?.to).to.equal(2);
    expect(commands()).to.have.length(1);
  });

  it('goes on from where it was, after a restart, and after one that lost its note', async () => {
    await begin(COMPACT);
    await send([
      ['a', '1'],
      ['a', '2'],
    ]);
    await pass(3_000);
    const { rewrites } = group;
    group.fence();
    await pass(3_000);
    expect(group.rewrites).to.equal(rewrites);
    group.savedNote = Uint8Array.of(9, 9);
    group.fence();
    await pass(3_000);
    expect(decodeCompacted(group.savedNote)?.to).to.equal(2);
    expect(group.rewrites, 'nothing was left to write').to.equal(rewrites);
    // A note about another log, or a longer one, is none.
    const noted = decodeCompacted(group.savedNote)!;
    for (const last of [
      { term: term(9), index: noted.last.index },
      { term: group.term, index: logIndex(group.last + 1) },
    ]) {
      group.savedNote = encodeCompacted({ ...noted, bytes: 1, last });
      group.fence();
      await pass(3_000);
      expect(decodeCompacted(group.savedNote)).to.deep.equal(noted);
    }
  });

  it('tells others how far it has come', async () => {
    await begin(COMPACT);
    await send([
      ['a', '1'],
      ['a', '2'],
    ]);
    const ask = async (): Promise<unknown> => {
      const caller = new FakePeers();
      caller.remote = fixture.peers;
      return callPeer(
        caller,
        brokerId(1),
        PARTITION_OPS.compacted,
        [group.id, 77 as RaftGroupId],
        1_000,
      );
    };
    expect(((await ask()) as unknown[])[0]).to.equal(0);
    await pass(3_000);
    const answers = (await ask()) as unknown[];
    expect(answers[0]).to.equal(2);
    expect(answers[1]).to.have.property('code', 'NOT_LEADER');
  });

  it('refuses records without a key, compressed or not, and keeps the order of the others', async () => {
    await begin(COMPACT);
    const answers = [
      fixture.produce(batchOf([['a', '1']], true)),
      fixture.produce(
        batchOf([
          ['b', '1'],
          [undefined, '1'],
        ]),
      ),
      fixture.produce(
        batchOf(
          [
            ['b', '2'],
            ['b', '3'],
            [undefined, undefined],
          ],
          true,
        ),
      ),
      fixture.produce(batchOf([['c', '1']])),
    ];
    await settled(TURNS);
    group.commit();
    await settled(TURNS);
    const [first, plain, packed, last] = answers.map(({ result }) => result);
    expect(first).to.have.property('baseOffset', 0);
    expect(last).to.have.property('baseOffset', 1);
    for (const [result, at] of [
      [plain, 1],
      [packed, 2],
    ] as const) {
      expect(result?.error?.code).to.equal('INVALID_BATCH');
      expect(result?.error?.outcome).to.equal('none');
      expect(result?.error?.retriable).to.equal(false);
      expect(result?.error?.message).to.match(new RegExp(`record ${at} of the batch has no key`));
    }
    // Garbage that only looks like gzip, with a checksum that fits.
    const builder = new RecordBatchBuilder();
    builder.append({ key: bytesOf('a') }, 1);
    const garbage = { codec: 'gzip' as const, records: Uint8Array.of(1, 2, 3) };
    const bad = fixture.produce(builder.finish(NO_PRODUCER, crc32c, garbage));
    await settled(TURNS);
    expect(bad.result?.error?.code).to.equal('INVALID_BATCH');
    fixture.floor.host.configure(group.id, settingsOf({}));
    await send([[undefined, '1']]);
    expect(await contents()).to.have.length(3);
    // Keyless records from before the topic was compacted go with the first compaction.
    fixture.floor.host.configure(group.id, COMPACT);
    await pass(3_000);
    expect(await contents()).to.deep.equal(['0 a=1', '1 c=1']);
  });

  it('decides nothing by a policy that has changed before its turn came', async () => {
    await begin(COMPACT);
    await send([
      ['a', '1'],
      ['a', '2'],
    ]);
    let goOn = (): void => undefined;
    const held = new Promise<undefined>((resolve) => {
      goOn = () => resolve(undefined);
    });
    group.note = () => held;
    await pass(2_000);
    fixture.floor.host.configure(group.id, settingsOf({}));
    await send([[undefined, 'kept']]);
    goOn();
    await pass(5_000);
    expect(commands()).to.deep.equal([]);
    expect((await contents()).at(-1)).to.equal('2 =kept');
  });

  it('compacts what was too young before, though nothing was written since', async () => {
    await begin(settingsOf({ 'cleanup.policy': 'compact', 'min.compaction.lag.ms': '20000' }));
    await send([
      ['a', '1'],
      ['b', '1'],
    ]);
    await pass(19_000);
    for (let i = 0; i < 20; i += 1) await send([['a', String(i)]]);
    await pass(10_000);
    expect(commands().map(({ to }) => to)).to.deep.equal([2]);
    await pass(20_000);
    expect(commands().map(({ to }) => to)).to.deep.equal([2, 22]);
    expect(await contents()).to.deep.equal(['1 b=1', '21 a=19']);
  });

  it('keeps tombstones of what a batch may hold that unfolds too far to be looked into', async () => {
    await begin(settingsOf({}));
    await send([['a', 'x'.repeat(LIMITS.compactedRecordsBytesMax)]], true);
    const config = { 'delete.retention.ms': '1000', 'min.cleanable.dirty.ratio': '0' };
    const settings = settingsOf({ ...config, 'cleanup.policy': 'compact' });
    fixture.floor.host.configure(group.id, settings);
    othersAt(() => 1_000);
    await send([
      ['a', undefined],
      ['b', '1'],
    ]);
    await pass(3_000);
    await send([
      ['b', '2'],
      ['b', '3'],
    ]);
    await pass(10_000);
    expect((await contents()).slice(1)).to.deep.equal(['1 a=none', '4 b=3']);
    const count = commands().length;
    await pass(10_000);
    expect(commands(), 'and comes to rest').to.have.length(count);
  });

  it('finds offsets by time where records are left', async () => {
    await begin(settingsOf({ 'cleanup.policy': 'compact', 'timestamp.type': 'append' }));
    await send([
      ['a', '1'],
      ['b', '1'],
    ]);
    fixture.world.advance(10);
    await send([
      ['a', '2'],
      ['b', '2'],
      ['c', '2'],
    ]);
    fixture.world.advance(10);
    await send(
      [
        ['a', '3'],
        ['b', '3'],
      ],
      true,
    );
    await pass(3_000);
    expect(await contents()).to.deep.equal(['4 c=2', '5 a=3', '6 b=3']);
    const options = { linearizable: false, deadlineMs: 1_000 };
    const found = await fixture.floor.host.listOffset(
      group.id,
      { kind: 'timestamp', timestampMs: 0 },
      options,
    );
    expect(found.offset).to.equal(4);
    const highest = await fixture.floor.host.listOffset(
      group.id,
      { kind: 'maxTimestamp' },
      options,
    );
    expect(highest.offset).to.equal(5);
  });

  it('writes and reads what it remembers', () => {
    const done = {
      ...{ to: offset(9), tombstonesBelow: offset(3), bytes: 77, firstTombstone: offset(0) },
      last: { term: term(2), index: logIndex(12) },
    };
    expect(decodeCompacted(encodeCompacted(done))).to.deep.equal(done);
    const none = { ...done, firstTombstone: undefined };
    expect(decodeCompacted(encodeCompacted(none))).to.deep.equal(none);
    expect(decodeCompacted(Uint8Array.of(1, 2))).to.equal(undefined);
  });
});
