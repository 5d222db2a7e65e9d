import { expect } from 'chai';
import { concatBytes } from '../../../src/base/bytes.js';
import { crc32c } from '../../../src/base/crc32c.js';
import { PARTITION_OPS, type CommittedTo } from '../../../src/broker/partition-ops.js';
import { handlePeer } from '../../../src/broker/peer-op.js';
import type { FetchedPartition, FetchRequest } from '../../../src/broker/types.js';
import { BrokerError, type ErrorCode } from '../../../src/model/errors.js';
import { logIndex, raftGroupId, term } from '../../../src/model/ids.js';
import { splitBatches } from '../../../src/model/record.js';
import { producedBatch } from '../partition/log-fixture.js';
import { FakePeers, FloorFixture, OTHER, settled, type FakeGroup } from './partition-fixture.js';

const STALENESS_MS = 1_000;

const offsetsOf = (fetched: FetchedPartition | undefined): number[] =>
  splitBatches(concatBytes(fetched?.batches ?? []), crc32c).map((b) => b.header.baseOffset);

describe('fetch from a follower', () => {
  let fixture: FloorFixture;
  let group: FakeGroup;
  /** What the leader answers next. */
  let leader: () => CommittedTo | BrokerError;
  let asked: number;

  const fill = (batches: number): void => {
    for (let i = 0; i < batches; i += 1) fixture.produce(producedBatch({ records: 2 }));
    group.commit();
  };
  const committedHere = (): CommittedTo => ({ index: group.last, leaderEpoch: group.term });
  /** Fetches, with time for the question to the leader. */
  const fetch = async (
    at: { offset?: number; leaderEpoch?: number; partition?: number },
    options: Partial<FetchRequest> = {},
  ): Promise<FetchedPartition | undefined> => {
    const answer = fixture.fetch(at, { maxStalenessMs: STALENESS_MS, maxWaitMs: 200, ...options });
    for (let i = 0; i < 30; i += 1) {
      await settled();
      fixture.world.advance(10);
    }
    return (await answer)[0];
  };
  const refused = (fetched: FetchedPartition | undefined, code: ErrorCode): BrokerError => {
    expect(fetched?.error?.code).to.equal(code);
    expect(fetched?.batches).to.deep.equal([]);
    return fetched?.error ?? new BrokerError('INTERNAL', 'there is one');
  };

  beforeEach(async () => {
    fixture = new FloorFixture();
    group = await fixture.open();
    group.lead();
    fill(3);
    group.stepDown(OTHER);
    asked = 0;
    leader = committedHere;
    const remote = new FakePeers();
    handlePeer(remote, PARTITION_OPS.committedTo, ({ groupIds }) => {
      expect(groupIds).to.deep.equal([raftGroupId(1)]);
      asked += 1;
      return Promise.resolve([leader()]);
    });
    fixture.peers.remote = remote;
  });

  afterEach(async () => {
    await fixture.floor.stop();
  });

  it('is refused without permission, and when linearizable', async () => {
    refused(await fetch({}, { maxStalenessMs: undefined }), 'NOT_LEADER');
    refused(await fetch({}, { linearizable: true }), 'NOT_LEADER');
    expect(asked).to.equal(0);
  });

  it('gives committed records once the leader has said how far that is', async () => {
    const got = await fetch({ offset: 2 });
    expect(offsetsOf(got)).to.deep.equal([2, 4]);
    expect(got).to.include({ highWatermark: 6, logStartOffset: 0, leaderEpoch: 2, nextOffset: 6 });
    expect(asked).to.equal(1);
  });

  it('asks the leader again only when half of what is allowed has passed', async () => {
    await fetch({});
    await fetch({});
    expect(asked).to.equal(1);
    fixture.world.advance(STALENESS_MS / 2);
    expect(offsetsOf(await fetch({}))).to.have.length(3);
    expect(asked).to.equal(2);
  });

  it('names the leader when that cannot be asked and the last word is too old', async () => {
    await fetch({});
    fixture.peers.remote = undefined;
    fixture.world.advance(STALENESS_MS / 2);
    expect(offsetsOf(await fetch({})), 'recent enough').to.have.length(3);
    fixture.world.advance(STALENESS_MS / 2);
    const error = refused(await fetch({}), 'STALE_REPLICA');
    expect(error.retriable).to.equal(true);
    expect(error.facts.leader?.brokerId).to.equal(OTHER);
  });

  it('waits until it has applied what the leader named, and gives up in time', async () => {
    leader = () => ({ index: logIndex(group.last + 1), leaderEpoch: group.term });
    refused(await fetch({}), 'STALE_REPLICA');
    const waits = fixture.fetch({}, { maxStalenessMs: STALENESS_MS, maxWaitMs: 10_000 });
    await settled();
    group.entries.push({ ...group.entries[0]!, index: logIndex(group.last + 1), term: group.term });
    group.commit();
    const [got] = await waits;
    expect(offsetsOf(got)).to.have.length(3);
  });

  it('never says out of range of what is only beyond what it has', async () => {
    refused(await fetch({ offset: 7 }), 'STALE_REPLICA');
    const got = await fetch({ offset: 6 });
    expect(got).to.include({ error: undefined, highWatermark: 6, nextOffset: 6 });
  });

  it('says out of range of what was trimmed, and of what an earlier leader had beyond its end', async () => {
    await fetch({});
    group.lead();
    const trimmed = fixture.floor.host.trim(raftGroupId(1), 4, { deadlineMs: 1_000 });
    group.commit();
    await trimmed;
    fill(1);
    group.stepDown(OTHER);
    fixture.world.advance(STALENESS_MS);
    const below = refused(await fetch({ offset: 2 }), 'OFFSET_OUT_OF_RANGE');
    expect(below.facts).to.include({ logStartOffset: 4, highWatermark: 8 });
    expect(offsetsOf(await fetch({ offset: 6, leaderEpoch: 1 }))).to.deep.equal([6]);
    const lost = refused(await fetch({ offset: 7, leaderEpoch: 1 }), 'LOG_TRUNCATED');
    expect(lost.facts.logEndOffset).to.equal(6);
  });

  it('does not serve a reader of a later leader until it has heard of that one', async () => {
    await fetch({});
    refused(await fetch({ leaderEpoch: group.term + 1 }), 'STALE_REPLICA');
    leader = () => ({ index: group.last, leaderEpoch: term(group.term + 1) });
    const got = await fetch({ leaderEpoch: group.term + 1 });
    expect(got).to.include({ error: undefined, leaderEpoch: group.term + 1 });
  });

  it('does not serve while it is damaged, nor without a life', async () => {
    await fetch({});
    const status = group.status();
    group.status = () => ({ ...status, needsRepair: true });
    refused(await fetch({}), 'STALE_REPLICA');
    group.status = () => status;
    expect(offsetsOf(await fetch({}))).to.have.length(3);
  });

  it('says nothing of a partition that may yet be served, as long as others are', async () => {
    const second = await fixture.open(1);
    second.lead();
    fixture.produce(producedBatch({ records: 1 }), { partition: 1 });
    second.commit();
    const both = [{ partition: 0 }, { partition: 1 }];
    const got = await fixture.fetch(both, { maxStalenessMs: STALENESS_MS, maxWaitMs: 200 });
    expect(got.map(({ partition }) => partition)).to.deep.equal([1]);
  });

  it('wakes readers at its end when more is committed, and notices when it lost touch', async () => {
    await fetch({});
    const waits = fixture.fetch({ offset: 6 }, { maxStalenessMs: STALENESS_MS, maxWaitMs: 60_000 });
    await settled();
    group.entries.push({ ...group.entries[3]!, index: logIndex(group.last + 1), kind: 'noop' });
    group.commit();
    fixture.peers.remote = undefined;
    // A wait of its own is short, so that the next judgement comes in time.
    fixture.world.advance(STALENESS_MS / 4 + 100);
    expect((await waits)[0]).to.include({ error: undefined, highWatermark: 6 });
    fixture.world.advance(STALENESS_MS);
    refused(await fetch({ offset: 6 }), 'STALE_REPLICA');
  });

  it('passes on what it is not current enough for, where that is allowed', async () => {
    const leading = new FloorFixture();
    const remote = await leading.open();
    remote.lead();
    leading.produce(producedBatch({ records: 2 }));
    remote.commit();
    fixture.peers.remote = leading.peers;
    const got = await fetch({}, { allowForward: true });
    expect(offsetsOf(got)).to.deep.equal([0]);
    await leading.floor.stop();
  });
});
