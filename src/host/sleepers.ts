import { chainHash } from '../base/chain-hash.js';
import type { BrokerId, RaftGroupId } from '../model/ids.js';
import type { Logger } from '../ports/telemetry.js';
import type { Pulse, SleepDigest } from '../ports/transport.js';
import type { Asleep } from '../raft/io.js';

/** One group of this broker, as far as its sleep goes. */
export interface Sleeper {
  readonly id: RaftGroupId;
  /** The host is not sure of the group's sleep any more. */
  wake(): void;
  /** No pulse of a broker that the group's sleep relies on came for too long. */
  pulseLapsed(peer: BrokerId): void;
}

export interface SleepersOptions {
  readonly self: BrokerId;
  /** Of this life of the broker. */
  readonly boot: number;
  readonly electionTicks: number;
  readonly log: Logger;
}

/** Pulses of one peer that do not fit what is known here, before anybody is woken. */
const DOUBTS_MAX = 2;

/**
 * Watches over the groups that sleep: in place of every group's heartbeats, each two brokers between
 * which groups sleep exchange one pulse at intervals. A pulse says which of the groups its sender leads
 * sleep, as a digest over (group, term), so that it stands for exactly these leaderships: a leader that
 * restarted, lost its replica or was woken is not in it any more.
 *
 * A group is woken when the pulses of the broker it relies on stop (its followers then look for a
 * leader, by rank, as after a lost connection), when that broker has started anew, or when two pulses
 * in a row contradict what is known here. Waking too often costs a heartbeat; nobody is kept asleep by
 * a broker that does not lead the group.
 *
 * Invariant: a group is in the sets of exactly the peers its present sleep involves.
 */
export class Sleepers {
  readonly #options: SleepersOptions;
  readonly #pulseTicks: number;
  readonly #lapseTicks: number;
  readonly #peers = new Map<BrokerId, PeerSleep>();
  readonly #asleep = new Map<Sleeper, Asleep>();
  /** The last pulse of each peer that was heard and not judged yet. */
  readonly #heard = new Map<BrokerId, Pulse>();
  #ticks = 0;
  #arePulsesDue = false;

  constructor(options: SleepersOptions) {
    this.#options = options;
    // Three pulses in a row may be lost; and an election is over before a timeout would have begun it.
    this.#pulseTicks = Math.max(1, Math.floor(options.electionTicks / 5));
    this.#lapseTicks = Math.max(3 * this.#pulseTicks, Math.floor((4 * options.electionTicks) / 5));
  }

  /** How many groups sleep here. */
  get count(): number {
    return this.#asleep.size;
  }

  /** The group fell asleep, or woke (`asleep` is undefined), or both. */
  changed(sleeper: Sleeper, asleep: Asleep | undefined): void {
    const before = this.#asleep.get(sleeper);
    if (before === asleep) return;
    if (before !== undefined) this.#remove(sleeper, before);
    if (asleep === undefined) return;
    this.#asleep.set(sleeper, asleep);
    for (const peer of this.#involved(asleep)) {
      this.#setOf(peer, asleep).add(sleeper, asleep);
    }
  }

  /** The replica is not here any more; its peers find out by the next pulses. */
  forget(sleeper: Sleeper): void {
    this.changed(sleeper, undefined);
  }

