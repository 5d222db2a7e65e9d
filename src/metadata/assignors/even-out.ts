import type { TopicId } from '../../model/ids.js';
import { slotKey, type Slot } from '../consumer-group.js';
import { LoadQueue } from './load-queue.js';
import type { RacksOf, Share } from './share.js';

/**
 * A move within one topic may call for one in another, and so on; mostly two or three rounds are all.
 * What is not even after this many stays so until the group changes again.
 */
const ROUNDS_MAX = 20;

/** Moves partitions from larger shares to smaller ones, until no move makes two shares more even. */
export function evenOut(
  bySubscription: ReadonlyMap<TopicId, readonly Share[]>,
  shares: readonly Share[],
  racksOf: RacksOf | undefined,
): void {
  const stocks = stocksOf(shares, racksOf);
  for (let round = 0, hasMoved = true; hasMoved && round < ROUNDS_MAX; round += 1) {
    hasMoved = false;
    for (const [topicId, subscribers] of bySubscription) {
      const stock = stocks.get(topicId);
      if (stock?.evenOut(subscribers) === true) hasMoved = true;
    }
  }
}

function stocksOf(
  shares: readonly Share[],
  racksOf: RacksOf | undefined,
): Map<TopicId, TopicStock> {
  const stocks = new Map<TopicId, TopicStock>();
  for (const share of shares) {
    for (const slot of share.slots.values()) {
      const stock = stocks.get(slot.topicId) ?? new TopicStock(racksOf);
      stocks.set(slot.topicId, stock);
      stock.put(share, slot);
    }
  }
  return stocks;
}

/** Partitions of one topic, by who has them. */
class TopicStock {
  private readonly racksOf: RacksOf | undefined;
  private readonly held = new Map<Share, Holding>();

  constructor(racksOf: RacksOf | undefined) {
    this.racksOf = racksOf;
  }

  put(share: Share, slot: Slot): void {
    const holding = this.held.get(share) ?? new Holding(share);
    this.held.set(share, holding);
    holding.put(slot, this.racksOf?.(slot) ?? []);
  }

  /** From the largest share with such a partition to the smallest. Whether anything moved. */
  evenOut(subscribers: readonly Share[]): boolean {
    const richest = new LoadQueue([...this.held.keys()], 'most');
    const poorest = new LoadQueue(subscribers, 'least');
    let hasMoved = false;
    for (;;) {
      const from = richest.first();
      const to = poorest.first();
      // A share that gave is never below one that took: what the queues give late needs no move.
      if (from === undefined || to === undefined || from.load - to.load < 2) return hasMoved;
      const slot = this.held.get(from)?.take(to.member.rack);
      if (slot === undefined) {
        richest.dropFirst();
        continue;
      }
      const key = slotKey(slot);
      from.slots.delete(key);
      to.slots.set(key, slot);
      this.put(to, slot);
      hasMoved = true;
    }
  }
}

/** One share's partitions of a topic. Lists may name some that it no longer has. */
class Holding {
  private readonly share: Share;
  private readonly all: Slot[] = [];
  private readonly byRack = new Map<string, Slot[]>();

  constructor(share: Share) {
    this.share = share;
  }

  put(slot: Slot, racks: Iterable<string>): void {
    this.all.push(slot);
    for (const rack of racks) {
      const list = this.byRack.get(rack);
      if (list === undefined) this.byRack.set(rack, [slot]);
      else list.push(slot);
    }
  }

  /** One with a replica in the rack, if there is; undefined if there is none at all. */
  take(rack: string): Slot | undefined {
    return this.takeFrom(this.byRack.get(rack) ?? []) ?? this.takeFrom(this.all);
  }

  private takeFrom(list: Slot[]): Slot | undefined {
    for (let slot = list.pop(); slot !== undefined; slot = list.pop()) {
      if (this.share.slots.has(slotKey(slot))) return slot;
    }
    return undefined;
  }
}
