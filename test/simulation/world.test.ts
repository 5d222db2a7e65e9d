import { expect } from 'chai';
import { Prng } from '../../src/base/prng.js';
import { brokerId, incarnation, logIndex, raftGroupId, term } from '../../src/model/ids.js';
import type { PeerMessage } from '../../src/ports/transport.js';
import { NO_MEMBERS } from '../../src/model/membership.js';
import type { Persist } from '../../src/raft/io.js';
import { GOOD_DISK } from './disk-replica.js';
import { SimDisk } from './disk.js';
import { GroupOracle } from './group-oracle.js';
import { LogImage } from './log-image.js';
import { PERFECT_NETWORK, SimNetwork, type NetworkOptions } from './network.js';
import { Violation } from './violation.js';
import { ms, Scheduler, seconds, SimProcess } from './world.js';

function processOf(scheduler: Scheduler, id = 1, rate = 1): SimProcess {
  return new SimProcess(id, 1, scheduler, { rate, wallBaseMs: 1_000 }, new Prng(id));
}

describe('simulated time', () => {
  it('runs events in order of time, and of scheduling at one time', async () => {
    const scheduler = new Scheduler();
    const seen: number[] = [];
    for (const [at, n] of [
      [5, 1],
      [3, 2],
      [5, 3],
      [0, 4],
      [3, 5],
    ] as const) {
      scheduler.schedule(at, undefined, () => seen.push(n));
    }
    await scheduler.run(10);
    expect(seen).to.deep.equal([4, 2, 5, 1, 3]);
    expect(scheduler.now).to.equal(10);
  });

  it('lets promises settle before the next event', async () => {
    const scheduler = new Scheduler();
    const seen: string[] = [];
    scheduler.schedule(1, undefined, () => {
      void (async () => {
        for (let i = 0; i < 20; i += 1) await Promise.resolve();
        seen.push('promise');
      })();
    });
    scheduler.schedule(1, undefined, () => seen.push('event'));
    await scheduler.run(1);
    expect(seen).to.deep.equal(['promise', 'event']);
  });

  it('drops what is due for a dead process and holds back what is due for a paused one', async () => {
    const scheduler = new Scheduler();
    const dead = processOf(scheduler, 1);
    const paused = processOf(scheduler, 2);
    const seen: string[] = [];
    dead.timers.after(5, () => seen.push('dead'));
    paused.timers.after(5, () => seen.push('first'));
    paused.timers.after(6, () => seen.push('second'));
    dead.kill();
    paused.pause();
    await scheduler.run(ms(50));
    expect(seen).to.deep.equal([]);
    paused.resume();
    await scheduler.run(ms(51));
    expect(seen).to.deep.equal(['first', 'second']);
  });

  it('keeps timers as Node does: none early, none under a millisecond, cancellable', async () => {
    const scheduler = new Scheduler();
    const process = processOf(scheduler);
    const seen: number[] = [];
    process.timers.after(0, () => seen.push(scheduler.now));
    process.timers.after(0.2, () => seen.push(scheduler.now));
    const cancel = process.timers.every(10, () => {
      seen.push(scheduler.now);
      if (scheduler.now >= ms(30)) cancel();
    });
    await scheduler.run(seconds(1));
    expect(seen).to.deep.equal([1_000, 1_000, 10_000, 20_000, 30_000]);
  });

  it('gives each process a clock of its own', async () => {
    const scheduler = new Scheduler();
    const fast = processOf(scheduler, 1, 1.05);
    await scheduler.run(seconds(100));
    expect(fast.clock.monotonicMs()).to.be.closeTo(105_000, 1);
    fast.jumpWallClock(-50_000);
    expect(fast.clock.nowMs()).to.be.closeTo(56_000, 1);
    expect(fast.clock.monotonicMs()).to.be.closeTo(105_000, 1);
  });

  it('notices when time stands still', async () => {
    const scheduler = new Scheduler();
    const again = (): void => void scheduler.schedule(0, undefined, again);
    again();
    let thrown: unknown;
    await scheduler.run(1).catch((error: unknown) => (thrown = error));
    expect(String(thrown)).to.contain('time stands still');
  }).timeout(30_000);
});

