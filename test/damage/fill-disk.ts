import { expect } from 'chai';
import { logIndex } from '../../src/model/ids.js';
import { LevelBrokerStore } from '../../src/storage/level-broker-store.js';
import { append, entry, id, IDENTITY, rejection, SPEC } from '../conformance/broker-store.suite.js';
import { filler } from './damage-kit.js';

export interface Filled {
  /** The last index that was acknowledged. */
  readonly acknowledged: number;
  readonly error: string;
}

/** Writes until the disk takes no more. The store must be done for by then, whatever is freed later. */
export async function fill(
  directory: string,
  memory: { readonly memoryBudgetBytes: number },
  makeRoom: () => Promise<void>,
): Promise<Filled> {
  const broker = await LevelBrokerStore.open(directory, memory);
  try {
    await broker.saveIdentity(IDENTITY);
    await broker.createReplica(SPEC);
    const { store } = await broker.openReplica(SPEC.groupId);
    for (let acknowledged = 0; ; acknowledged += 1) {
      const next = acknowledged + 1;
      const write = append(id(acknowledged === 0 ? 0 : 1, acknowledged), [
        entry(1, next, filler(next, 30_000)),
      ]);
      try {
        await store.persist(write);
      } catch (error) {
        const range = { first: logIndex(1), next: logIndex(2) };
        const unread = await rejection(store.read(range, { bytesMax: 1 }));
        expect(unread.name).to.equal('StoreFencedError');
        await makeRoom();
        expect((await rejection(store.persist(write))).name).to.equal('StoreFencedError');
        const { cause } = error as Error;
        return { acknowledged, error: `${String(error)} ${String(cause)}` };
      }
    }
  } finally {
    await broker.close();
  }
}
