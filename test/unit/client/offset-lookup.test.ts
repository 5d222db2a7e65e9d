import { expect } from 'chai';

import { ClusterView } from '../../../src/client/cluster-view.js';
import { OffsetLookup } from '../../../src/client/offset-lookup.js';
import { put, setup, type Setup } from './group-members.js';

const AT = [0, 1].map((partition) => ({ topic: 'events', partition }));

function lookupOf(s: Setup): OffsetLookup {
  const view = new ClusterView(s.cluster, s.world, [{ host: 'b', port: 1 }]);
  return new OffsetLookup(view, s.world, 5_000);
}

describe('where to start', () => {
  it('is where the group stands, and elsewhere only where it has no commit', async () => {
    const s = setup(2);
    put(s.cluster, 0, 3);
    put(s.cluster, 1, 4);
    s.cluster.committed.set('g/1', 2);
    const found = await s.world.until(lookupOf(s).committedOr(AT, 'end', 'g'));
    expect(found).to.deep.equal([
      { offset: 3, isCommitted: false },
      { offset: 2, isCommitted: true },
    ]);
  });

  for (const missing of ['fetchOffsets', 'listOffsets']) {
    it(`is not the beginning for a partition that an answer to ${missing} leaves out`, async () => {
      const s = setup(2);
      s.cluster.onCall = (method) =>
        method === missing
          ? [{ ...AT[0], offset: missing === 'fetchOffsets' ? undefined : 3 }]
          : undefined;
      const found = lookupOf(s)
        .committedOr(AT, 'beginning', 'g')
        .catch((thrown: unknown) => thrown);
      const error = await s.world.until(found);
      expect(error).to.have.property('code', 'INTERNAL');
      expect((error as Error).message).to.contain('events/1');
    });
  }
});
