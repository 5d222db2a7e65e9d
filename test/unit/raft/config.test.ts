import { expect } from 'chai';
import { checkRaftConfig, DEFAULT_RAFT_CONFIG, type RaftConfig } from '../../../src/raft/config.js';

describe('settings of Raft', () => {
  const refused: [string, Partial<RaftConfig>][] = [
    ['no heartbeats', { heartbeatTicks: 0 }],
    ['an election that two heartbeats outlast', { electionTicks: 4, heartbeatTicks: 2 }],
    ['a retry at once', { hintedRetryTicks: 0 }],
    ['nothing in flight', { inflightMax: 0 }],
    ['messages without entries', { appendBytesMax: 0 }],
  ];
  for (const [what, changes] of refused) {
    it(`may not be ${what}`, () => {
      expect(() => checkRaftConfig({ ...DEFAULT_RAFT_CONFIG, ...changes })).throws(
        /at least 1|two/,
      );
    });
  }

  it('may be the least that makes sense, and the defaults', () => {
    expect(() => checkRaftConfig(DEFAULT_RAFT_CONFIG)).not.throw();
    const least = { heartbeatTicks: 1, electionTicks: 3, hintedRetryTicks: 1 };
    const config = { ...DEFAULT_RAFT_CONFIG, ...least, inflightMax: 1, appendBytesMax: 1 };
    expect(() => checkRaftConfig(config)).not.throw();
  });

  it('elect after 20 ticks and beat every second one, unless told otherwise', () => {
    expect(DEFAULT_RAFT_CONFIG).include({
      electionTicks: 20,
      heartbeatTicks: 2,
      hintedRetryTicks: 2,
    });
  });
});
