import { append, entry, hardState, id, IDENTITY, SPEC } from '../conformance/broker-store.suite.js';
import { LevelBrokerStore } from '../../src/storage/level-broker-store.js';
import { filler, SMALL_MEMORY } from './damage-kit.js';

// Run by kill.test.ts: writes without an end and prints every index once it is durable.
const directory = process.argv[2] ?? '';
const broker = await LevelBrokerStore.open(directory, SMALL_MEMORY);
if (broker.identity() === undefined) {
  await broker.saveIdentity(IDENTITY);
  await broker.createReplica(SPEC);
}
const { store, loaded } = await broker.openReplica(SPEC.groupId);
process.stdout.write(`opened ${loaded.verdict.kind} ${loaded.raft.last.index}\n`);
await store.persist({
  ticket: 0,
  hardState: hardState(1, 1),
  append: undefined,
  install: undefined,
});

async function writeFrom(index: number): Promise<void> {
  const prev = id(index === 1 ? 0 : 1, index - 1);
  await store.persist(append(prev, [entry(1, index, filler(index, 9_000))]));
  process.stdout.write(`${index}\n`);
}

let next = loaded.raft.last.index + 1;
async function lane(): Promise<never> {
  for (;;) {
    const index = next;
    next += 1;
    await writeFrom(index);
  }
}
await Promise.all(Array.from({ length: 8 }, lane));
