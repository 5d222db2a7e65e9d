import type { MultiRaft } from '../host/raft-group.js';
import { BrokerError } from '../model/errors.js';
import type { BrokerStore } from '../ports/log-store.js';
import type { Gauge, Telemetry } from '../ports/telemetry.js';
import type { Cancel, World } from '../ports/world.js';
import type { LeaderTable } from './types.js';

const CHECK_MS = 1_000;
/** While room stays short, leaderships that an election brought are handed over again this often. */
const HAND_OVER_EVERY_MS = 30_000;
const RETRY_AFTER_MS = 1_000;

export interface DiskGuardDeps {
  readonly world: World;
  readonly store: BrokerStore;
  readonly multiRaft: MultiRaft;
  readonly leaders: LeaderTable;
  readonly telemetry: Telemetry;
  readonly settings: { readonly diskFreeMinBytes: number; readonly drainMs: number };
}

/**
 * Looks after the room that is left on the data directory's volume (CORRECTNESS 14). Below the
 * threshold this broker takes no records as a leader, tells everyone not to make it one, and hands its
 * leaderships to brokers that have said no such thing; what it still follows, and reads, go on. Above
 * it, by a tenth so as not to flutter, it serves as before.
 *
 * Invariant: at most one look and one handing over are under way; a look that fails changes nothing.
 */
export class DiskGuard {
  private readonly deps: DiskGuardDeps;
  private readonly freeBytes: Gauge;
  private readonly isLow: Gauge;
  private cancel: Cancel | undefined;
  private isLooking = false;
  private isHandingOver = false;
  private handedOverMs = Number.NEGATIVE_INFINITY;
  private shortOf: { readonly freeBytes: number } | undefined;

  constructor(deps: DiskGuardDeps) {
    this.deps = deps;
    const { metrics } = deps.telemetry;
    this.freeBytes = metrics.gauge('disk_free_bytes', "Room on the data directory's volume.");
    this.isLow = metrics.gauge(
      'disk_low',
      '1 while produces are refused for lack of room, else 0.',
    );
  }

  /** A threshold of 0 asks for nothing. */
  start(): void {
    if (this.deps.settings.diskFreeMinBytes === 0 || this.cancel !== undefined) return;
    this.cancel = this.deps.world.timers.every(CHECK_MS, () => this.look());
    this.look();
  }

  stop(): void {
    this.cancel?.();
  }

  /** Why a leader takes no records now; undefined: it does. */
  refusal(): BrokerError | undefined {
    if (this.shortOf === undefined) return undefined;
    const { freeBytes } = this.shortOf;
    const { diskFreeMinBytes } = this.deps.settings;
    return new BrokerError(
      'THROTTLED',
      `the broker's volume has ${freeBytes} bytes free, less than diskFreeMinBytes (${diskFreeMinBytes})`,
      { retryAfterMs: RETRY_AFTER_MS },
    );
  }

  private look(): void {
    if (this.isLooking) return;
    this.isLooking = true;
    this.deps.store
      .freeBytes()
      .then(
        (freeBytes) => this.found(freeBytes),
        (error: unknown) => {
          this.deps.telemetry.log.debug({ err: error }, 'cannot tell how much room the volume has');
        },
      )
      .finally(() => {
        this.isLooking = false;
      })
      .catch(() => undefined);
  }

  private found(freeBytes: number): void {
    const { leaders, telemetry } = this.deps;
    const { log } = telemetry;
    const { diskFreeMinBytes } = this.deps.settings;
    const wasLow = this.shortOf !== undefined;
    const enough = wasLow ? diskFreeMinBytes + diskFreeMinBytes / 10 : diskFreeMinBytes;
    const isLow = freeBytes < enough;
    this.shortOf = isLow ? { freeBytes } : undefined;
    leaders.declare(!isLow);
    this.freeBytes.set(freeBytes);
    this.isLow.set(isLow ? 1 : 0);
    if (isLow && !wasLow) {
      log.error({ freeBytes, diskFreeMinBytes }, 'little room on the volume: takes no records');
    } else if (wasLow && !isLow) {
      log.info({ freeBytes }, 'room on the volume again: takes records');
    }
    if (isLow) this.handOver();
  }

  private handOver(): void {
    const { world, multiRaft, settings, telemetry } = this.deps;
    const nowMs = world.clock.monotonicMs();
    if (this.isHandingOver || nowMs - this.handedOverMs < HAND_OVER_EVERY_MS) return;
    this.handedOverMs = nowMs;
    this.isHandingOver = true;
    multiRaft
      .transferAllLeaderships(settings.drainMs, { elseAnyone: false })
      .catch((error: unknown) => {
        telemetry.log.warn({ err: error }, 'leaderships stayed on a broker without room');
      })
      .finally(() => {
        this.isHandingOver = false;
      })
      .catch(() => undefined);
  }
}
