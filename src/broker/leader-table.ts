import type { BrokerAddress, MetadataDelta, MetadataImage } from '../metadata/image.js';
import { BrokerError, type LeaderHint } from '../model/errors.js';
import { METADATA_GROUP, type BrokerId, type RaftGroupId, type Term } from '../model/ids.js';
import type { Logger } from '../ports/telemetry.js';
import type { PeerCaller } from '../ports/transport.js';
import type { Cancel, World } from '../ports/world.js';
import type { AddressBook } from './address-book.js';
import { addressCodec } from './controller-ops.js';
import { callPeer, flag, handlePeer, listOf, peerOp, record, uint } from './peer-op.js';
import type { KnownLeader, LeaderTable, MetadataView } from './types.js';

interface Claim {
  readonly groupId: RaftGroupId;
  readonly term: Term;
}

interface Gossip {
  readonly from: BrokerId;
  readonly address: BrokerAddress;
  /** Whether `from` should be chosen as a leader. */
  readonly mayLead: boolean;
  /** Groups that `from` leads. */
  readonly claims: readonly Claim[];
}

const gossip = record<Gossip>({
  from: uint<BrokerId>(),
  address: addressCodec,
  mayLead: flag,
  claims: listOf(record<Claim>({ groupId: uint<RaftGroupId>(), term: uint<Term>() })),
});
/** The sender says what it leads and hears what the receiver leads, if it asked for that. */
const EXCHANGE = peerOp('leaders.exchange', gossip, gossip);
const ANNOUNCE = peerOp('leaders.announce', gossip, record<{ ok: number }>({ ok: uint() }));

const GOSSIP_DEADLINE_MS = 2_000;
const CLAIMS_PER_MESSAGE_MAX = 20_000;

interface Outbox {
  readonly claims: Map<RaftGroupId, Term>;
  /** The peer has yet to hear what this broker declared. */
  owesDeclaration: boolean;
  isSending: boolean;
}

export interface LeaderTableDeps {
  readonly self: BrokerId;
  readonly address: BrokerAddress;
  readonly world: World;
  readonly peers: PeerCaller;
  readonly book: AddressBook;
  readonly view: MetadataView;
  readonly log: Logger;
  readonly exchangeMs: number;
}

/**
 * Who leads which Raft group, and who should not, as far as this broker has heard. Soft state: never
 * stored, and wrong at worst until the next exchange. News of this broker's own goes to everyone at
 * once (one message a peer and turn); a slow exchange with one peer at a time repairs what was lost.
 *
 * Invariant: for each group the known term never falls.
 */
export class GossipLeaderTable implements LeaderTable {
  readonly #deps: LeaderTableDeps;
  readonly #known = new Map<RaftGroupId, KnownLeader>();
  readonly #listeners = new Set<(groupId: RaftGroupId, known: KnownLeader) => void>();
  readonly #readyListeners = new Set<(groupId: RaftGroupId) => void>();
  readonly #outboxes = new Map<BrokerId, Outbox>();
  /** Brokers, maybe this one, that last said that they may not lead. */
  readonly #reluctant = new Set<BrokerId>();
  #flushScheduled = false;
  #nextPeer = 0;
  #cancels: Cancel[] = [];

