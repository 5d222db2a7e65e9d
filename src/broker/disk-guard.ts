import type { MultiRaft } from '../host/raft-group.js';
import { BrokerError } from '../model/errors.js';
import type { BrokerStore } from '../ports/log-store.js';
import type { Gauge, Telemetry } from '../ports/telemetry.js';
import type { Cancel, World } from '../ports/world.js';
import type { BrokerSettings, LeaderTable } from './types.js';

const CHECK_MS = 1_000;
/** Merges of tables take room for a moment and give it back; what lasts longer does not go by itself. */
const PATIENCE_MS = 5_000;
/** While room stays short, leaderships that an election brought are handed over again this often. */
const HAND_OVER_EVERY_MS = 30_000;
const RETRY_AFTER_MS = 1_000;

export interface DiskGuardDeps {
  readonly world: World;
  readonly store: BrokerStore;
  readonly multiRaft: MultiRaft;
  readonly leaders: LeaderTable;
  readonly telemetry: Telemetry;
  readonly settings: Pick<BrokerSettings, 'diskFreeMinBytes' | 'diskFreeHandOverBytes' | 'drainMs'>;
}

/**
 * Looks after the room that is left on the data directory's volume (CORRECTNESS 14), by two thresholds.
 *
 * Below the first, this broker takes no records as a leader: that alone slows the filling, as a follower
 * writes the same bytes. Below the second, or when the first shortage lasts, it also tells everyone
 * not to make it a leader, and hands its leaderships to brokers that have said no such thing: their
 * producers have somewhere to go, at the price of what is left here. Reads, deletions, retention, and
 * what it follows go on throughout. Above the first by a tenth, so as not to flutter, it serves as
 * before and may lead again; until then it goes on handing over what elections bring.
 *
 * Invariants: at most one look and one handing over are under way; a look that fails changes nothing;
 * leaderships are handed over only while records are refused.
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
  private shortSinceMs = 0;
  /** In this shortage. */
  private handsOver = false;

  constructor(deps: DiskGuardDeps) {
    this.deps = deps;
    const { metrics } = deps.telemetry;
    this.freeBytes = metrics.gauge('disk_free_bytes', "Room on the data directory's volume.");
    this.isLow = metrics.gauge(
      'disk_low',
      '1 while produces are refused for lack of room, else 0.',
    );
  }

  /** A first threshold of 0 asks for nothing. */
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
    const { log } = this.deps.telemetry;
    const { diskFreeMinBytes } = this.deps.settings;
    const wasLow = this.shortOf !== undefined;
    const enough = wasLow ? diskFreeMinBytes + diskFreeMinBytes / 10 : diskFreeMinBytes;
    const isLow = freeBytes < enough;
    this.shortOf = isLow ? { freeBytes } : undefined;
    if (isLow && !wasLow) this.shortSinceMs = this.deps.world.clock.monotonicMs();
    this.freeBytes.set(freeBytes);
    this.isLow.set(isLow ? 1 : 0);
    if (isLow && !wasLow) {
      log.error({ freeBytes, diskFreeMinBytes }, 'little room on the volume: takes no records');
    } else if (wasLow && !isLow) {
      log.info({ freeBytes }, 'room on the volume again: takes records');
    }
    const handedOver = this.handsOver;
    this.handsOver = isLow && (handedOver || this.isSerious(freeBytes));
    if (this.handsOver && !handedOver) {
      log.warn({ freeBytes }, 'room on the volume stays short, or gets shorter: leads nothing');
    }
    this.deps.leaders.declare(!this.handsOver);
    if (this.handsOver) this.handOver();
  }

  /** The volume gets full, or is not going to have room again soon. */
  private isSerious(freeBytes: number): boolean {
    const { settings, world } = this.deps;
    const { diskFreeHandOverBytes = Math.floor(settings.diskFreeMinBytes / 2) } = settings;
    if (freeBytes < diskFreeHandOverBytes) return true;
    return world.clock.monotonicMs() - this.shortSinceMs >= PATIENCE_MS;
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
