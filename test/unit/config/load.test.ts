import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expect } from 'chai';
import { ConfigError, envName, loadConfig, type ConfigSources } from '../../../src/config/load.js';
import { CONFIG_KEYS } from '../../../src/config/keys.js';

const MINIMAL = { brokerId: '1', dataDir: '/d' };

function problemOf(sources: ConfigSources): string {
  try {
    loadConfig(sources);
  } catch (error) {
    expect(error).to.be.instanceOf(ConfigError);
    return (error as ConfigError).message;
  }
  throw new Error('no problem found');
}

describe('config', () => {
  let directory: string;
  before(() => {
    directory = mkdtempSync(path.join(os.tmpdir(), 'millrace-config-'));
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  function file(name: string, content: string): string {
    const at = path.join(directory, name);
    writeFileSync(at, content);
    return at;
  }

  it('has defaults for everything but the broker id and the data directory', () => {
    const config = loadConfig({ flags: MINIMAL });
    expect(config.brokerId).to.equal(1);
    expect([config.clientPort, config.peerPort, config.httpPort]).to.deep.equal([7401, 7501, 7601]);
    expect(config.host).to.equal('127.0.0.1');
    expect(config.advertisedHost).to.equal(undefined);
    expect(problemOf({})).to.equal(
      'brokerId: is required (or MILLRACE_BROKER_ID); dataDir: is required (or MILLRACE_DATA_DIR)',
    );
  });

  it('reads YAML and JSON', () => {
    const yaml = file(
      'broker.yaml',
      'brokerId: 2\ndataDir: /data\nfounders:\n  - { id: 2, host: b, peerPort: 7502 }\n',
    );
    expect(loadConfig({ file: yaml }).founders).to.deep.equal([
      { id: 2, host: 'b', peerPort: 7502 },
    ]);
    const json = file('broker.json', '{"brokerId": 3, "dataDir": "/data", "reflection": false}');
    expect(loadConfig({ file: json }).reflection).to.equal(false);
  });

  it('lets flags win over the environment and that over the file', () => {
    const at = file(
      'ports.yaml',
      'brokerId: 1\ndataDir: /d\nclientPort: 1\npeerPort: 1001\nhttpPort: 2001',
    );
    const env = { MILLRACE_PEER_PORT: '1002', MILLRACE_HTTP_PORT: '2002', PATH: '/bin' };
    const config = loadConfig({
      file: at,
      env,
      flags: { httpPort: '2003', clientPort: undefined },
    });
    expect([config.clientPort, config.peerPort, config.httpPort]).to.deep.equal([1, 1002, 2003]);
  });

  it('reads peers as text', () => {
    const founders = '1@127.0.0.1:7501, 2@[::1]:7502';
    expect(
      loadConfig({ env: { MILLRACE_FOUNDERS: founders }, flags: MINIMAL }).founders,
    ).to.deep.equal([
      { id: 1, host: '127.0.0.1', peerPort: 7501 },
      { id: 2, host: '::1', peerPort: 7502 },
    ]);
    expect(loadConfig({ flags: { ...MINIMAL, seeds: '' } }).seeds).to.deep.equal([]);
  });

  it('gives every key a name in the environment', () => {
    expect(envName('clientPort')).to.equal('MILLRACE_CLIENT_PORT');
    expect(new Set(CONFIG_KEYS.map(envName)).size).to.equal(CONFIG_KEYS.length);
  });

  it('is frozen, all the way down', () => {
    const config = loadConfig({ flags: { ...MINIMAL, founders: '1@h:1' } });
    expect(Object.isFrozen(config)).to.equal(true);
    expect(Object.isFrozen(config.founders[0])).to.equal(true);
  });

  it('leaves variables of the command line tool alone', () => {
    const env = { MILLRACE_BOOTSTRAP: '127.0.0.1:7401' };
    expect(loadConfig({ env, flags: MINIMAL }).brokerId).to.equal(1);
  });

  const bad: readonly (readonly [string, Record<string, string>, string])[] = [
    ['a port that is none', { clientPort: '70000' }, 'clientPort: '],
    ['a number that is none', { peerPort: 'seven' }, 'peerPort: '],
    ['a broker id of 0', { brokerId: '0' }, 'brokerId: '],
    ['a truth that is none', { reflection: 'yes' }, 'reflection: '],
    ['an unknown level', { logLevel: 'loud' }, 'logLevel: '],
    ['an unknown key', { clientport: '1' }, '--clientport: unknown setting'],
    ['a peer that is none', { founders: '1:7501' }, '--founders: "1:7501" must look like'],
    ['a peer named twice', { founders: '1@a:1,1@b:2' }, 'founders: names a broker id twice'],
    ['founders without this broker', { founders: '2@a:1' }, 'founders: must include this broker'],
    ['founders and seeds', { founders: '1@a:1', seeds: '2@b:1' }, 'seeds: '],
    ['a port used twice', { clientPort: '7501' }, 'peerPort: is the same port as clientPort'],
    ['heartbeats slower than elections', { raftHeartbeatTicks: '10' }, 'raftElectionTicks: '],
    ['sessions shorter than heartbeats', { brokerSessionMs: '900' }, 'brokerSessionMs: '],
    [
      'handing over before records are refused',
      { diskFreeMinBytes: '1000', diskFreeHandOverBytes: '1000' },
      'diskFreeHandOverBytes: must be less than diskFreeMinBytes',
    ],
    ['memory for hardly a replica', { replicasMemoryBytes: '1000000' }, 'replicasMemoryBytes: '],
    ['an empty directory', { dataDir: '' }, 'dataDir: '],
    ['a host that is none', { host: 'a b' }, 'host: must be a host name'],
  ];
  for (const [what, flags, start] of bad) {
    it(`refuses ${what} in one line that names the setting`, () => {
      const problem = problemOf({ flags: { ...MINIMAL, ...flags } });
      expect(problem.startsWith(start), problem).to.equal(true);
      expect(problem).not.to.contain('\n');
    });
  }

  it('says where a bad value came from', () => {
    const at = file('bad.yaml', 'brokerId: 1\ndataDir: /d\nclientPort: ten\ncolour: red\n');
    const problem = problemOf({ file: at });
    expect(problem).to.contain('clientPort: ').and.to.contain(`(in ${at})`);
    expect(problem).to.contain(`colour: unknown setting in ${at}`);
    const env = { MILLRACE_CLIENT_PORT: '-1' };
    expect(problemOf({ env, flags: MINIMAL })).to.contain('(from MILLRACE_CLIENT_PORT)');
    expect(problemOf({ env: { MILLRACE_PORT: '1' }, flags: MINIMAL })).to.equal(
      'MILLRACE_PORT: unknown setting in the environment',
    );
  });

  it('says what is wrong with a file, in one line', () => {
    expect(problemOf({ file: path.join(directory, 'none.yaml') })).to.contain('ENOENT');
    for (const [name, content] of [
      ['list.yaml', '- 1'],
      ['broken.yaml', 'a: [1'],
      ['broken.json', '{'],
    ] as const) {
      const problem = problemOf({ file: file(name, content) });
      expect(problem.startsWith('config file ')).to.equal(true);
      expect(problem).not.to.contain('\n');
    }
    expect(problemOf({ file: file('empty.yaml', '') })).to.contain('brokerId: is required');
  });
});
