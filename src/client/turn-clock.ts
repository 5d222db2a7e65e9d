import type { World } from '../ports/world.js';

/** For so many records of one turn of the event loop the clock is read once: it costs as much as they do. */
const STAMPS_PER_LOOK = 64;

/** What records are stamped with: the time, read in the present turn of the event loop. */
export class TurnClock {
  private readonly world: World;
  private stampMs = 0;
  private stampsLeft = 0;
  private isTurnWatched = false;

  constructor(world: World) {
    this.world = world;
  }

  nowMs(): number {
    if (this.stampsLeft === 0) this.look();
    this.stampsLeft -= 1;
    return this.stampMs;
  }

  private look(): void {
    this.stampMs = this.world.clock.nowMs();
    this.stampsLeft = STAMPS_PER_LOOK;
    if (this.isTurnWatched) return;
    this.isTurnWatched = true;
    this.world.timers.defer(() => {
      this.isTurnWatched = false;
      this.stampsLeft = 0;
    });
  }
}
