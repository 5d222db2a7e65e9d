import { expect } from 'chai';

import type { ControllerLink } from '../../../src/broker/controller-link.js';
import { Mover, type MoverDeps } from '../../../src/broker/mover.js';
import type { MetadataView, PartitionHost } from '../../../src/broker/types.js';
import type { RaftGroup } from '../../../src/host/raft-group.js';
import type { MetadataImage } from '../../../src/metadata/image.js';
import { BrokerError } from '../../../src/model/errors.js';
import { brokerId, raftGroupId, type BrokerId } from '../../../src/model/ids.js';

const GROUP = raftGroupId(1);
const ids = (...numbers: number[]): BrokerId[] => numbers.map(brokerId);

/** The group's only partition is on its way to these replicas. */
function imageOf(version: number, replicas: BrokerId[]): MetadataImage {
  const from = { movingFrom: ids(1, 2, 3), targetVersion: version };
  const partitions = [{ partition: 0, groupId: GROUP, replicas, ...from }];
  const image = {
    version,
    moving: new Set([GROUP]),
    groups: new Map([[GROUP, { topicId: 'logs', partition: 0 }]]),
    topicsById: new Map([['logs', { partitions }]]),
  };
  return image as unknown as MetadataImage;
}

/** Broker 3 leads the group, whose only voter it is, and has an image from before that move. */
class Bench {
  /** What the group and the metadata leader were asked for. */
  readonly asked: unknown[] = [];
  image = imageOf(52, ids(1, 2));
  term = 8;
  /** Rejects: no metadata leader is there. */
  barrier: () => Promise<{ index: number }> = () => Promise.resolve({ index: 60 });
  /** Rejects: the group does not follow broker 3, or no longer. */
  readBarrier: () => Promise<void> = () => Promise.resolve();
  /** The members that the group has committed. */
  committed = ids(3);
  waits = 0;
  private look: () => void = () => undefined;

  constructor() {
    const every = (_ms: number, look: () => void): (() => void) => {
      this.look = look;
      return () => undefined;
    };
    const timers = { every };
    const clock = { monotonicMs: () => 0 };
    const deps = {
      world: { timers, clock } as unknown as MoverDeps['world'],
      view: this.view(),
      leaders: { mayLead: () => true } as unknown as MoverDeps['leaders'],
      host: { group: () => this.group() } as unknown as PartitionHost,
      link: this.link(),
      log: { debug: () => undefined, info: () => undefined } as unknown as MoverDeps['log'],
    };
    new Mover(deps).start();
  }

  async lookOnce(): Promise<void> {
    this.look();
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** The first wait for it is long: broker 3 has lost its leadership and won another one meanwhile. */
  anotherTerm(): Promise<void> {
    this.waits += 1;
    if (this.waits === 1) this.term += 2;
    return Promise.resolve();
  }

  private view(): MetadataView {
    const waitFor = (isThere: (image: MetadataImage) => boolean): Promise<MetadataImage> => {
      if (!isThere(this.image)) this.image = imageOf(60, ids(3));
      return Promise.resolve(this.image);
    };
    return { image: () => this.image, waitFor } as unknown as MetadataView;
  }

  private link(): ControllerLink {
    const call = async (name: string, request: unknown): Promise<unknown> => {
      if (name === 'barrier') return await this.barrier();
      this.asked.push([name, request]);
      this.image = { ...this.image, moving: new Set() };
      return {};
    };
    return { call } as unknown as ControllerLink;
  }

  private group(): RaftGroup {
    const membership = { voters: ids(3), votersOutgoing: [], learners: [], learnersNext: [] };
    const status = (): unknown => ({ self: 3, term: this.term, commit: 9, membership, peers: [] });
    const changeMembership = (target: { voters: BrokerId[] }): Promise<void> => {
      if (String(target.voters) === String(this.committed)) return Promise.resolve();
      this.asked.push(['changeMembership', target]);
      return Promise.reject(new BrokerError('THROTTLED', 'not now'));
    };
    const asked = { changeMembership, readBarrier: () => this.readBarrier() };
    return { status, isLeaderReady: () => true, ...asked } as unknown as RaftGroup;
  }
}

describe('the mover', () => {
  it('does not take a group back to the target of an image that lags', async () => {
    const bench = new Bench();
    await bench.lookOnce();
    const move = { groupId: GROUP, replicas: ids(3), targetVersion: 60 };
    expect(bench.asked).to.deep.equal([['completeMove', move]]);
  });

  it('does not call a move complete that a leader only believes to lead', async () => {
    const bench = new Bench();
    bench.readBarrier = () => Promise.reject(new BrokerError('NOT_LEADER', 'another one leads'));
    await bench.lookOnce();
    expect(bench.asked).to.deep.equal([]);
  });

  it('does not call a move complete whose members are not committed', async () => {
    const bench = new Bench();
    bench.committed = ids(1, 2, 3);
    await bench.lookOnce();
    const target = { voters: ids(3), learners: [] };
    expect(bench.asked).to.deep.equal([['changeMembership', target]]);
  });

  it('looks again when its leadership is another one than before the group was asked', async () => {
    const bench = new Bench();
    bench.readBarrier = () => bench.anotherTerm();
    await bench.lookOnce();
    expect(bench.waits).to.equal(2);
    expect(bench.asked.length).to.equal(1);
  });

  it('does nothing while the image cannot be known to be current', async () => {
    const bench = new Bench();
    bench.barrier = () => Promise.reject(new BrokerError('LEADER_UNKNOWN', 'nobody leads'));
    await bench.lookOnce();
    expect(bench.asked).to.deep.equal([]);
  });

  it('asks again when it has lost its leadership and won another while it asked', async () => {
    const bench = new Bench();
    bench.barrier = () => bench.anotherTerm().then(() => ({ index: 60 }));
    await bench.lookOnce();
    expect(bench.waits).to.equal(2);
    expect(bench.asked.length).to.equal(1);
  });
});
