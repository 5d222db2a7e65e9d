import { expect } from 'chai';

import { deferred } from '../../../src/base/deferred.js';
import { term, logIndex } from '../../../src/model/ids.js';
import type { LogEntry } from '../../../src/model/log-entry.js';
import type { PeerMessage } from '../../../src/ports/transport.js';
import { WriteQueue, type WriteJob } from '../../../src/storage/write-queue.js';
import { TestCluster } from './support/test-cluster.js';

const GROUP = 1;

describe('what is proposed in one turn', () => {
  it('goes out as one write to each disk and one message to each peer, an entry each', async () => {
    const cluster = new TestCluster(3);
    await cluster.open(GROUP);
    const leader = await cluster.leader(GROUP);
    await cluster.world.run(500);
    const appends: { readonly to: number; readonly entries: number }[] = [];
    const deliver = cluster.network.deliver.bind(cluster.network);
    cluster.network.deliver = (from, to, messages: readonly PeerMessage[]) => {
      for (const { message } of messages) {
        if (message.kind === 'appendRequest' && message.entries.length > 0) {
          appends.push({ to, entries: message.entries.length });
        }
      }
      deliver(from, to, messages);
    };
    for (const broker of cluster.brokers) broker.disk(GROUP).writes.length = 0;
    const commands = Array.from({ length: 50 }, (_, i) => `command ${i}`);
    await cluster.commit(leader, GROUP, ...commands);
    await cluster.agree(GROUP, commands.length);
    expect(cluster.brokers.map((broker) => broker.disk(GROUP).writes)).to.deep.equal([
      [50],
      [50],
      [50],
    ]);
    const followers = cluster.followers(leader).map(({ id }) => ({ to: id, entries: 50 }));
    expect(appends.sort((a, b) => a.to - b.to)).to.deep.equal(followers);
  });
});

describe('what waits for a disk', () => {
  const entry = (index: number): LogEntry => ({
    term: term(1),
    index: logIndex(index),
    kind: 'batch',
    timeMs: 0,
    payload: new Uint8Array(10),
  });
  const job = (index: number, more: Partial<WriteJob> = {}): WriteJob => ({
    kind: 'write',
    append: { prev: entry(index - 1), entries: [entry(index)] },
    truncates: false,
    bytes: 10,
    hardState: undefined,
    afterwards: undefined,
    done: deferred<undefined>(),
    ...more,
  });
  const batches = (bytesMax: number, ...jobs: WriteJob[]): number[] => {
    const queue = new WriteQueue();
    for (const one of jobs) queue.push(one);
    const sizes: number[] = [];
    while (queue.length > 0) sizes.push(queue.takeBatch(bytesMax).length);
    return sizes;
  };

  it('goes out as one write, as far as it fits', () => {
    expect(batches(1_000, job(1), job(2), job(3))).to.deep.equal([3]);
    expect(batches(20, job(1), job(2), job(3))).to.deep.equal([2, 1]);
    expect(batches(5, job(1), job(2)), 'one is always taken').to.deep.equal([1, 1]);
  });

  it('begins a write anew to replace what is there, and ends one that others wait behind', () => {
    expect(batches(1_000, job(1), job(1, { truncates: true }), job(2))).to.deep.equal([1, 2]);
    const afterwards = (): Promise<void> => Promise.resolve();
    expect(batches(1_000, job(1), job(2, { afterwards }), job(3))).to.deep.equal([2, 1]);
  });
});