  /** True if pulses are due, which leave with the turn that follows. */
  tick(): boolean {
    this.#ticks += 1;
    for (const [id, peer] of this.#peers) {
      if (peer.isEmpty) {
        this.#peers.delete(id);
        continue;
      }
      peer.silentTicks += 1;
      if (peer.silentTicks >= this.#lapseTicks) this.#lapsed(id, peer);
    }
    if (this.#ticks % this.#pulseTicks === 0) this.#arePulsesDue = this.#peers.size > 0;
    return this.#arePulsesDue;
  }

  /** What is due: to be sent behind all that the turn says of groups that fell asleep or woke. */
  takePulses(): readonly Pulse[] {
    if (!this.#arePulsesDue) return [];
    this.#arePulsesDue = false;
    const { self, boot } = this.#options;
    return [...this.#peers].map(([to, peer]) => ({
      ...({ kind: 'pulse', from: self, to, boot } as const),
      asleep: peer.led.digest,
      disagrees: peer.doubts >= DOUBTS_MAX,
    }));
  }

  /**
   * To be judged once all that came before it has been taken in. Of those that came together the last
   * one counts: the others speak of what was before.
   */
  heard(pulse: Pulse): void {
    this.#heard.set(pulse.from, pulse);
  }

  /** At the end of a turn, when it is known who fell asleep and who woke. */
  judgeHeard(): void {
    if (this.#heard.size === 0) return;
    const pulses = [...this.#heard.values()];
    this.#heard.clear();
    for (const pulse of pulses) this.#judge(pulse);
  }

  #judge(pulse: Pulse): void {
    const { from, boot, asleep, disagrees } = pulse;
    const peer = this.#peers.get(from);
    // Whoever relies on groups that do not sleep here hears so by our silence.
    if (peer === undefined) return;
    peer.silentTicks = 0;
    if (boot !== (peer.boot ?? boot)) this.#wakeAll(from, peer, 'it has started anew');
    peer.boot = boot;
    if (disagrees) this.#wakeEach(from, peer.led, 'it knows nothing of some that are led here');
    const { digest } = peer.followed;
    peer.doubts = digest.count === asleep.count && digest.sum === asleep.sum ? 0 : peer.doubts + 1;
    if (peer.doubts >= DOUBTS_MAX) {
      this.#wakeEach(from, peer.followed, 'others sleep there than here');
    }
  }

  #lapsed(id: BrokerId, peer: PeerSleep): void {
    peer.silentTicks = 0;
    const groups = [...peer.led, ...peer.followed];
    const facts = { peer: id, groups: groups.length };
    this.#options.log.info(facts, 'a broker fell silent: the groups that sleep with it wake');
    for (const sleeper of groups) sleeper.pulseLapsed(id);
  }

  #wakeAll(id: BrokerId, peer: PeerSleep, why: string): void {
    this.#wakeEach(id, peer.led, why);
    this.#wakeEach(id, peer.followed, why);
  }

  #wakeEach(id: BrokerId, set: SleepSet, why: string): void {
    const { count } = set.digest;
    if (count === 0) return;
    this.#options.log.debug(
      { peer: id, groups: count, why },
      'woke groups that sleep with a broker',
    );
    for (const sleeper of [...set]) sleeper.wake();
  }

  #remove(sleeper: Sleeper, before: Asleep): void {
    this.#asleep.delete(sleeper);
    for (const peer of this.#involved(before)) this.#setOf(peer, before).delete(sleeper, before);
  }

  /** A leader relies on everybody who follows it, a follower on its leader. */
  #involved({ leader, others }: Asleep): readonly BrokerId[] {
    return leader === this.#options.self ? others : [leader];
  }

  #setOf(id: BrokerId, { leader }: Asleep): SleepSet {
    let peer = this.#peers.get(id);
    if (peer === undefined) {
      peer = new PeerSleep();
      this.#peers.set(id, peer);
    }
    return leader === this.#options.self ? peer.led : peer.followed;
  }
}

/** What sleeps between this broker and one other. */
class PeerSleep {
  /** Led here, with the peer as a member. */
  readonly led = new SleepSet();
  /** Led by the peer. */
  readonly followed = new SleepSet();
  /** The life of the peer that its last pulse told of. */
  boot: number | undefined = undefined;
  /** Ticks since its last pulse, or since there is anything that sleeps with it. */
  silentTicks = 0;
  /** Pulses in a row that did not fit `followed`. */
  doubts = 0;

  get isEmpty(): boolean {
    return this.led.digest.count + this.followed.digest.count === 0;
  }
}

/** Groups with a digest that is kept up as they come and go. */
class SleepSet implements Iterable<Sleeper> {
  readonly #sleepers = new Set<Sleeper>();
  #sum = 0;

  get digest(): SleepDigest {
    return { count: this.#sleepers.size, sum: this.#sum };
  }

  add(sleeper: Sleeper, asleep: Asleep): void {
    this.#sleepers.add(sleeper);
    this.#sum = (this.#sum + hashOf(sleeper, asleep)) >>> 0;
  }

  delete(sleeper: Sleeper, asleep: Asleep): void {
    if (this.#sleepers.delete(sleeper)) this.#sum = (this.#sum - hashOf(sleeper, asleep)) >>> 0;
  }

  [Symbol.iterator](): Iterator<Sleeper> {
    return this.#sleepers.values();
  }
}

function hashOf({ id }: Sleeper, { term }: Asleep): number {
  return chainHash(0, [id, term]) % 2 ** 32;
}
