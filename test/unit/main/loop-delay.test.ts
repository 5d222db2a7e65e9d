import { expect } from 'chai';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { LoopDelay } from '../../../src/main/loop-delay.js';

const PART = /^x_nodejs_eventloop_lag_(\w+)_seconds ([\d.e+-]+)$/gm;

async function told(registry: Registry): Promise<Map<string, number>> {
  const text = await registry.metrics();
  return new Map([...text.matchAll(PART)].map(([, part = '', value]) => [part, Number(value)]));
}

/** As whoever computes for so long without a pause. */
function block(forMs: number): void {
  const until = performance.now() + forMs;
  while (performance.now() < until);
}

describe('the delay of the event loop', () => {
  let registry: Registry;
  let delay: LoopDelay;
  beforeEach(() => {
    registry = new Registry();
    collectDefaultMetrics({ register: registry, prefix: 'x_' });
    delay = new LoopDelay(registry, 'x_');
  });
  afterEach(() => delay.stop());

  /** Until a look at the loop was told of. */
  async function untilLooked(): Promise<Map<string, number>> {
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      const now = await told(registry);
      if ((now.get('max') ?? 0) > 0) return now;
    }
  }

  it('stands in for what prom-client has under the same names, once each', async () => {
    const names = ['max', 'mean', 'min', 'p50', 'p90', 'p99', 'stddev'];
    expect([...(await told(registry)).keys()].sort()).to.deep.equal(names);
  });

  it('is zero before anything was seen, and again once it was told', async () => {
    // One that no turn of the event loop has gone by for.
    const fresh = new Registry();
    const unseen = new LoopDelay(fresh, 'x_');
    const first = told(fresh);
    unseen.stop();
    expect([...(await first).values()]).to.deep.equal(Array(7).fill(0));
    await untilLooked();
    expect([...(await told(registry)).values()]).to.deep.equal(Array(7).fill(0));
  });

  it('tells how long a timer had to wait, and nothing of how long it slept', async () => {
    await untilLooked();
    block(400);
    const late = await untilLooked();
    // It was due up to 50 ms after the blocking began.
    expect(late.get('max')).to.be.within(0.35, 5);
    expect(late.get('p99')).to.be.closeTo(late.get('max') ?? 0, 0.01);
  });
});
