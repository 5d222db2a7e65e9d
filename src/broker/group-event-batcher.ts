import { invariant } from '../base/assert.js';
import type { Command, Rejection } from '../metadata/command.js';
import type { GroupEvent } from '../metadata/group-event.js';
import { METADATA_LIMITS } from '../metadata/limits.js';
import { BrokerError } from '../model/errors.js';
import type { Timers } from '../ports/world.js';
import type { AppliedCommand } from './propose.js';

interface Waiting {
  readonly events: readonly GroupEvent[];
  readonly bytes: number;
  readonly resolve: (refused: readonly (Rejection | undefined)[]) => void;
  readonly reject: (error: unknown) => void;
}

const EVENTS_WAITING_MAX = 50_000;
const COMMAND_BYTES_AIM = 1024 * 1024;

/**
 * Gathers what happens to consumer groups within one turn into as few commands as their limits allow.
 *
 * Invariants: events of one call stay together, calls are proposed in the order they came, and every
 * call is settled once.
 */
export class GroupEventBatcher {
  readonly #timers: Timers;
  readonly #propose: (command: Command) => Promise<AppliedCommand>;
  #waiting: Waiting[] = [];
  #eventsWaiting = 0;

  constructor(timers: Timers, propose: (command: Command) => Promise<AppliedCommand>) {
    this.#timers = timers;
    this.#propose = propose;
  }

  /** Resolves once the events are applied, with what was refused, in order. */
  submit(events: readonly GroupEvent[]): Promise<readonly (Rejection | undefined)[]> {
    if (this.#eventsWaiting + events.length > EVENTS_WAITING_MAX) {
      return Promise.reject(new BrokerError('THROTTLED', 'too many changes of groups wait'));
    }
    return new Promise((resolve, reject) => {
      if (this.#waiting.length === 0) this.#timers.defer(() => this.#flush());
      const bytes = events.reduce((sum, event) => sum + roughBytes(event), 0);
      this.#waiting.push({ events, bytes, resolve, reject });
      this.#eventsWaiting += events.length;
    });
  }

  #flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#eventsWaiting = 0;
    let batch: Waiting[] = [];
    let events = 0;
    let bytes = 0;
    for (const one of waiting) {
      const isFull =
        events + one.events.length > METADATA_LIMITS.groupEventsPerCommandMax ||
        bytes + one.bytes > COMMAND_BYTES_AIM;
      if (isFull && batch.length > 0) {
        this.#send(batch);
        batch = [];
        events = 0;
        bytes = 0;
      }
      batch.push(one);
      events += one.events.length;
      bytes += one.bytes;
    }
    if (batch.length > 0) this.#send(batch);
  }

  #send(batch: readonly Waiting[]): void {
    this.#propose({ kind: 'groupEvents', events: batch.flatMap((one) => one.events) }).then(
      ({ result }) => {
        invariant(result.kind === 'groupEventsApplied', 'group events are applied as such');
        let at = 0;
        for (const one of batch) {
          one.resolve(result.refused.slice(at, at + one.events.length));
          at += one.events.length;
        }
      },
      (error: unknown) => {
        for (const one of batch) one.reject(error);
      },
    );
  }
}

function roughBytes(event: GroupEvent): number {
  switch (event.kind) {
    case 'member': {
      const { topics, pattern } = event.profile;
      return topics.reduce((sum, topic) => sum + topic.length, 300 + pattern.length * 2);
    }
    case 'target':
      return event.changes.reduce((sum, { slots }) => sum + 64 + slots.length * 6, 64);
    case 'release':
    case 'deleteOffsets':
      return 64 + event.slots.length * 8;
    default:
      return 64;
  }
}
