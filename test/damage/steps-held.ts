import { expect } from 'chai';
import { readAll, texts } from '../conformance/broker-store.suite.js';
import { withReplica } from './damage-kit.js';
import { lastOf, NEW_MODEL, stepAfter } from './model.js';

/** The store holds what this many steps of killed-stepper.ts leave, or what one more leaves. */
export async function expectStep(directory: string, acknowledged: number): Promise<void> {
  let before = NEW_MODEL;
  for (let i = 0; i < acknowledged; i += 1) before = stepAfter(before, i).after;
  const { after } = stepAfter(before, acknowledged);
  await withReplica(directory, async (store, loaded) => {
    expect(loaded.verdict.kind).to.not.equal('damaged');
    const { last, snapshot, hardState } = loaded.raft;
    const isAfter = JSON.stringify(last) !== JSON.stringify(lastOf(before));
    const held = isAfter || snapshot.last.index !== before.base.index ? after : before;
    expect(last).to.deep.equal(lastOf(held));
    expect(snapshot.last).to.deep.equal(held.base);
    expect([before.hardState, after.hardState]).to.deep.include(hardState);
    expect(hardState.term).to.be.at.least(last.term);
    const got = await readAll(store, held.base.index + 1, last.index + 1);
    // A rewriting leaves no other trace than itself.
    const isSame = JSON.stringify(lastOf(before)) === JSON.stringify(lastOf(after));
    const possible = isSame && held.base === after.base ? [held.log, after.log] : [held.log];
    expect(possible.map(texts)).to.deep.include(got);
  });
}
