import { crc32c } from '../../src/base/crc32c.js';
import { Prng } from '../../src/base/prng.js';
import { logIndex } from '../../src/model/ids.js';
import { rewrittenEntry, type EntryId, type LogEntry } from '../../src/model/log-entry.js';
import type { LogStore } from '../../src/ports/log-store.js';
import type { HardState } from '../../src/raft/io.js';
import { append, entry, hardState, id, SPEC, write } from '../conformance/broker-store.suite.js';
import { filler } from './damage-kit.js';

/** What a store must hold after a number of steps. */
export interface Model {
  readonly base: EntryId;
  readonly log: readonly LogEntry[];
  readonly hardState: HardState;
}

export const NEW_MODEL: Model = { base: id(0, 0), log: [], hardState: hardState(1) };

export function lastOf(model: Model): EntryId {
  const last = model.log.at(-1);
  return last === undefined ? model.base : id(last.term, last.index);
}

interface Step {
  readonly after: Model;
  run(store: LogStore): Promise<unknown>;
}

/** The step that follows `count` others: the same in the process that takes it and its judge. */
export function stepAfter(model: Model, count: number): Step {
  const prng = new Prng(count * 7919 + 17);
  const choice = prng.u32() % 10;
  const last = lastOf(model);
  if (choice < 5) return appendStep(model, last, prng);
  if (choice < 7 && model.log.length > 0) {
    const kept = prng.u32() % model.log.length;
    const end = model.log[kept - 1];
    const prev = end === undefined ? model.base : id(end.term, end.index);
    return appendStep({ ...model, log: model.log.slice(0, kept) }, prev, prng);
  }
  if (choice === 7 && model.log.length > 2) {
    const cut = model.log[prng.u32() % model.log.length]!;
    const to = id(cut.term, cut.index);
    return {
      after: { ...model, base: to, log: model.log.filter((e) => e.index > cut.index) },
      run: (store) => store.truncatePrefix(to, new Uint8Array(2_000), SPEC.bootstrap),
    };
  }
  if (choice === 8) {
    const base = id(model.hardState.term, last.index + 50);
    const meta = { last: base, chain: count, timeMs: 1, membership: SPEC.bootstrap };
    return {
      after: { ...model, base, log: [] },
      run: (store) => store.persist(write({ install: meta }), new Uint8Array(2_000)),
    };
  }
  if (choice === 9 && model.log.length > 0) return rewriteStep(model, prng);
  const next = hardState(model.hardState.term, 1 + (prng.u32() % 3));
  return {
    after: { ...model, hardState: next },
    run: (store) => store.persist(write({ hardState: next })),
  };
}

/** Puts something shorter in the place of some entries. */
function rewriteStep(model: Model, prng: Prng): Step {
  const payloads = model.log
    .filter(() => prng.u32() % 2 === 0)
    .map((e) => ({ ...id(e.term, e.index), payload: e.payload.subarray(0, prng.u32() % 500) }));
  const log = model.log.map((e) => {
    const rewritten = payloads.find(({ index }) => index === e.index);
    return rewritten === undefined ? e : rewrittenEntry(e, rewritten.payload, crc32c);
  });
  return { after: { ...model, log }, run: (store) => store.rewrite(payloads) };
}

/** Appends behind `prev` in a new term, with the hard state that begins it. */
function appendStep(model: Model, prev: EntryId, prng: Prng): Step {
  const t = model.hardState.term + 1;
  const list = Array.from({ length: 1 + (prng.u32() % 6) }, (_, i) => {
    const index = logIndex(prev.index + 1 + i);
    return entry(t, index, filler(index * 1_000 + t, 3_000));
  });
  const next = hardState(t);
  return {
    after: { ...model, log: [...model.log, ...list], hardState: next },
    run: (store) => store.persist(append(prev, list, next)),
  };
}
