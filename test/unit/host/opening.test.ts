import { expect } from 'chai';

import { brokerId, incarnation, logIndex, raftGroupId, term } from '../../../src/model/ids.js';
import type { PeerMessage } from '../../../src/ports/transport.js';
import type { Message } from '../../../src/raft/message.js';
import { TestCluster, TestOwner, type TestBroker } from './support/test-cluster.js';

/** A group of three of which only one broker is left, which starts anew and whose store takes its time. */
class SlowStart {
  readonly cluster = new TestCluster(3);
  readonly sent: Message[] = [];
  readonly owner = new TestOwner();
  /** As it is on disk when the story begins. */
  readonly term = 1;
  opening: Promise<void> = Promise.resolve();
  letOpen: () => void = () => undefined;
  private readonly self: TestBroker;

  private constructor() {
    const [, self] = this.cluster.brokers;
    this.self = self!;
  }

  static async begin(): Promise<SlowStart> {
    const story = new SlowStart();
    const { cluster, self } = story;
    await cluster.open(1);
    await cluster.commit(await cluster.leader(1), 1, 'a', 'b');
    await cluster.agree(1, 2);
    for (const broker of cluster.brokers) broker.kill({ isNoticed: false });
    story.listen();
    self.start();
    story.disk.openGate = new Promise((resolve) => {
      story.letOpen = resolve;
    });
    story.opening = self.open(cluster.spec(1), { owner: story.owner });
    self.steps = [];
    return story;
  }

  get disk() {
    return this.self.disk(1);
  }
  get steps(): readonly string[] {
    return this.self.steps ?? [];
  }
  get status() {
    return this.self.group(1).status();
  }
  get isReady(): boolean {
    return this.self.group(1).isLeaderReady();
  }
  get kinds(): readonly string[] {
    return [...new Set(this.sent.map(({ kind }) => kind))];
  }

  /** What 1 or 3 might say in a term one above what is on disk, or in `above` more. */
  say(kind: Message['kind'], from: 1 | 3, above = 1): void {
    const { last } = this.disk;
    const message = {
      kind,
      ...{ from: brokerId(from), to: this.self.id, incarnation: incarnation(1) },
      term: term(this.term + above),
      ...{ lastLog: last, isTransfer: true, granted: true, damaged: false },
      ...{ prev: last, entries: [], commit: last.index, repairTarget: undefined },
      ...{ prevIndex: last.index, outcome: { ok: true, match: last.index }, repairing: false },
    } as Message;
    const sent: PeerMessage = { group: raftGroupId(1), message };
    this.cluster.network.deliver(brokerId(from), this.self.id, [sent]);
  }

  private listen(): void {
    const { network } = this.cluster;
    const transport = network.transport.bind(network);
    network.transport = (self) => ({
      ...transport(self),
      send: (_to, messages) => {
        for (const { message } of messages) if (message.kind !== 'pulse') this.sent.push(message);
        return [];
      },
    });
  }
}

describe('a replica whose store is still opening', () => {
  it('answers, votes and leads only once it is open, and serves only once it has replayed', async () => {
    const story = await SlowStart.begin();
    const { cluster, disk, owner, sent } = story;
    const { hardState } = disk;
    expect(hardState.term).to.equal(story.term);
    for (let round = 0; round < 10; round++) {
      story.say('preVoteRequest', 3);
      story.say('voteRequest', 3);
      story.say('appendRequest', 1, 0);
      story.say('timeoutNow', 1, 0);
      await cluster.world.run(500);
    }
    expect(sent, 'nothing is answered, nobody is asked').to.deep.equal([]);
    expect(story.steps, 'no core hears anything').to.deep.equal([]);
    expect(disk.hardState, 'nothing is promised').to.equal(hardState);
    expect(owner.roles).to.deep.equal([]);

    story.letOpen();
    await cluster.finished(story.opening);
    await cluster.world.run(150);
    // Of all that was said before, only the pre-vote is heard, which promises nothing.
    expect(story.kinds.filter((kind) => !kind.startsWith('preVote'))).to.deep.equal([]);
    expect(story.kinds).not.to.deep.equal([]);
    expect(disk.hardState).to.equal(hardState);
    expect(owner.machine.commands, 'what is committed is not known yet').to.deep.equal([]);

    sent.length = 0;
    story.say('voteRequest', 3);
    story.say('voteRequest', 1);
    await cluster.world.run(10);
    expect(disk.hardState).to.include({ term: 2, votedFor: 3 });
    const votes = sent.flatMap((m) => (m.kind === 'voteResponse' ? [[m.to, m.granted]] : []));
    expect(votes).to.deep.equal([
      [3, true],
      [1, false],
    ]);

    sent.length = 0;
    story.say('timeoutNow', 3);
    await cluster.world.run(10);
    expect(story.kinds).to.deep.equal(['voteRequest']);
    story.say('voteResponse', 3, 2);
    await cluster.world.run(10);
    expect(story.status).to.include({ role: 'leader', term: 3 });
    expect(story.isReady, 'its term has committed nothing').to.equal(false);
    expect(owner.machine.commands).to.deep.equal([]);
    story.say('appendResponse', 3, 2);
    await cluster.world.run(10);
    expect(owner.ready).to.deep.equal([3]);
    expect(owner.machine.commands).to.deep.equal(['a', 'b']);
    expect(story.isReady).to.equal(true);
    expect(story.status?.commit).to.equal(logIndex(disk.last.index));
  });
});