  constructor(deps: LeaderTableDeps) {
    this.#deps = deps;
    const { peers } = deps;
    handlePeer(peers, EXCHANGE, async (message) => {
      this.#hear(message);
      return Promise.resolve(this.#gossipOf(this.#ledHere()));
    });
    handlePeer(peers, ANNOUNCE, async (message) => {
      this.#hear(message);
      return Promise.resolve({ ok: 1 });
    });
  }

  start(): void {
    const { view, world, exchangeMs } = this.#deps;
    this.#cancels.push(
      view.onChange((image, delta) => this.#forgetDeleted(image, delta)),
      world.timers.every(exchangeMs, () => this.#tick()),
    );
    for (const peer of this.#deps.book.peers()) this.#exchangeWith(peer.id);
  }

  stop(): void {
    for (const cancel of this.#cancels) cancel();
    this.#cancels = [];
    this.#outboxes.clear();
  }

  leaderOf(groupId: RaftGroupId): KnownLeader | undefined {
    return this.#known.get(groupId);
  }

  learn(groupId: RaftGroupId, leader: BrokerId, term: Term): void {
    const known = this.#known.get(groupId);
    if (known !== undefined && known.term >= term) return;
    const news: KnownLeader = { leader, term };
    this.#known.set(groupId, news);
    for (const listener of [...this.#listeners]) listener(groupId, news);
  }

  hint(groupId: RaftGroupId): LeaderHint | undefined {
    const known = this.#known.get(groupId);
    if (known === undefined) return undefined;
    const address = this.#deps.view.image().brokers.get(known.leader)?.address;
    if (address === undefined) return undefined;
    return { brokerId: known.leader, host: address.host, port: address.port, term: known.term };
  }

  announce(groupId: RaftGroupId, term: Term): void {
    this.#claimed(groupId, this.#deps.self, term);
    for (const peer of this.#deps.book.peers()) this.#outbox(peer.id).claims.set(groupId, term);
    this.#scheduleFlush();
  }

  mayLead(id: BrokerId): boolean {
    return !this.#reluctant.has(id);
  }

  declare(mayLead: boolean): void {
    const { self, book } = this.#deps;
    if (mayLead === this.mayLead(self)) return;
    this.#note(self, mayLead);
    for (const peer of book.peers()) this.#outbox(peer.id).owesDeclaration = true;
    this.#scheduleFlush();
  }

  onChange(listener: (groupId: RaftGroupId, known: KnownLeader) => void): Cancel {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  onReady(listener: (groupId: RaftGroupId) => void): Cancel {
    this.#readyListeners.add(listener);
    return () => void this.#readyListeners.delete(listener);
  }

  /** Who leads now says so; one whom a later term has overtaken does not count. */
  #claimed(groupId: RaftGroupId, leader: BrokerId, term: Term): void {
    this.learn(groupId, leader, term);
    if (this.#known.get(groupId)?.term !== term) return;
    for (const listener of [...this.#readyListeners]) listener(groupId);
  }

  #outbox(peer: BrokerId): Outbox {
    let outbox = this.#outboxes.get(peer);
    if (outbox === undefined) {
      outbox = { claims: new Map(), owesDeclaration: false, isSending: false };
      this.#outboxes.set(peer, outbox);
    }
    return outbox;
  }

  #scheduleFlush(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    this.#deps.world.timers.defer(() => {
      this.#flushScheduled = false;
      this.#flushAll();
    });
  }

  #flushAll(): void {
    for (const [peer, outbox] of this.#outboxes) this.#flush(peer, outbox);
  }

  /** At most one announcement to a peer under way; what failed goes again with the next tick. */
  #flush(peer: BrokerId, outbox: Outbox): void {
    const { claims: unsent, owesDeclaration } = outbox;
    if (outbox.isSending || (unsent.size === 0 && !owesDeclaration)) return;
    const claims: Claim[] = [];
    for (const [groupId, term] of unsent) {
      if (claims.length >= CLAIMS_PER_MESSAGE_MAX) break;
      unsent.delete(groupId);
      if (this.#leadsHere(groupId, term)) claims.push({ groupId, term });
    }
    outbox.owesDeclaration = false;
    outbox.isSending = true;
    callPeer(this.#deps.peers, peer, ANNOUNCE, this.#gossipOf(claims), GOSSIP_DEADLINE_MS).then(
      () => {
        outbox.isSending = false;
        this.#flush(peer, outbox);
      },
      (error: unknown) => {
        outbox.isSending = false;
        for (const { groupId, term } of claims) {
          if (!unsent.has(groupId)) unsent.set(groupId, term);
        }
        if (owesDeclaration) outbox.owesDeclaration = true;
        this.#deps.log.debug({ peer, err: BrokerError.from(error).code }, 'announcement failed');
      },
    );
  }

  #tick(): void {
    this.#flushAll();
    const peers = this.#deps.book.peers();
    const peer = peers[this.#nextPeer % Math.max(1, peers.length)];
    this.#nextPeer += 1;
    if (peer !== undefined) this.#exchangeWith(peer.id);
  }

  #exchangeWith(peer: BrokerId): void {
    const message = this.#gossipOf(this.#ledHere());
    callPeer(this.#deps.peers, peer, EXCHANGE, message, GOSSIP_DEADLINE_MS).then(
      (answer) => this.#hear(answer),
      (error: unknown) => {
        this.#deps.log.trace({ peer, err: BrokerError.from(error).code }, 'exchange failed');
      },
    );
  }

  #hear(message: Gossip): void {
    this.#deps.book.heard(message.from, message.address);
    this.#note(message.from, message.mayLead);
    for (const { groupId, term } of message.claims) this.#claimed(groupId, message.from, term);
  }

  #gossipOf(claims: readonly Claim[]): Gossip {
    const { self, address } = this.#deps;
    return { from: self, address, mayLead: this.mayLead(self), claims };
  }

  #note(id: BrokerId, mayLead: boolean): void {
    if (mayLead) this.#reluctant.delete(id);
    else this.#reluctant.add(id);
  }

  #leadsHere(groupId: RaftGroupId, term: Term): boolean {
    const known = this.#known.get(groupId);
    return known?.leader === this.#deps.self && known.term === term;
  }

  #ledHere(): Claim[] {
    const claims: Claim[] = [];
    for (const [groupId, { leader, term }] of this.#known) {
      if (claims.length >= CLAIMS_PER_MESSAGE_MAX) break;
      if (leader === this.#deps.self) claims.push({ groupId, term });
    }
    return claims;
  }

  /** The group of a deleted topic: its id never comes again. */
  #forgetDeleted(image: MetadataImage, delta: MetadataDelta): void {
    for (const groupId of delta.tombstones) {
      if (groupId !== METADATA_GROUP && !image.groups.has(groupId)) this.#known.delete(groupId);
    }
  }
}
