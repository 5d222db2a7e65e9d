import { expect } from 'chai';
import { StoppedReplicas } from '../../../src/main/stopped-replicas.js';
import { METADATA_GROUP, raftGroupId } from '../../../src/model/ids.js';

const READY = { live: true, ready: true, reason: '' };

describe('replicas that a bug stopped', () => {
  it('are told in the health of the broker, which goes on', () => {
    const stopped = new StoppedReplicas();
    expect(stopped.tellIn(READY)).to.deep.equal(READY);
    for (const id of [7, 12, 7]) stopped.add(raftGroupId(id));
    const told = stopped.tellIn(READY);
    expect([told.live, told.ready]).to.deep.equal([true, true]);
    expect(told.reason).to.contain("a bug stopped 2 of this broker's replicas (Raft groups 7, 12)");
    const waiting = { live: true, ready: false, reason: 'waits' };
    expect(stopped.tellIn(waiting).reason).to.match(/^waits; a bug stopped 2/);
  });

  it('keep a broker from being ready if the metadata is among them', () => {
    const stopped = new StoppedReplicas();
    stopped.add(METADATA_GROUP);
    expect(stopped.tellIn(READY)).to.include({ live: true, ready: false });
  });
});
