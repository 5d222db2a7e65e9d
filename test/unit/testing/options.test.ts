import { expect } from 'chai';
import { BrokerError } from '../../../src/model/errors.js';
import { startCluster, type TestClusterOptions } from '../../../src/testing/index.js';
import { planOf, TEST_SETTINGS } from '../../../src/testing/options.js';

describe('options of a test cluster', () => {
  const bad: readonly (readonly [string, unknown, RegExp])[] = [
    ['no brokers', { brokers: 0 }, /brokers: want 1 to 15, not 0/],
    ['too many brokers', { brokers: 16 }, /brokers: want 1 to 15, not 16/],
    ['half a broker', { brokers: 2.5 }, /brokers: want 1 to 15, not 2\.5/],
    ['brokers as text', { brokers: '3' }, /brokers: want 1 to 15/],
    ['an unknown option', { broker: 3 }, /broker: unknown option, want brokers, racks/],
    ['an unknown setting', { settings: { raftTick: 3 } }, /settings\.raftTick: no such setting/],
    ['a bad value', { settings: { raftTickMs: 1 } }, /settings\.raftTickMs: .*>=5.*in settings/],
    ['a bad type', { settings: { reflection: 'no' } }, /settings\.reflection: .*boolean/],
    ['a port', { settings: { clientPort: 7401 } }, /settings\.clientPort: the cluster decides/],
    ['a directory', { settings: { dataDir: '/x' } }, /settings\.dataDir: the cluster decides/],
    [
      'settings that do not go together',
      { settings: { raftElectionTicks: 10, raftHeartbeatTicks: 5 } },
      /settings\.raftElectionTicks: must be more than twice raftHeartbeatTicks/,
    ],
    ['settings that are none', { settings: 7 }, /settings: want an object/],
    ['no time at all', { readyWithinMs: 0 }, /readyWithinMs: want 1 to/],
    ['a time that is none', { readyWithinMs: Number.NaN }, /readyWithinMs: want 1 to/],
    ['a log that is no function', { log: 'stdout' }, /log: want a function/],
    ['no options but null', null, /want an object of options/],
  ];
  for (const [what, options, text] of bad) {
    it(`refuses ${what}, and names it`, async () => {
      const error = await startCluster(options as TestClusterOptions).then(
        (cluster) => cluster.close(),
        (thrown: unknown) => thrown,
      );
      expect(BrokerError.from(error).code).to.equal('INVALID_ARGUMENT');
      expect(String(error))
        .to.match(text)
        .and.to.match(/startCluster: /);
    });
  }

  it('has quick elections, unless told otherwise, and no port of its own', async () => {
    const { configs } = await planOf({ brokers: 2, settings: { raftTickMs: 25 } });
    expect(configs.map(({ brokerId }) => brokerId)).to.deep.equal([1, 2]);
    for (const config of configs) {
      expect(config.raftTickMs).to.equal(25);
      expect(config.raftElectionTicks).to.equal(TEST_SETTINGS.raftElectionTicks);
      expect([config.clientPort, config.peerPort, config.httpPort]).to.deep.equal([0, 0, 0]);
    }
  });

  it('says of a cluster without settings what checking would', async () => {
    const { configs: plain } = await planOf({ brokers: 2 });
    const { configs: checked } = await planOf({ brokers: 2, settings: { ...TEST_SETTINGS } });
    expect(plain).to.deep.equal(checked);
  });
});
