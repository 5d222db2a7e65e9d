import { expect } from 'chai';

import { LivedClock } from '../../../src/broker/lived-clock.js';
import { Liveness } from '../../../src/broker/liveness.js';
import { brokerId, type BrokerId } from '../../../src/model/ids.js';

const A = brokerId(1);
const B = brokerId(2);

describe('liveness', () => {
  let atMs = 0;
  const clock = { nowMs: () => 0, monotonicMs: () => atMs };
  const begin = (monotonicMs = 0): Liveness => {
    atMs = monotonicMs;
    return new Liveness({ sessionMs: 1_000, lived: new LivedClock(clock, 200) });
  };
  const tick = (live: Liveness, ms: number, expected: readonly BrokerId[]): number[] => {
    atMs = ms;
    return live.silent(expected);
  };
  /** Ticks every 100 ms from, up to and with until. */
  const pass = (live: Liveness, from: number, until: number, each?: () => void): number[] => {
    let silent: number[] = [];
    for (let ms = from; ms <= until; ms += 100) {
      each?.();
      silent = tick(live, ms, [A, B]);
    }
    return silent;
  };

  it('gives everyone a full session from the start of a leadership', () => {
    const live = begin(5_000);
    expect(pass(live, 5_100, 6_000)).to.eql([]);
    expect(pass(live, 6_100, 6_100)).to.eql([A, B]);
  });

  it('counts from the last time a broker was heard of', () => {
    const live = begin();
    expect(pass(live, 100, 3_000, () => live.heard(B))).to.eql([A]);
    expect(pass(live, 3_100, 3_900)).to.eql([A]);
    expect(pass(live, 4_000, 4_000)).to.eql([A, B]);
  });

  it('does not take others for dead because it stood still itself', () => {
    const live = begin();
    live.heard(A);
    live.heard(B);
    expect(tick(live, 60_000, [A, B])).to.eql([]);
    expect(tick(live, 60_100, [A, B])).to.eql([]);
  });

  it('never goes back with the clock', () => {
    const live = begin(1_000);
    pass(live, 1_100, 1_900);
    expect(tick(live, 500, [A])).to.eql([]);
    expect(pass(live, 600, 800)).to.eql([A, B]);
  });
});
