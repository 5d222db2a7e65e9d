import { join } from 'node:path';
import { expect } from 'chai';
import { Prng } from '../../../src/base/prng.js';
import type { BrokerId } from '../../../src/model/ids.js';
import { membershipOf, type Membership } from '../../../src/model/membership.js';
import { describeMembership } from '../../../src/raft/debug.js';
import {
  isAfterLoss,
  majorityOf,
  quorumValue,
  recoveryResult,
  voteResult,
  type Vote,
} from '../../../src/raft/quorum.js';
import { casesOf } from '../../support/cases.js';
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

  const CASES = casesOf(100_000);

  /** Up to seven of nine brokers, often none. */
  function half(random: Prng): readonly BrokerId[] {
    const ids = [1, 2, 3, 4, 5, 6, 7, 8, 9].filter(() => random.chance(0.5));
    return membershipOf(ids.slice(0, random.int(8))).voters;
  }

  function describeCase(m: Membership, given: ReadonlyMap<number, unknown>): string {
    return `${describeMembership(m)} ${JSON.stringify([...given])}`;
  }

  it('commits what the slow way commits', () => {
    const random = new Prng(20240607);
    for (let i = 0; i < CASES; i++) {
      const m = { ...membershipOf([]), voters: half(random), votersOutgoing: half(random) };
      const acked = new Map<number, number>();
      for (let id = 1; id <= 9; id++) if (random.chance(0.8)) acked.set(id, random.int(12));
      const index = quorumValue(m, (id) => acked.get(id) ?? 0);
      if (index !== naiveCommit(m, acked)) expect.fail(`${index} of ${describeCase(m, acked)}`);
    }
  });

  it('elects whom the slow way elects', () => {
    const random = new Prng(20240608);
    const answers = ['granted', 'granted', 'granted', 'refused', 'damaged', undefined] as const;
    const results = { won: 0, lost: 0, pending: 0 };
    for (let i = 0; i < CASES; i++) {
      const m = { ...membershipOf([]), voters: half(random), votersOutgoing: half(random) };
      if (m.voters.length === 0) continue;
      const votes = new Map<number, Vote>();
      for (let id = 1; id <= 9; id++) {
        const vote = random.pick(answers);
        if (vote !== undefined) votes.set(id, vote);
      }
      const result = voteResult(m, (id) => votes.get(id));
      if (result !== naiveVote(m, votes)) expect.fail(`${result} of ${describeCase(m, votes)}`);
      results[result]++;
    }
    for (const [result, count] of Object.entries(results)) expect(count, result).above(CASES / 20);
  });

  /** One letter a voter, of the old half after a bar: granted, refused, damaged, lost its tail, silent. */
  function election(text: string): [Membership, (id: BrokerId) => Vote | undefined] {
    const kinds: Record<string, Vote> = { ...VOTES, t: 'lostTail' };
    const halves = text.split('|').map((half) => half.trim());
    const letters = halves.join('');
    const ids = Array.from(letters, (_, at) => at + 1);
    const first = halves[0]?.length ?? 0;
    const { voters } = membershipOf(ids.slice(0, first));
    const votersOutgoing = membershipOf(ids.slice(first)).voters;
    const m = { ...membershipOf([]), voters, votersOutgoing };
    return [m, (id) => kinds[letters[id - 1] ?? '']];
  }

  const recoveries: [string, string, string][] = [
    ['everybody grants, whatever became of their logs', 'ydt', 'won'],
    ['one has not answered', 'yy.', 'pending'],
    ['one refuses', 'yyn', 'lost'],
    ['one refuses while another is silent', 'n.y', 'lost'],
    ['one of the old half has not answered', 'yyy | yy.', 'pending'],
    ['one of the old half refuses', 'yyy | yyn', 'lost'],
    ['both halves grant', 'yyy | yyt', 'won'],
  ];
  for (const [what, votes, expected] of recoveries) {
    it(`need everybody after a loss: ${what}: ${expected}`, () => {
      expect(recoveryResult(...election(votes))).equal(expected);
    });
  }

  const losses: [string, string, boolean][] = [
    ['a majority is intact', 'yyt', false],
    ['nobody lost anything', 'ydd', false],
    ['a majority is not', 'ytt', true],
    ['damaged logs are as little help', 'ydt', true],
    ['one half of two is without a majority', 'yyt | ytt', true],
    ['both have theirs', 'yyt | yyt', false],
    ['only the old half is without', 'yyy | ytt', true],
  ];
  for (const [what, votes, expected] of losses) {
    it(`${expected ? 'may have lost' : 'lost nothing'} where ${what}`, () => {
      expect(isAfterLoss(...election(votes))).equal(expected);
    });
  }

  it('needs two majorities to overlap', () => {
    for (let count = 1; count <= 9; count++) expect(majorityOf(count) * 2).greaterThan(count);
  });
});
