import type { Crc32c } from '../../../src/base/crc32c.js';
import { logIndex, term } from '../../../src/model/ids.js';
import type { LogEntry } from '../../../src/model/log-entry.js';
import type { LoadedReplica, LogStore } from '../../../src/ports/log-store.js';
import { ballotOf } from './ballot.js';
import { Life } from './life.js';
import { differenceIn, openStore, readAll, type Truth } from './truth.js';

/**
 * What became of a case. `opening`, `reading`: found out then, and emptied for repair. `refused`: the
 * broker does not start. `intact`: opened as sound, and everything acknowledged is there. `silent`:
 * opened as sound, and it is not. `stuck`: found out again and again, never repaired.
 */
export type Outcome = 'opening' | 'reading' | 'refused' | 'intact' | 'silent' | 'stuck';

export interface Verdict {
  readonly outcome: Outcome;
  /** What was wrong, in the words of the store or the judge. */
  readonly detail: string;
  /** What a damaged replica gave that it must not give. */
  readonly votes: readonly string[];
}

const MORE_ENTRIES = 3;

/** After the first read that met damage, the log is looked at as a whole; after the second, given up. */
const LIVES_AFTER_A_READ = 2;

/**
 * Opens a directory as a broker does and holds what happens against the truth. Damage that only a read
 * meets must lead to an emptied replica all the same; what opens as sound must also keep what is
 * written from then on.
 */
export async function judge(directory: string, truth: Truth, crc32c: Crc32c): Promise<Verdict> {
  const first = await openedIn(directory, truth, crc32c);
  if (first.outcome !== 'reading') return first;
  let { detail } = first;
  for (let i = 0; i < LIVES_AFTER_A_READ; i += 1) {
    const next = await openedIn(directory, truth, crc32c);
    if (next.outcome === 'opening') return { ...first, votes: next.votes };
    detail += `; then ${next.outcome}: ${next.detail}`;
    if (next.outcome !== 'reading') return { ...next, detail, outcome: atEnd(next.outcome) };
  }
  return { outcome: 'stuck', detail, votes: [] };
}

/** What was found once must not count as whole, or keep a broker from starting. */
function atEnd(outcome: Outcome): Outcome {
  return outcome === 'silent' ? 'silent' : 'stuck';
}

async function openedIn(directory: string, truth: Truth, crc32c: Crc32c): Promise<Verdict> {
  let life: Life;
  try {
    life = await Life.open(directory, truth, crc32c);
  } catch (error) {
    return { outcome: 'refused', detail: textOf(error), votes: [] };
  }
  let verdict: Verdict;
  try {
    verdict = await judgedIn(life, truth);
  } finally {
    await life.close();
  }
  return verdict.outcome === 'intact' ? await goneOnWith(directory, truth, crc32c) : verdict;
}

async function judgedIn(life: Life, truth: Truth): Promise<Verdict> {
  const found = life.found();
  if ('error' in found) return { outcome: 'stuck', detail: textOf(found.error), votes: [] };
  const { verdict, raft } = found.loaded;
  if (verdict.kind !== 'damaged') return await readIn(found, truth);
  const votes = life.group === undefined ? [] : await ballotOf(life, life.group, truth);
  const isFenced =
    raft.hardState.needsRepair &&
    raft.last.index === 0 &&
    raft.hardState.term >= truth.hardState.term &&
    raft.watermark.index >= truth.watermark.index;
  if (!isFenced) votes.push(`a start as ${JSON.stringify(raft)}`);
  return { outcome: 'opening', detail: verdict.reason, votes };
}

async function readIn(
  { store, loaded }: { readonly store: LogStore; readonly loaded: LoadedReplica },
  truth: Truth,
): Promise<Verdict> {
  const { raft } = loaded;
  const silently = (detail: string): Verdict => ({ outcome: 'silent', detail, votes: [] });
  if (loaded.verdict.kind === 'tailLost') return silently(loaded.verdict.reason);
  if (raft.last.index < truth.watermark.index) return silently(`ends at ${raft.last.index}`);
  const { term: atTerm, votedFor } = truth.hardState;
  if (raft.hardState.term !== atTerm || raft.hardState.votedFor !== votedFor) {
    return silently(`is in term ${raft.hardState.term}, voted for ${raft.hardState.votedFor}`);
  }
  let entries: readonly LogEntry[];
  try {
    entries = await readAll(store, truth.first, raft.last.index);
  } catch (error) {
    return { outcome: 'reading', detail: textOf(error), votes: [] };
  }
  const difference = differenceIn(truth, entries);
  return difference === undefined
    ? { outcome: 'intact', detail: '', votes: [] }
    : silently(difference);
}

/** A log that passed takes entries; after another opening they, and all before them, are there. */
async function goneOnWith(directory: string, truth: Truth, crc32c: Crc32c): Promise<Verdict> {
  let last = 0;
  const inTerm = term(truth.hardState.term + 1);
  const use = async (
    work: (store: LogStore, end: number) => Promise<Verdict>,
  ): Promise<Verdict> => {
    const broker = await openStore(directory, crc32c);
    try {
      const { store, loaded } = await broker.openReplica(truth.spec.groupId);
      if (loaded.verdict.kind !== 'sound') {
        return { outcome: 'opening', detail: `later ${JSON.stringify(loaded.verdict)}`, votes: [] };
      }
      return await work(store, loaded.raft.last.index);
    } catch (error) {
      return { outcome: 'reading', detail: `later ${textOf(error)}`, votes: [] };
    } finally {
      await broker.close();
    }
  };
  const written = await use(async (store, end) => {
    const prev = truth.entries[end - truth.first];
    if (prev === undefined) throw new Error(`there is no entry ${end}`);
    const entries = Array.from({ length: MORE_ENTRIES }, (_, i): LogEntry => ({
      term: inTerm,
      index: logIndex(end + 1 + i),
      kind: 'noop',
      timeMs: prev.timeMs,
      payload: new Uint8Array(),
    }));
    const hardState = { ...truth.hardState, term: inTerm, votedFor: undefined };
    await store.persist({ ticket: 0, hardState, append: { prev, entries }, install: undefined });
    last = end + MORE_ENTRIES;
    return { outcome: 'intact', detail: '', votes: [] };
  });
  if (written.outcome !== 'intact') return written;
  return await use(async (store, end) => {
    if (end !== last) return { outcome: 'silent', detail: `${end} instead of ${last}`, votes: [] };
    const entries = await readAll(store, truth.first, last);
    const difference = differenceIn(truth, entries.slice(0, -MORE_ENTRIES));
    const outcome = difference === undefined ? 'intact' : 'silent';
    return { outcome, detail: difference ?? '', votes: [] };
  });
}

export function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  return cause instanceof Error ? `${error.message}: ${cause.message}` : error.message;
}
