import { expect } from 'chai';
import { BrokerError } from '../../../src/model/errors.js';
import { brokerId, logIndex, raftGroupId } from '../../../src/model/ids.js';
import { LIMITS } from '../../../src/model/limits.js';
import { PartitionState } from '../../../src/partition/partition-state.js';
import type { PeerStatus } from '../../../src/raft/io.js';
import { producedBatch } from '../partition/log-fixture.js';
import { FloorFixture, settled, type FakeGroup } from './partition-fixture.js';

async function failure(promise: Promise<unknown>): Promise<BrokerError> {
  try {
    await promise;
  } catch (error) {
    return BrokerError.from(error);
  }
  throw new Error('it did not fail');
}

describe('PartitionHost', () => {
  let fixture: FloorFixture;
  let group: FakeGroup;
  const WAIT = { deadlineMs: 1_000 };

  beforeEach(async () => {
    fixture = new FloorFixture();
    group = await fixture.open();
    group.lead();
  });

  const fill = (
    batches: number,
    options: { valueBytes?: number; timestampMs?: number } = {},
  ): void => {
    for (let i = 0; i < batches; i += 1) {
      fixture.produce(producedBatch({ records: 2, ...options }));
    }
    group.commit();
  };
  const trim = async (to: number): Promise<number> => {
    const trimmed = fixture.floor.host.trim(group.id, to, WAIT);
    group.commit();
    return trimmed;
  };

  it('opens a replica once, announces its leadership, and removes it', async () => {
    const { host } = fixture.floor;
    await fixture.open();
    expect(host.list()).to.deep.equal([group.id]);
    expect(host.group(group.id)).to.equal(group);
    expect(fixture.leaders.announced).to.deep.equal([[group.id, 1]]);
    await host.remove(group.id);
    await host.remove(group.id);
    expect(host.list()).to.deep.equal([]);
    expect(fixture.deleted).to.include(group.id);
    const answer = fixture.produce(producedBatch());
    expect(answer.result?.error?.code).to.equal('LEADER_UNKNOWN');
  });

  it('knows the high watermark as far as it is applied', () => {
    const { host } = fixture.floor;
    fixture.produce(producedBatch({ records: 3 }));
    expect(host.knownHighWatermark(group.id)).to.equal(0);
    group.commit();
    expect(host.knownHighWatermark(group.id)).to.equal(3);
    expect(host.knownHighWatermark(raftGroupId(99))).to.equal(undefined);
  });

  describe('describe', () => {
    const peer = (id: number, match: number, more: Partial<PeerStatus> = {}): PeerStatus => ({
      id: brokerId(id),
      match: logIndex(match),
      next: logIndex(match + 1),
      state: 'replicate',
      isActive: true,
      isRepairing: false,
      ...more,
    });

    it('tells who is in sync: active, and has what was committed a while ago', async () => {
      fill(1);
      fixture.world.advance(1_000);
      fill(1);
      group.peers = [peer(2, 2), peer(3, 1)];
      const inSync = async (): Promise<boolean[]> =>
        (await fixture.floor.host.describe(group.id)).replicas.map((r) => r.inSync);
      expect(await inSync()).to.deep.equal([true, true, false]);
      fixture.world.advance(600);
      expect(await inSync()).to.deep.equal([true, false, false]);
      group.peers = [peer(2, 3), peer(3, 3, { isActive: false })];
      expect(await inSync()).to.deep.equal([true, true, false]);
    });

    it('tells offsets, size and members, and only as the leader', async () => {
      fill(2);
      group.peers = [peer(2, 3), peer(3, 0, { isRepairing: true })];
      const facts = await fixture.floor.host.describe(group.id);
      expect(facts).to.include({ leader: 1, leaderEpoch: 1, highWatermark: 4, sizeBytes: 4_711 });
      expect(facts.replicas.map((r) => [r.brokerId, r.role, r.repairing])).to.deep.equal([
        [1, 'voter', false],
        [2, 'voter', false],
        [3, 'voter', true],
      ]);
      group.stepDown();
      const error = await failure(fixture.floor.host.describe(group.id));
      expect(error.code).to.equal('NOT_LEADER');
      expect(error.facts.leader?.brokerId).to.equal(2);
    });
  });

  describe('offsets', () => {
    const find = async (timestampMs: number): Promise<[number, number]> => {
      const at = { kind: 'timestamp', timestampMs } as const;
      const found = await fixture.floor.host.listOffset(group.id, at, {
        linearizable: false,
        ...WAIT,
      });
      return [found.offset, found.timestampMs];
    };

    it('finds start and end', async () => {
      fill(3);
      await trim(2);
      const options = { linearizable: true, ...WAIT };
      const { host } = fixture.floor;
      const earliest = await host.listOffset(group.id, { kind: 'earliest' }, options);
      const latest = await host.listOffset(group.id, { kind: 'latest' }, options);
      expect([earliest.offset, latest.offset, latest.leaderEpoch]).to.deep.equal([2, 6, 1]);
    });

    it('finds the first record that late, inside a batch and across the whole log', async () => {
      // Batches of 600 KiB: an index item each. Records have times t and t + 1.
      for (const timestampMs of [1_000, 3_000, 2_000, 5_000])
        fill(1, { timestampMs, valueBytes: 300_000 });
      expect(await find(0)).to.deep.equal([0, 1_000]);
      expect(await find(1_001)).to.deep.equal([1, 1_001]);
      expect(await find(1_002)).to.deep.equal([2, 3_000]);
      expect(await find(3_002)).to.deep.equal([6, 5_000]);
      expect(await find(5_002)).to.deep.equal([-1, -1]);
      await trim(3);
      expect(await find(0)).to.deep.equal([3, 3_001]);
    });

    it('finds what is left when retention overtakes the search', async () => {
      for (const timestampMs of [1_000, 2_000, 3_000, 4_000]) fill(1, { timestampMs });
      const read = group.read.bind(group);
      let looked = 0;
      group.read = (range, bytesMax) => {
        looked += 1;
        if (looked === 1) group.base = { index: logIndex(3), state: new Uint8Array() };
        return read(range, bytesMax);
      };
      expect(await find(1_000)).to.deep.equal([4, 3_000]);
      expect(looked).to.equal(2);
    });

    it('finds a record with the highest time, and reads no more of the log than it must', async () => {
      const highest = async (): Promise<[number, number]> => {
        const options = { linearizable: false, ...WAIT };
        const at = { kind: 'maxTimestamp' } as const;
        const found = await fixture.floor.host.listOffset(group.id, at, options);
        return [found.offset, found.timestampMs];
      };
      expect(await highest(), 'of nothing').to.deep.equal([-1, -1]);
      for (const timestampMs of [1_000, 3_000, 9_000, 2_000, 5_000])
        fill(1, { timestampMs, valueBytes: 300_000 });
      expect(await highest()).to.deep.equal([5, 9_001]);
      expect(group.reads, 'one span of several').to.be.below(4);
      await trim(5);
      expect(await highest(), 'still there').to.deep.equal([5, 9_001]);
      await trim(6);
      expect(await highest()).to.deep.equal([9, 5_001]);
      await trim(9);
      expect(await highest()).to.deep.equal([9, 5_001]);
      await trim(10);
      expect(await highest()).to.deep.equal([-1, -1]);
    });

    it('says append time for a topic that has it', async () => {
      await fixture.open(0, { timestampType: 'append' });
      fill(1, { timestampMs: 5 });
      expect(await find(6)).to.deep.equal([0, fixture.world.now]);
    });

    it('behind a read barrier where asked, and only as the leader', async () => {
      group.barrier = () => Promise.reject(new BrokerError('DEADLINE_EXCEEDED', 'no quorum'));
      const latest = { kind: 'latest' } as const;
      const { host } = fixture.floor;
      const options = { linearizable: true, ...WAIT };
      expect((await failure(host.listOffset(group.id, latest, options))).code).to.equal(
        'DEADLINE_EXCEEDED',
      );
      group.stepDown();
      const plain = { linearizable: false, ...WAIT };
      expect((await failure(host.listOffset(group.id, latest, plain))).code).to.equal('NOT_LEADER');
    });
  });

  describe('trim', () => {
    it('moves the log start once it is committed', async () => {
      fill(3);
      expect(await trim(4)).to.equal(4);
      expect(await trim(-1)).to.equal(6);
      expect(await trim(1)).to.equal(6);
    });

    it('refuses what lies beyond the high watermark', async () => {
      fill(1);
      expect((await failure(trim(3))).code).to.equal('OFFSET_OUT_OF_RANGE');
      expect((await failure(trim(-2))).code).to.equal('OFFSET_OUT_OF_RANGE');
    });

    it('is unknown when leadership is lost or the deadline passes', async () => {
      fill(1);
      const late = failure(fixture.floor.host.trim(group.id, 1, { deadlineMs: 100 }));
      fixture.world.advance(120);
      expect((await late).code).to.equal('DEADLINE_EXCEEDED');
      const lost = failure(fixture.floor.host.trim(group.id, 1, WAIT));
      await settled();
      group.stepDown();
      expect((await lost).outcome).to.equal('unknown');
    });
  });

  describe('retention and truncation', () => {
    const BIG = { valueBytes: 300_000 };
    /** Every replica has been looked at once more. */
    const checked = async (): Promise<void> => {
      fixture.world.advance(1_000);
      await settled();
    };

    it('drops by time what was appended too long ago, by a replicated command', async () => {
      await fixture.open(0, { retentionMs: 10_000 });
      fill(2, BIG);
      fixture.world.advance(8_000);
      fill(2, BIG);
      fixture.world.advance(3_000);
      expect(group.entries.at(-1)?.kind).to.equal('command');
      expect((await fixture.fetch({})).at(0)?.logStartOffset).to.equal(0);
      group.commit();
      expect((await fixture.fetch({ offset: 8 })).at(0)?.logStartOffset).to.equal(4);
      fixture.world.advance(20_000);
      group.commit();
      expect((await fixture.fetch({ offset: 8 })).at(0)?.logStartOffset).to.equal(8);
    });

    it('drops by size, one command at a time, and not as a follower', async () => {
      await fixture.open(0, { retentionBytes: 1_300_000 });
      fill(6, BIG);
      fixture.world.advance(3_500);
      expect(group.entries.filter((e) => e.kind === 'command')).to.have.length(1);
      group.commit();
      expect((await fixture.fetch({ offset: 12 })).at(0)?.logStartOffset).to.equal(6);
      group.stepDown();
      const before = group.entries.length;
      fixture.world.advance(5_000);
      expect(group.entries).to.have.length(before);
    });

    it('drops by count, and reads begin at the oldest record that stays', async () => {
      await fixture.open(0, { retentionRecords: 5 });
      fill(4);
      fixture.world.advance(1_000);
      group.commit();
      const late = (await fixture.fetch({ offset: 2 })).at(0);
      expect(late?.error?.code).to.equal('OFFSET_OUT_OF_RANGE');
      expect(late?.error?.facts.logStartOffset).to.equal(3);
      const kept = (await fixture.fetch({ offset: 3 })).at(0);
      expect([kept?.logStartOffset, kept?.highWatermark]).to.deep.equal([3, 8]);
      const before = group.entries.length;
      fixture.world.advance(5_000);
      expect(group.entries, 'nothing more may go').to.have.length(before);
    });

    it('keeps everything within its limits', () => {
      fill(4, BIG);
      fixture.world.advance(3_600_000);
      group.commit();
      expect(group.entries.every((e) => e.kind !== 'command')).to.equal(true);
    });

    it('gives back whole entries below the log start, in chunks, with the state as of there', async () => {
      fill(8, BIG);
      await trim(1);
      await checked();
      expect(group.base).to.equal(undefined);
      await trim(2);
      await checked();
      expect(group.base, 'less than a chunk').to.equal(undefined);
      await trim(9);
      await checked();
      // Offset 9 lies in the fifth batch, at index 6: it stays whole.
      expect(group.base?.index).to.equal(5);
      const replayed = new PartitionState();
      for (const entry of group.entries.slice(0, 5)) replayed.apply(entry);
      expect(group.base?.state).to.deep.equal(replayed.encode());
      const [got] = await fixture.fetch({ offset: 9, maxBytes: 4_000_000 });
      expect(got?.nextOffset).to.equal(16);

      await trim(-1);
      await checked();
      expect(group.base?.index).to.equal(group.last);
      const restored = new PartitionState();
      restored.restore(group.base?.state, logIndex(group.base?.index ?? 0));
      expect(restored.highWatermark).to.equal(16);
      expect(restored.logStartOffset).to.equal(16);
    });

    it('rolls the base forward from where it stands', async () => {
      fill(8, BIG);
      await trim(8);
      await checked();
      expect(group.base?.index).to.equal(5);
      await trim(14);
      await checked();
      const replayed = new PartitionState();
      for (const entry of group.entries.slice(0, 8)) replayed.apply(entry);
      expect(group.base?.index).to.equal(8);
      expect(group.base?.state).to.deep.equal(replayed.encode());
    });

    it('is not kept waiting by another replica whose disk hangs, nor by its own earlier life', async () => {
      group.truncatePrefix = () => new Promise(() => undefined);
      fill(8, BIG);
      await trim(8);
      await checked();
      const stuck = group;
      group = await fixture.open(1);
      group.lead();
      for (let i = 0; i < 8; i += 1) {
        fixture.produce(producedBatch({ records: 2, ...BIG }), { partition: 1 });
      }
      group.commit();
      await trim(8);
      await checked();
      expect(group.base?.index).to.equal(5);

      Reflect.deleteProperty(stuck, 'truncatePrefix');
      group = stuck;
      group.fence();
      fixture.world.advance(1_000);
      await settled();
      expect(group.base?.index).to.equal(5);
    });

    it('keeps its place among those that truncate until it ends, or the life of the replica', async () => {
      fixture = new FloorFixture(4);
      const stuck: FakeGroup[] = [];
      for (let at = 0; at < 4; at += 1) {
        const one = await fixture.open(at);
        one.lead();
        for (let i = 0; i < 8; i += 1) {
          fixture.produce(producedBatch({ records: 2, ...BIG }), { partition: at });
        }
        one.commit();
        if (at < 3) one.truncatePrefix = () => new Promise(() => undefined);
        stuck.push(one);
        group = one;
        await trim(8);
        await settled();
      }
      fixture.world.advance(120_000);
      await settled();
      expect(group.base, 'all places are taken').to.equal(undefined);
      stuck[1]?.fence();
      await settled();
      expect(group.base?.index).to.equal(5);
    });

    it('reads little of what it drops, however much that is', async () => {
      for (let i = 0; i < 10; i += 1) fill(4, BIG);
      let readBytes = 0;
      const read = group.read.bind(group);
      group.read = async (range, bytesMax) => {
        const entries = await read(range, bytesMax);
        for (const entry of entries) readBytes += entry.payload.length;
        return entries;
      };
      await trim(70);
      await checked();
      const base = group.base?.index ?? 0;
      expect(base).to.equal(36);
      const replayed = new PartitionState();
      for (const entry of group.entries.slice(0, base)) replayed.apply(entry);
      expect(group.base?.state).to.deep.equal(replayed.encode());
      expect(readBytes).to.be.within(1, 16 * 600_000);
    });

    it('does not truncate all partitions at once', async () => {
      fill(8, BIG);
      await trim(-1);
      const first = group;
      group = await fixture.open(1);
      group.lead();
      for (let i = 0; i < 8; i += 1) {
        fixture.produce(producedBatch({ records: 2, ...BIG }), { partition: 1 });
      }
      group.commit();
      await trim(-1);
      const truncated = (): number => [first, group].filter((each) => each.base).length;
      const seen = new Set<number>();
      for (let step = 0; step < 8; step += 1) {
        fixture.world.advance(125);
        await settled();
        seen.add(truncated());
      }
      expect([...seen]).to.deep.equal([0, 1, 2]);
    });

    it('tries again when a truncation failed', async () => {
      fill(8, BIG);
      const truncate = group.truncatePrefix.bind(group);
      group.truncatePrefix = () => Promise.reject(new BrokerError('THROTTLED', 'not durable yet'));
      await trim(8);
      await settled();
      expect(group.base).to.equal(undefined);
      group.truncatePrefix = truncate;
      fixture.world.advance(1_001);
      await settled();
      expect(group.base?.index).to.equal(5);
    });
  });

  it('refuses new producers when the table is full of young ones', () => {
    for (let id = 0; id < LIMITS.producersPerPartitionMax; id += 1) {
      const producer = { producerId: id, producerEpoch: 0, baseSequence: 0 };
      fixture.produce(producedBatch({ producer }));
    }
    const late = { producerId: 1_000_000, producerEpoch: 0, baseSequence: 0 };
    const answer = fixture.produce(producedBatch({ producer: late }));
    group.commit();
    expect(answer.result?.error?.code).to.equal('PRODUCER_LIMIT');
    fixture.world.advance(LIMITS.deliveryTimeoutMsMax + 1);
    const later = fixture.produce(producedBatch({ producer: late }));
    group.commit();
    expect(later.result?.error).to.equal(undefined);
  });
});
