import { membershipOf } from '../../src/model/membership.js';
import { brokerId, logIndex } from '../../src/model/ids.js';
import type { RaftConfig } from '../../src/raft/config.js';
import {
  describeEntry,
  describeMessage,
  describePersist,
  describeProposeResult,
  describeRange,
  describeRole,
  describeSnapshot,
  describeStatus,
} from '../../src/raft/debug.js';
import type { Asleep, Ready } from '../../src/raft/io.js';
import type { RaftInspection } from '../../src/raft/raft-node.js';
import { parseIds, type Command, type CommandHandler } from './data-driven.js';
import { membershipIn, messageIn, prepareDisk, snapshotMeta } from './raft-forge.js';
import { RaftNet, type Disk, type InFlight, type Member } from './raft-net.js';

/**
 * The language of test/data/raft. Lines that start with `1>` are what replica 1 wants done; `->` is a
 * message arriving. `quiet` ends the printing of both until `loud`.
 */
export function raftScript(): CommandHandler {
  const script = new RaftScript();
  return (command) => script.run(command);
}

class RaftScript {
  private net: RaftNet;
  private lines: string[] = [];
  private isQuiet = false;
  private config: Partial<RaftConfig> = {};
  private readonly kept = new Map<string, InFlight[]>();

  constructor() {
    this.net = this.makeNet();
  }

  run(command: Command): string {
    this.lines = [];
    const verb = this.verbs[command.name];
    if (verb === undefined) throw new Error(`unknown command ${command.name}`);
    const said = verb(command);
    if (said !== undefined) this.lines.push(said);
    return this.lines.join('\n');
  }

