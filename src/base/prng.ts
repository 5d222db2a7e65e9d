import { invariant } from './assert.js';

/**
 * A small seeded generator (xoshiro128**, Blackman and Vigna 2018). Sealed code that needs jitter
 * owns one, seeded from outside; the simulator forks one per concern so that adding a draw in one
 * place does not shift every other.
 */
export class Prng {
  private a: number;
  private b: number;
  private c: number;
  private d: number;

  constructor(seed: number) {
    // SplitMix32 spreads even small seeds over the whole state.
    let state = seed >>> 0 || 0x6d2b79f5;
    const next = (): number => {
      state = (state + 0x9e3779b9) | 0;
      let z = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
      return z ^ (z >>> 15);
    };
    this.a = next();
    this.b = next();
    this.c = next();
    this.d = next();
  }

  /** Uniform in [0, 2^32). */
  u32(): number {
    const x = Math.imul(this.b, 5);
    const result = Math.imul((x << 7) | (x >>> 25), 9);
    const t = this.b << 9;
    this.c ^= this.a;
    this.d ^= this.b;
    this.b ^= this.c;
    this.a ^= this.d;
    this.c ^= t;
    this.d = (this.d << 11) | (this.d >>> 21);
    return result >>> 0;
  }

  /** Uniform in [0, 1). */
  float(): number {
    return this.u32() / 0x1_0000_0000;
  }

  /** Uniform integer in [0, bound); bound must be 1 to 2^32. */
  int(bound: number): number {
    invariant(bound >= 1, 'empty range', { bound });
    return Math.floor(this.float() * bound);
  }

  chance(probability: number): boolean {
    return this.float() < probability;
  }

  pick<T>(items: readonly T[]): T {
    invariant(items.length > 0, 'pick from nothing');
    return items[this.int(items.length)] as T;
  }

  /** An independent generator; drawing from it does not move this one again. */
  fork(): Prng {
    return new Prng(this.u32());
  }
}
