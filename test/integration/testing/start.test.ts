import { expect } from 'chai';
import { load } from '../../support/loaded.js';

/** What takes long to load, and a cluster without settings, a log, patterns or a directory can do without. */
const HEAVY = [
  '@grpc/reflection',
  '@node-rs/crc32',
  'level',
  'pino',
  'prom-client',
  're2js',
  'yaml',
  'zod',
];
const START = `const cluster = await entry.startCluster({ brokers: 3 });
await cluster.createTopic('orders');
await cluster.client().producer().send({ topic: 'orders', value: 'x' });
await cluster.close();`;

describe('starting a test cluster', function () {
  this.timeout(120_000);

  it('loads nothing that it does not need', async () => {
    const { packages, native } = await load('./testing', START);
    expect(packages).to.include('@grpc/grpc-js');
    expect(packages.filter((name) => HEAVY.includes(name))).to.deep.equal([]);
    expect(native.atEnd).to.deep.equal([]);
  });
});