  private readonly verbs: Record<string, (c: Command) => string | undefined> = {
    config: ({ options }) => {
      for (const [key, value] of options) this.config = { ...this.config, [key]: Number(value) };
      this.net = this.makeNet();
      return undefined;
    },
    'add-nodes': ({ words, options }) => {
      const voters = Array.from({ length: Number(words[0]) }, (_, i) => i + 1);
      const learners = parseIds(options.get('learners'));
      const membership = membershipOf(voters, learners);
      for (const id of [...voters, ...learners]) this.net.add(id, membership);
      return undefined;
    },
    'add-empty': ({ words }) => {
      for (const word of words) this.net.add(Number(word));
      return undefined;
    },
    /** `node 1 voters=(1 2 3) term=2 vote=1 log=(1/1 2/2)`: with this on its disk from the start. */
    node: (command) => {
      const prepare = (disk: Disk): void => prepareDisk(disk, command);
      this.net.add(Number(command.words[0]), membershipIn(command), prepare);
      return undefined;
    },
    /** `say 2->1 t3 timeoutNow`: made up, whoever 2 is; 1 does what it then wants to do. */
    say: (command) => {
      const message = messageIn(command);
      if (message.kind === 'snapshot') this.net.step(message.to, message.event);
      else this.net.step(message.to, { kind: 'message', message });
      while (this.net.run(message.to));
      return undefined;
    },
    /** `keep NAME from=1 kind=…`: takes these messages from the network, to be given later. */
    keep: ({ words, options }) => {
      const matches = matching(options);
      const found = this.net.inFlight.filter(matches);
      this.net.inFlight = this.net.inFlight.filter((m) => !matches(m));
      this.kept.set(words[0] ?? '', found);
      return found.map((m) => `kept ${describeInFlight(m)}`).join('\n') || 'nothing';
    },
    /** Delivers what was kept, as often as it is said. */
    give: ({ words }) => {
      const messages = this.kept.get(words[0] ?? '');
      if (messages === undefined) throw new Error(`nothing is kept as ${words[0] ?? ''}`);
      for (const message of messages) this.net.receive(message);
      return undefined;
    },
    quiet: () => {
      this.isQuiet = true;
      return undefined;
    },
    loud: () => {
      this.isQuiet = false;
      return undefined;
    },
    tick: ({ words, options }) => {
      for (const id of this.ids(words)) this.net.tick(id, Number(options.get('n') ?? 1));
      return undefined;
    },
    'tick-all': ({ words }) => {
      this.net.tickAll(Number(words[0] ?? 1));
      return undefined;
    },
    campaign: ({ words }) => {
      this.net.campaign(Number(words[0]));
      return undefined;
    },
    elect: ({ words }) => {
      this.net.elect(Number(words[0]));
      return undefined;
    },
    propose: ({ words }) => {
      const result = this.net.propose(Number(words[0]), ...words.slice(1));
      return describeProposeResult(result);
    },
    change: ({ words, options }) => {
      const voters = parseIds(options.get('voters'));
      const learners = parseIds(options.get('learners'));
      return describeProposeResult(this.net.change(Number(words[0]), voters, learners));
    },
    transfer: ({ words }) => {
      const to = brokerId(Number(words[1]));
      this.net.step(Number(words[0]), { kind: 'transferLeadership', to });
      return undefined;
    },
    read: ({ words }) => {
      this.net.step(Number(words[0]), { kind: 'readBarrier', token: Number(words[1]) });
      return undefined;
    },
    /** The host of each offers its group to sleep; everybody, if none is named. */
    quiesce: ({ words }) => {
      for (const id of this.ids(words)) this.net.step(id, { kind: 'quiesce' });
      return undefined;
    },
    wake: ({ words }) => {
      for (const id of this.ids(words)) this.net.step(id, { kind: 'wake' });
      return undefined;
    },
    /** The process of each stood still for longer than an election timeout. */
    stalled: ({ words }) => {
      for (const id of this.ids(words)) this.net.step(id, { kind: 'stalled' });
      return undefined;
    },
    asleep: ({ words }) =>
      this.ids(words)
        .map((id) => `${id}: ${describeSleep(this.net.node(id).asleep)}`)
        .join('\n'),
    /** The core's wishes, once. */
    run: ({ words }) => {
      for (const id of this.ids(words)) this.net.run(id);
      return undefined;
    },
    stabilize: ({ words }) => {
      this.net.stabilize(words.length > 0 ? words.map(Number) : undefined);
      return undefined;
    },
    deliver: ({ options }) => {
      this.net.deliver(matching(options));
      return undefined;
    },
    drop: ({ options }) => {
      const dropped = this.net.drop(matching(options));
      return dropped.map((m) => `x ${describeInFlight(m)}`).join('\n');
    },
    'in-flight': () => this.net.inFlight.map(describeInFlight).join('\n') || 'nothing',
    'hold-disk': ({ words }) => {
      for (const id of this.ids(words)) this.net.get(id).isDiskHeld = true;
      return undefined;
    },
    'release-disk': ({ words }) => {
      for (const id of this.ids(words)) {
        this.net.get(id).isDiskHeld = false;
        this.net.persist(id);
      }
      return undefined;
    },
    persist: ({ words, options }) => {
      this.net.persist(Number(words[0]), Number(options.get('n') ?? Infinity));
      return undefined;
    },
    /** `completed 1 ticket=2`: the disk of 1 says, or says again, that it is done so far. */
    completed: ({ words, options }) => {
      const ticket = Number(options.get('ticket'));
      this.net.step(Number(words[0]), { kind: 'persisted', ticket });
      return undefined;
    },
    crash: ({ words }) => {
      for (const id of this.ids(words)) this.net.crash(id);
      return undefined;
    },
    restart: ({ words }) => {
      for (const id of this.ids(words)) this.net.restart(id);
      return undefined;
    },
    damage: ({ words }) => {
      const member = this.net.get(Number(words[0]));
      if (member.isUp) throw new Error('crash it first');
      member.disk.damage();
      return undefined;
    },
    /** `lose-tail 1 keep=2`: the end of its log was not synced when its machine lost power. */
    'lose-tail': ({ words, options }) => {
      const member = this.net.get(Number(words[0]));
      if (member.isUp) throw new Error('crash it first');
      member.disk.loseTail(Number(options.get('keep') ?? 0));
      return undefined;
    },
    isolate: ({ words }) => {
      this.net.isolate(...words.map(Number));
      return undefined;
    },
    cut: ({ words }) => {
      this.net.cut(Number(words[0]), Number(words[1]));
      return undefined;
    },
    /** `mute 1 2`: what 1 sends does not reach 2. */
    mute: ({ words }) => {
      this.net.cutOneWay(Number(words[0]), Number(words[1]));
      return undefined;
    },
    heal: () => {
      this.net.heal();
      return undefined;
    },
    /** `lost 1 at=(2 3)`: 2 and 3 hear that the process of 1 is gone. */
    lost: ({ words, options }) => {
      const peer = brokerId(Number(words[0]));
      for (const id of parseIds(options.get('at'))) {
        this.net.step(id, { kind: 'connectionLost', peer });
      }
      return undefined;
    },
    /** `campaign-in 1 n=2`: replica 1 is told to look for a leader in two ticks. */
    'campaign-in': ({ words, options }) => {
      const inTicks = Number(options.get('n') ?? 0);
      for (const id of this.ids(words)) this.net.step(id, { kind: 'campaign', inTicks });
      return undefined;
    },
    unreachable: ({ words }) => {
      const peer = brokerId(Number(words[1]));
      this.net.step(Number(words[0]), { kind: 'peerUnreachable', peer });
      return undefined;
    },
    'hold-reads': ({ words }) => {
      for (const id of this.ids(words)) this.net.get(id).areReadsHeld = true;
      return undefined;
    },
    'answer-reads': ({ words }) => {
      for (const id of this.ids(words)) this.net.answerReads(id);
      return undefined;
    },
    /** `read-failed 1 2`: the read of 1 for 2 failed. */
    'read-failed': ({ words }) => {
      const peer = brokerId(Number(words[1]));
      this.net.step(Number(words[0]), { kind: 'readFailed', peer });
      return undefined;
    },
    'hold-reports': () => {
      this.net.areSnapshotsReported = false;
      return undefined;
    },
    /** `report 1 3 last=5 failed`: 1 hears what became of its snapshot for 3. */
    report: ({ words, options }) => {
      const peer = brokerId(Number(words[1]));
      const lastIndex = logIndex(Number(options.get('last')));
      const ok = words[2] !== 'failed';
      this.net.step(Number(words[0]), { kind: 'snapshotReported', peer, lastIndex, ok });
      return undefined;
    },
    /** `prefix 1 last=1/4 voters=(1 2 3)`: the store of 1 truncated its prefix, or says so. */
    prefix: (command) => {
      const snapshot = snapshotMeta(command.options.get('last') ?? '', membershipIn(command));
      this.net.step(Number(command.words[0]), { kind: 'prefixMoved', snapshot });
      return undefined;
    },
    truncate: ({ words }) => {
      this.net.truncatePrefix(Number(words[0]), Number(words[1]));
      return undefined;
    },
    trim: ({ words }) => {
      const node = this.net.node(Number(words[0]));
      node.trimRecent(Number(words[1] ?? 0));
      return `${node.recentBytes()} bytes in memory`;
    },
    status: ({ words }) =>
      this.ids(words)
        .map((id) => describeStatus(this.net.node(id).status()))
        .join('\n'),
    /** Who leads, follows, asks; without the rest. */
    roles: ({ words }) =>
      this.ids(words)
        .filter((id) => this.net.get(id).isUp)
        .map((id) => `${id} ${describeRole(this.net.node(id).status())}`)
        .join('\n'),
    inside: ({ words }) =>
      this.ids(words)
        .map((id) => `${id}: ${describeInspection(this.net.node(id).inspect())}`)
        .join('\n'),
    log: ({ words }) =>
      this.ids(words)
        .map((id) => {
          const { disk } = this.net.get(id);
          const head = disk.snapshot.last.index > 0 ? [describeSnapshot(disk.snapshot)] : [];
          return [`${id}: on disk`, ...head, ...disk.entries.map(describeEntry)].join('\n  ');
        })
        .join('\n'),
    applied: ({ words }) =>
      this.ids(words)
        .map((id) => `${id}: ${this.net.appliedTexts(id).join(' ')}`)
        .join('\n'),
    barriers: ({ words }) => this.net.get(Number(words[0])).barriers.join('\n') || 'none',
  };

