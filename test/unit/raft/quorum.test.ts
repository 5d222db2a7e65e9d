import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import type { BrokerId } from '../../../src/model/ids.js';
import { membershipOf, type Membership } from '../../../src/model/membership.js';
import { majorityOf, quorumValue, voteResult, type Vote } from '../../../src/raft/quorum.js';
import { describeDataFiles, parseIds, type Command } from '../../support/data-driven.js';

const FOLDER = join(import.meta.dirname, '../../data/quorum');
const VOTES: Record<string, Vote> = { y: 'granted', n: 'refused', d: 'damaged' };

/** The highest index for which counting, voter by voter, finds a majority of each half. */
function naiveCommit(m: Membership, acked: ReadonlyMap<number, number>): number {
  const halves = [m.voters, m.votersOutgoing].filter((half) => half.length > 0);
  if (halves.length === 0) return Infinity;
  for (let index = Math.max(0, ...acked.values()); index > 0; index--) {
    const isEverywhere = halves.every((half) => {
      const count = half.filter((id) => (acked.get(id) ?? 0) >= index).length;
      return count * 2 > half.length;
    });
    if (isEverywhere) return index;
  }
  return 0;
}

/** Tries every way in which those who have not answered may yet answer. */
function naiveVote(m: Membership, votes: ReadonlyMap<number, Vote>): string {
  const isWon = (all: ReadonlyMap<number, Vote>): boolean => {
    const halves = [m.voters, m.votersOutgoing];
    const byMajority = halves.every((half) => {
      const count = half.filter((id) => all.get(id) === 'granted').length;
      return half.length === 0 || count * 2 > half.length;
    });
    const everybody = halves.flat();
    const isByAll =
      everybody.every((id) => all.get(id) === 'granted' || all.get(id) === 'damaged') &&
      everybody.some((id) => all.get(id) === 'granted');
    return byMajority || isByAll;
  };
  if (isWon(votes)) return 'won';
  // The best that can still come: all others grant, and the damaged are the same as they are.
  const best = new Map(votes);
  for (const id of [...m.voters, ...m.votersOutgoing]) {
    if (!best.has(id)) best.set(id, 'granted');
    // A damaged grant may be followed by an intact one, after repair.
    if (best.get(id) === 'damaged') best.set(id, 'granted');
  }
  return isWon(best) ? 'pending' : 'lost';
}

function membershipIn({ options }: Command): Membership {
  const sorted = (name: string): readonly BrokerId[] =>
    membershipOf(parseIds(options.get(name))).voters;
  return { ...membershipOf([]), voters: sorted('voters'), votersOutgoing: sorted('outgoing') };
}

function pairs(text: string | undefined): [number, string][] {
  return (text?.match(/\d+:\w+/g) ?? []).map((pair) => {
    const [id, value] = pair.split(':');
    return [Number(id), value ?? ''];
  });
}

function run(command: Command): string {
  const m = membershipIn(command);
  if (command.name === 'commit') {
    const acked = new Map(pairs(command.options.get('acked')).map(([id, at]) => [id, Number(at)]));
    const value = quorumValue(m, (id) => acked.get(id) ?? 0);
    expect(value, 'the slow way').equal(naiveCommit(m, acked));
    return String(value);
  }
  const votes = new Map(
    pairs(command.options.get('votes')).map(([id, v]) => [id, VOTES[v]!] as const),
  );
  const result = voteResult(m, (id) => votes.get(id));
  expect(result, 'the slow way').equal(naiveVote(m, votes));
  return result;
}

describe('quorums', () => {
  describeDataFiles(FOLDER, () => run);

  const half = fc.uniqueArray(fc.integer({ min: 1, max: 9 }), { maxLength: 7 });

  it('commits what the slow way commits', () => {
    fc.assert(
      fc.property(
        half,
        half,
        fc.array(fc.nat(12), { minLength: 10, maxLength: 10 }),
        (a, b, at) => {
          const m = { ...membershipOf(a), votersOutgoing: membershipOf(b).voters };
          const acked = new Map(at.map((index, id) => [id, index]));
          expect(quorumValue(m, (id) => acked.get(id) ?? 0)).equal(naiveCommit(m, acked));
        },
      ),
      { numRuns: 5000 },
    );
  });

  it('elects whom the slow way elects', () => {
    const vote = fc.constantFrom<Vote | undefined>('granted', 'refused', 'damaged', undefined);
    fc.assert(
      fc.property(half, half, fc.array(vote, { minLength: 10, maxLength: 10 }), (a, b, given) => {
        fc.pre(a.length > 0);
        const m = { ...membershipOf(a), votersOutgoing: membershipOf(b).voters };
        const votes = new Map<number, Vote>();
        for (const [id, v] of given.entries()) if (v !== undefined) votes.set(id, v);
        expect(voteResult(m, (id) => votes.get(id))).equal(naiveVote(m, votes));
      }),
      { numRuns: 5000 },
    );
  });

  it('needs two majorities to overlap', () => {
    for (let count = 1; count <= 9; count++) expect(majorityOf(count) * 2).greaterThan(count);
  });
});
