import { LevelBrokerStore } from '../../src/storage/level-broker-store.js';
import { hardState, SPEC, write } from '../conformance/broker-store.suite.js';
import { SMALL_MEMORY } from './damage-kit.js';
import { NEW_MODEL, stepAfter } from './model.js';

// Run by kill.test.ts: takes one step after the other on a new replica, without an end, and prints
// how many it has taken.
const broker = await LevelBrokerStore.open(process.argv[2] ?? '', SMALL_MEMORY);
await broker.createReplica(SPEC);
const { store } = await broker.openReplica(SPEC.groupId);
await store.persist(write({ hardState: hardState(1) }));
process.stdout.write('opened\n');
let model = NEW_MODEL;
for (let count = 0; ; count += 1) {
  const step = stepAfter(model, count);
  await step.run(store);
  model = step.after;
  process.stdout.write(`${count + 1}\n`);
}