describe('simulated network', () => {
  const heartbeat = (round: number): PeerMessage => ({
    group: raftGroupId(1),
    message: {
      kind: 'heartbeatRequest',
      from: brokerId(1),
      to: brokerId(2),
      term: term(1),
      incarnation: incarnation(1),
      commit: logIndex(0),
      readRound: round,
      repairTarget: undefined,
    },
  });

  async function received(
    options: Partial<NetworkOptions>,
    prepare: (network: SimNetwork) => void = () => undefined,
  ): Promise<number[]> {
    const scheduler = new Scheduler();
    const network = new SimNetwork(scheduler, new Prng(3), { ...PERFECT_NETWORK, ...options });
    const [one, two] = [1, 2].map((id) => network.attach(processOf(scheduler, id)));
    const rounds: number[] = [];
    two?.start({
      messages: (_from, messages) => {
        for (const { message } of messages) {
          if (message.kind === 'heartbeatRequest') rounds.push(message.readRound);
        }
      },
      snapshot: () => Promise.resolve(),
      connectionLost: () => undefined,
    });
    prepare(network);
    for (let round = 0; round < 200; round += 1) {
      one?.send(brokerId(2), [heartbeat(round)]);
      await scheduler.run(scheduler.now + ms(1));
    }
    await scheduler.run(scheduler.now + seconds(10));
    return rounds;
  }

  const sorted = (rounds: readonly number[]): number[] => [...rounds].sort((a, b) => a - b);

  it('delivers everything in order while links are good', async () => {
    const rounds = await received({});
    expect(rounds).to.deep.equal(Array.from({ length: 200 }, (_, at) => at));
  });

  it('drops, repeats and reorders as the options say', async () => {
    expect((await received({ dropChance: 0.5 })).length).to.be.within(60, 140);
    expect((await received({ duplicateChance: 0.5 })).length).to.be.within(260, 340);
    const late = await received({ straggleChance: 0.5, delayMax: ms(20) });
    expect(late).to.have.length(200);
    expect(late).to.not.deep.equal(sorted(late));
  });

  it('cuts one way only', async () => {
    expect(await received({}, (network) => network.cut(1, 2))).to.deep.equal([]);
    expect(await received({}, (network) => network.cut(2, 1))).to.have.length(200);
  });

  it('tells a caller of the end of the process it asked', async () => {
    const scheduler = new Scheduler();
    const network = new SimNetwork(scheduler, new Prng(3), PERFECT_NETWORK);
    const peer = processOf(scheduler, 2);
    const [one, two] = [network.attach(processOf(scheduler, 1)), network.attach(peer)];
    two.handle('never', () => new Promise(() => undefined));
    let code = '';
    one
      .call(brokerId(2), 'never', new Uint8Array(), { deadlineMs: 60_000 })
      .catch((error: unknown) => {
        code = (error as { code: string }).code;
      });
    await scheduler.run(ms(100));
    expect(code).to.equal('');
    peer.kill();
    network.detach(peer);
    await scheduler.run(ms(200));
    expect(code).to.equal('BROKER_UNAVAILABLE');
  });
});

