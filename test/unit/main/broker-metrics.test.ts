import { expect } from 'chai';
import { BrokerMetrics } from '../../../src/main/broker-metrics.js';

describe("a broker's metrics", () => {
  it('are told in the text format of Prometheus', () => {
    const metrics = new BrokerMetrics();
    metrics.counter('writes_total', 'Writes.').add(2);
    metrics.gauge('free_bytes', 'Room,\nin \\ bytes.').set(1.5);
    const times = metrics.histogram('took_ms', 'Time.', [1, 10]);
    for (const value of [0, 1, 1.5, 10, 11]) times.observe(value);
    expect(metrics.text()).to.equal(`# HELP millrace_writes_total Writes.
# TYPE millrace_writes_total counter
millrace_writes_total 2

# HELP millrace_free_bytes Room,\\nin \\\\ bytes.
# TYPE millrace_free_bytes gauge
millrace_free_bytes 1.5

# HELP millrace_took_ms Time.
# TYPE millrace_took_ms histogram
millrace_took_ms_bucket{le="1"} 2
millrace_took_ms_bucket{le="10"} 4
millrace_took_ms_bucket{le="+Inf"} 5
millrace_took_ms_sum 23.5
millrace_took_ms_count 5

`);
  });

  it('are one under one name, whoever asks', () => {
    const metrics = new BrokerMetrics();
    metrics.counter('writes_total', 'Writes.').add(2);
    metrics.counter('writes_total', 'Writes.').add(3);
    metrics.histogram('took_ms', 'Time.', [1]).observe(1);
    metrics.histogram('took_ms', 'Time.', [1]).observe(1);
    expect(metrics.text())
      .to.match(/^millrace_writes_total 5$/m)
      .and.match(/^millrace_took_ms_count 2$/m);
  });

  it('keep their kind', () => {
    const metrics = new BrokerMetrics();
    metrics.counter('writes_total', 'Writes.');
    expect(() => metrics.gauge('writes_total', 'Writes.')).to.throw(/is a counter, not a gauge/);
  });
});
