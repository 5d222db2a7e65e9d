import { expect } from 'chai';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { startCluster, type TestCluster } from '../../../src/testing/index.js';
import { eventually } from '../../support/eventually.js';

/** Gives everything to the member whose rack is the first by name. */
const MODULE = `
export default {
  name: 'first-rack',
  assign({ members, topics }) {
    const [first] = [...members].sort((a, b) => (a.rack < b.rack ? -1 : 1));
    const all = [...topics.values()].flatMap(({ id, partitions }) =>
      Array.from({ length: partitions }, (_, partition) => ({ topicId: id, partition })));
    return new Map([[first.memberId, all]]);
  },
};
`;

describe("an assignor of one's own", function () {
  this.timeout(60_000);
  let folder: string;
  let cluster: TestCluster | undefined;

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'millrace-assignor-'));
    await writeFile(path.join(folder, 'first-rack.mjs'), MODULE);
  });
  after(async () => {
    await cluster?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('shares out a group that asks for it', async () => {
    cluster = await startCluster({
      settings: { assignors: [path.join(folder, 'first-rack.mjs')] },
    });
    await cluster.createTopic('logs', { partitions: 4 });
    const client = cluster.client();
    const [b, a] = ['b', 'a'].map((rack) =>
      client.groupConsumer({ group: 'g', topics: ['logs'], assignor: 'first-rack', rack }),
    );
    const reads = [a, b].map(async (consumer) => {
      for await (const record of consumer!) throw new Error(`nobody sent ${record.offset}`);
    });
    const isThere = async (): Promise<boolean> =>
      (await client.admin.listGroups()).some(({ group }) => group === 'g');
    await eventually('both have joined', isThere);
    await eventually('all are with the member in the first rack', async () => {
      const group = await client.admin.describeGroup('g');
      const held = group.members
        .map((m) => `${m.rack} ${m.assigned.flatMap((t) => t.partitions).length}`)
        .sort();
      return group.assignor === 'first-rack' && held.join() === 'a 4,b 0';
    });
    await Promise.all([a!.close(), b!.close()]);
    await Promise.all(reads);
  });

  it('is refused where it is not known, with the names of those that are', async () => {
    const consumer = cluster!
      .client()
      .groupConsumer({ group: 'h', topics: ['logs'], assignor: 'last-rack' });
    const error: unknown = await consumer[Symbol.asyncIterator]()
      .next()
      .catch((thrown: unknown) => thrown);
    expect(error).to.have.property('code', 'UNKNOWN_ASSIGNOR');
    expect(error)
      .to.have.property('message')
      .that.matches(/uniform, range, rack, first-rack/);
    await consumer.close();
  });
});