describe('simulated disk', () => {
  const spec = {
    groupId: raftGroupId(1),
    topicId: undefined,
    topic: '',
    partition: 0,
    bootstrap: NO_MEMBERS,
  };

  const write = (index: number): Persist => ({
    ticket: index,
    hardState: undefined,
    append: {
      prev: { term: term(index === 1 ? 0 : 1), index: logIndex(index - 1) },
      entries: [
        {
          term: term(1),
          index: logIndex(index),
          kind: 'noop',
          timeMs: 0,
          payload: new Uint8Array(),
        },
      ],
    },
    install: undefined,
  });

  /** Writes one entry, ends the process at a moment of its life, and says how many are left. */
  async function leftAfter(
    kind: 'process' | 'power',
    afterMicros: number,
    seed: number,
  ): Promise<number> {
    const scheduler = new Scheduler();
    const options = {
      ...GOOD_DISK,
      writeMax: 0,
      syncMax: ms(100),
      slowSyncChance: 1,
      slowSyncMax: ms(100),
    };
    const disk = new SimDisk(1, scheduler, new Prng(seed), options);
    disk.addReplica(spec);
    const opening = disk.open(processOf(scheduler)).openReplica(spec.groupId);
    await scheduler.run(ms(5));
    const { store } = await opening;
    void store.persist(write(1));
    await scheduler.run(scheduler.now + afterMicros);
    disk.crash(kind);
    return disk.replicas.get(spec.groupId)?.log.last.index ?? -1;
  }

  it('keeps what a killed process had handed over, and may lose it with the power', async () => {
    let keptByPower = 0;
    for (let seed = 1; seed <= 40; seed += 1) {
      // Too soon for the sync, late enough for the operating system to have it.
      expect(await leftAfter('process', 2, seed)).to.equal(1);
      keptByPower += await leftAfter('power', 2, seed);
      expect(await leftAfter('power', ms(200), seed)).to.equal(1);
    }
    expect(keptByPower).to.be.within(1, 30);
  });

  it('answers only what is durable, and fails everything once a sync failed', async () => {
    const scheduler = new Scheduler();
    const disk = new SimDisk(1, scheduler, new Prng(1), { ...GOOD_DISK, syncMax: ms(50) });
    disk.addReplica(spec);
    const opening = disk.open(processOf(scheduler)).openReplica(spec.groupId);
    await scheduler.run(ms(5));
    const { store } = await opening;
    const replica = disk.replicas.get(spec.groupId);
    const seen: string[] = [];
    void store.persist(write(1)).then(() => seen.push(`durable ${replica?.log.last.index ?? 0}`));
    await scheduler.run(ms(100));
    expect(seen).to.deep.equal(['durable 1']);
    if (replica !== undefined) replica.failsNextSync = true;
    for (const index of [2, 3]) {
      store.persist(write(index)).catch((error: unknown) => seen.push((error as Error).message));
    }
    await scheduler.run(ms(200));
    store.persist(write(4)).catch((error: unknown) => seen.push((error as Error).name));
    await scheduler.run(ms(300));
    expect(seen.slice(1)).to.deep.equal([
      'the disk failed to sync',
      'the disk failed to sync',
      'StoreFencedError',
    ]);
  });
});

describe('group oracle', () => {
  const oracle = (): GroupOracle => new GroupOracle(1, () => undefined);
  const logOf = (...terms: readonly number[]): LogImage => {
    const log = new LogImage();
    const entries = terms.map((t, at) => ({
      term: term(t),
      index: logIndex(at + 1),
      kind: 'noop' as const,
      timeMs: 0,
      payload: new Uint8Array(),
    }));
    log.replaceAfter(0, log.link(0, entries));
    return log;
  };

  it('accepts one leader a term and refuses a second', () => {
    const judge = oracle();
    judge.leads(1, 5);
    judge.leads(1, 5);
    judge.leads(2, 6);
    expect(() => judge.leads(3, 5)).to.throw(Violation, 'I1');
  });

  it('refuses a leader that commits by the term of another', () => {
    const judge = oracle();
    judge.leads(1, 3);
    const commit = { to: 2, term: 3, membership: NO_MEMBERS };
    expect(() => judge.commitsAsLeader(1, logOf(1, 2), commit)).to.throw(Violation, 'I10');
  });

  it('refuses another entry where one was committed, and a leader without it', () => {
    const judge = oracle();
    judge.commitsAsLeader(1, logOf(1, 2), { to: 2, term: 2, membership: NO_MEMBERS });
    judge.commits(2, logOf(1, 2, 2), 2);
    judge.beginsReign(2, 3, logOf(1, 2, 2), NO_MEMBERS);
    expect(() => judge.commits(2, logOf(1, 1), 2)).to.throw(Violation, 'I5');
    expect(() => judge.commits(2, logOf(1, 2, 2), 3)).to.throw(Violation, 'I5');
    expect(() => judge.beginsReign(3, 3, logOf(1), NO_MEMBERS)).to.throw(Violation, 'I4');
  });

  it('refuses two pasts of one identity, two states at one index, an ack of nothing', () => {
    const judge = oracle();
    judge.held(1, logOf(1, 2).items);
    expect(() => judge.held(2, logOf(2, 2).items)).to.throw(Violation, 'I3');
    judge.stateAt('machine', 7, 1, 1);
    expect(() => judge.stateAt('machine', 7, 2, 2)).to.throw(Violation, 'I17');
    expect(() => judge.acknowledges({ term: term(1), index: logIndex(9) })).to.throw(
      Violation,
      'I7',
    );
  });
});
