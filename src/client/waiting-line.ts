import { BrokerError } from '../model/errors.js';
import type { RecordGroup, Settler } from './accumulator.js';

/** Who hears what becomes of one record. */
export interface Listeners {
  readonly settler: Settler | undefined;
  readonly group: RecordGroup | undefined;
}

/** Who hears that it will not be taken. */
export interface Refused {
  reject(error: BrokerError): void;
}

/** A record, or a batch of its own, that waits for its topic's metadata or for room. */
export interface Waiting {
  readonly bytes: number;
  readonly sinceMs: number;
  /** Takes it, or returns false: there still is no room. Throws if there never will be. */
  readonly admit: () => boolean;
  readonly refused: Refused;
  /** Called once it is in a batch; not if it was refused or withdrawn. */
  readonly taken: (() => void) | undefined;
}

interface Place extends Waiting {
  state: 'waiting' | 'withdrawn' | 'over';
  /** Called when the line has come past it, whatever became of it. */
  readonly passed: (() => void)[];
}

/**
 * The records of one topic that wait, in the order of their calls. Invariants: `bytes` of those that
 * still wait are told to `changed`, as they come and go; of the places in line at most half are
 * withdrawn, so that whatever moves the line on moves it past them, and a withdrawal costs little.
 */
export class WaitingLine {
  private readonly changed: (bytes: number) => void;
  private places: Place[] = [];
  private withdrawn = 0;
  private isAdmitting = false;
  /** There may be room that was not looked for yet. */
  private isDue = false;

  constructor(changed: (bytes: number) => void) {
    this.changed = changed;
  }

  get isEmpty(): boolean {
    return this.places.length === 0;
  }

  /**
   * The result withdraws the record if it still waits: true then, and nothing of it will be sent, nor
   * anyone told.
   */
  push(waiting: Waiting): () => boolean {
    const place: Place = { ...waiting, state: 'waiting', passed: [] };
    this.places.push(place);
    this.changed(place.bytes);
    return () => this.withdraw(place);
  }

  /** Resolves once the line has come past everything that stands in it now. */
  async passed(): Promise<void> {
    const last = this.places.at(-1);
    if (last !== undefined) await new Promise<void>((resolve) => last.passed.push(resolve));
  }

  /**
   * Takes one after the other, as long as there is room. One that throws is refused. To take one may end
   * what is under way elsewhere, and so ask for this again in its midst: then the same run goes on.
   */
  admit(): void {
    this.isDue = true;
    if (this.isAdmitting) return;
    this.isAdmitting = true;
    while (this.isDue) {
      this.isDue = false;
      this.admitInTurn();
    }
    this.isAdmitting = false;
    this.closeUp();
  }

  private admitInTurn(): void {
    let count = 0;
    for (let place = this.places[0]; place !== undefined; place = this.places[count]) {
      if (place.state === 'waiting' && !this.enter(place)) break;
      count += 1;
    }
    if (count > 0) this.pass(count);
  }

  /** False: it waits on. */
  private enter(place: Place): boolean {
    // Nobody withdraws it while it enters: it may be in a batch already.
    place.state = 'over';
    try {
      if (!place.admit()) {
        place.state = 'waiting';
        return false;
      }
      this.changed(-place.bytes);
      place.taken?.();
    } catch (thrown) {
      this.changed(-place.bytes);
      place.refused.reject(BrokerError.from(thrown));
    }
    return true;
  }

  /** Refuses those that have waited since before the given time; all, if none is given. */
  refuse(error: () => BrokerError, beforeMs = Infinity): void {
    const inTime = this.places.findIndex((place) => place.sinceMs >= beforeMs);
    const count = inTime < 0 ? this.places.length : inTime;
    for (const place of this.places.slice(0, count)) {
      if (place.state !== 'waiting') continue;
      this.end(place);
      place.refused.reject(error());
    }
    if (count > 0) this.pass(count);
  }

  private withdraw(place: Place): boolean {
    if (place.state !== 'waiting') return false;
    this.end(place);
    place.state = 'withdrawn';
    this.withdrawn += 1;
    this.closeUp();
    return true;
  }

  private end(place: Place): void {
    place.state = 'over';
    this.changed(-place.bytes);
  }

  /** The first so many are over. */
  private pass(count: number): void {
    const over = this.places.splice(0, count);
    this.withdrawn -= over.filter((place) => place.state === 'withdrawn').length;
    tell(over);
  }

  /** Not while places are gone through: they are counted from the first. */
  private closeUp(): void {
    const isDue = this.withdrawn > 0 && this.withdrawn * 2 >= this.places.length;
    if (this.isAdmitting || !isDue) return;
    const gone = this.places.filter((place) => place.state === 'withdrawn');
    this.places = this.places.filter((place) => place.state !== 'withdrawn');
    this.withdrawn = 0;
    const left = this.places.at(-1);
    // Whoever waits for the line to come past one of them waits for those before it.
    if (left === undefined) tell(gone);
    else for (const place of gone) left.passed.push(...place.passed.splice(0));
  }
}

function tell(over: readonly Place[]): void {
  for (const place of over) for (const each of place.passed) each();
}