  private makeNet(): RaftNet {
    return new RaftNet({
      config: this.config,
      onReady: (member, ready) => {
        if (!this.isQuiet) this.lines.push(...readyLines(member, ready));
      },
      onDeliver: (message) => {
        if (!this.isQuiet) this.lines.push(`-> ${describeInFlight(message)}`);
      },
    });
  }

  private ids(words: readonly string[]): number[] {
    return words.length > 0 ? words.map(Number) : [...this.net.members.keys()];
  }
}

function readyLines({ id }: Member, ready: Ready): string[] {
  const lines: string[] = [];
  if (ready.roleChange !== undefined) lines.push(describeRole(ready.roleChange));
  for (const persist of ready.persists) lines.push(`write ${describePersist(persist)}`);
  for (const message of ready.messages) lines.push(`send ${describeMessage(message)}`);
  for (const { peer } of ready.snapshotsToSend) lines.push(`send snapshot to ${peer}`);
  for (const { peer, from } of ready.catchUpReads) lines.push(`read from ${from} for ${peer}`);
  if (ready.committed !== undefined) {
    lines.push(`apply [${ready.committed.first},${ready.committed.next})`);
  }
  for (const { token, index } of ready.barriersReached) lines.push(`read ${token} at ${index}`);
  for (const token of ready.barriersFailed) lines.push(`read ${token} failed`);
  return lines.map((line) => `${id}> ${line}`);
}

function describeSleep(asleep: Asleep | undefined): string {
  if (asleep === undefined) return 'awake';
  return `asleep in t${asleep.term} under ${asleep.leader} with (${asleep.others.join(' ')})`;
}

function describeInspection(i: RaftInspection): string {
  const parts = [
    `recent=${describeRange(i.recent)}`,
    `verified=${i.verified}`,
    `uncommitted=${i.uncommittedBytes}`,
    `held=${i.heldMessages}`,
    `refused=${i.implausibleMessages}`,
    `reads=${i.barriersWaiting}`,
  ];
  for (const { id, count, bytes, isPaused } of i.inflights) {
    parts.push(`{${id}: ${count} in flight, ${bytes} bytes${isPaused ? ', paused' : ''}}`);
  }
  return parts.join(' ');
}

function describeInFlight(message: InFlight): string {
  if (message.kind !== 'snapshot') return describeMessage(message);
  return `${message.from}->${message.to} ${describeSnapshot(message.event.snapshot)}`;
}

function matching(options: ReadonlyMap<string, string>): (m: InFlight) => boolean {
  const from = options.get('from');
  const to = options.get('to');
  const kind = options.get('kind');
  return (m) =>
    (from === undefined || parseIds(from).includes(m.from)) &&
    (to === undefined || parseIds(to).includes(m.to)) &&
    (kind === undefined || m.kind === kind);
}
