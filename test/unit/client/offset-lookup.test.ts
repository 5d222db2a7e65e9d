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

  it('is not behind a record of that time that came while the end was asked for', async () => {
    const s = setup(2);
    put(s.cluster, 0, 3);
    s.cluster.onCall = (method, request) => {
      const [query] =
        method === 'listOffsets' ? (request as { queries: { at: unknown }[] }).queries : [];
      if (query?.at === 'latest') put(s.cluster, 1, 2);
      return undefined;
    };
    const to = { timestampMs: 1_700_000_000_000 };
    expect(await s.world.until(lookupOf(s).resolve(AT, to, undefined))).to.deep.equal([0, 0]);
    const later = { timestampMs: 1_700_000_000_001 };
    expect(await s.world.until(lookupOf(s).resolve(AT, later, undefined))).to.deep.equal([3, 4]);
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
