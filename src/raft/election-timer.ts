import type { Prng } from '../base/prng.js';
import type { RaftConfig } from './config.js';

/**
 * Decides in which tick a replica without a leader campaigns. Owned by Election.
 *
 * Normally after [electionTicks, 2 * electionTicks) without contact, drawn anew each time. After a
 * closed connection told that the leader's process is gone, `countdown` decides instead, for as long
 * as an election timeout: short, staggered by rank, jittered on every further attempt.
 */
export class ElectionTimer {
  /** Ticks since a leader was heard, a vote was given, or a campaign began. */
  elapsed = 0;
  private readonly config: RaftConfig;
  private readonly random: Prng;
  private timeout: number;
  private hintTicksLeft = 0;
  private countdown = 0;

  constructor(config: RaftConfig, random: Prng) {
    this.config = config;
    this.random = random;
    this.timeout = this.draw();
  }

  get isHinted(): boolean {
    return this.hintTicksLeft > 0;
  }

  /** Whether it is time to campaign. */
  tick(): boolean {
    this.elapsed++;
    if (this.hintTicksLeft === 0) return this.elapsed >= this.timeout;
    this.hintTicksLeft--;
    this.countdown--;
    if (this.countdown <= 0) return true;
    if (this.hintTicksLeft === 0) this.restart();
    return false;
  }

  /** A leader was heard, or everything starts over: no hint stands any more. */
  restart(): void {
    this.elapsed = 0;
    this.hintTicksLeft = 0;
    this.timeout = this.draw();
  }

  /** The leader's process is gone: campaign in `ticks` ticks. */
  hint(ticks: number): void {
    this.hintTicksLeft = this.config.electionTicks;
    this.countdown = ticks;
  }

  /** Pre-votes were asked or given: short, as nothing has to reach a disk. */
  giveTime(): void {
    this.waitAtLeast(this.config.hintedRetryTicks);
  }

  /**
   * Votes were asked or given. They wait for disks, which under load take longer than a few ticks: a
   * candidate that gave up on its own votes before they could arrive would never be elected.
   */
  giveVoteTime(): void {
    this.waitAtLeast(Math.floor(this.config.electionTicks / 4));
  }

  private waitAtLeast(ticks: number): void {
    this.elapsed = 0;
    this.timeout = this.draw();
    this.countdown = ticks + this.random.int(ticks + 1);
  }

  private draw(): number {
    return this.config.electionTicks + this.random.int(this.config.electionTicks);
  }
}
