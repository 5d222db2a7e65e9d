import { expect } from 'chai';

import { Proposals } from '../../../src/host/proposals.js';
import { logIndex, term } from '../../../src/model/ids.js';
import type { EntryId, LogEntry } from '../../../src/model/log-entry.js';

const id = (t: number, index: number): EntryId => ({ term: term(t), index: logIndex(index) });
const entry = (t: number, index: number): LogEntry => {
  return { ...id(t, index), kind: 'command', timeMs: 0, payload: new Uint8Array() };
};

describe('proposals', () => {
  let proposals: Proposals;
  let heard: string[];

  beforeEach(() => {
    proposals = new Proposals();
    heard = [];
  });

  const add = (...ids: EntryId[]): void => {
    for (const { term: t, index } of ids) {
      proposals.add(id(t, index), {
        persisted: () => heard.push(`persisted ${t}/${index}`),
        committed: (result) => heard.push(`committed ${t}/${index} ${String(result)}`),
        failed: () => heard.push(`failed ${t}/${index}`),
      });
    }
  };

  it('tell each proposer what its entry returned, in order', () => {
    add(id(1, 2), id(1, 3));
    proposals.applied(entry(1, 1), 'x');
    proposals.applied(entry(1, 2), 'a');
    proposals.applied(entry(1, 3), 'b');
    expect(heard).to.deep.equal(['committed 1/2 a', 'committed 1/3 b']);
    expect(proposals.size).to.equal(0);
  });

  it('fail where another term took the slot', () => {
    add(id(1, 2));
    proposals.applied(entry(2, 2), 'other');
    expect(heard).to.deep.equal(['failed 1/2']);
  });

  it('tell that an entry is on disk once, and only by a write of its own term', () => {
    add(id(2, 5), id(2, 6), id(2, 7));
    proposals.persisted(id(1, 6));
    expect(heard).to.deep.equal([]);
    proposals.persisted(id(2, 6));
    proposals.persisted(id(2, 6));
    proposals.persisted(id(2, 7));
    expect(heard).to.deep.equal(['persisted 2/5', 'persisted 2/6', 'persisted 2/7']);
  });

  it('do not tell of the disk after the outcome', () => {
    add(id(1, 1), id(1, 2));
    proposals.applied(entry(1, 1), 'a');
    proposals.persisted(id(1, 2));
    expect(heard).to.deep.equal(['committed 1/1 a', 'persisted 1/2']);
  });

  it('keep what is committed when leadership goes, and fail the rest', () => {
    add(id(1, 1), id(1, 2), id(1, 3));
    proposals.persisted(id(1, 1));
    proposals.failExceptTerm(undefined, logIndex(3));
    expect(heard).to.deep.equal(['persisted 1/1', 'failed 1/3']);
    proposals.persisted(id(1, 2));
    proposals.applied(entry(1, 1), 'a');
    proposals.applied(entry(1, 2), 'b');
    expect(heard.slice(2)).to.deep.equal(['persisted 1/2', 'committed 1/1 a', 'committed 1/2 b']);
  });

  it('fail only what was proposed in other terms', () => {
    add(id(1, 4), id(2, 5));
    proposals.failExceptTerm(term(2), logIndex(1));
    expect(heard).to.deep.equal(['failed 1/4']);
    expect(proposals.size).to.equal(1);
  });

  it('tell everybody of the failure, though one of them fails on hearing it', () => {
    const failed = (): void => {
      throw new Error('deaf');
    };
    proposals.add(id(1, 1), { committed: () => undefined, failed });
    add(id(1, 2));
    expect(() => proposals.failAll()).to.throw('deaf');
    expect(heard).to.deep.equal(['failed 1/2']);
    expect(proposals.size).to.equal(0);
  });

  it('refuse to go back', () => {
    add(id(1, 4));
    expect(() => add(id(1, 4))).to.throw(/ascend/);
  });

  it('take new proposals from observers that hear of old ones', () => {
    proposals.add(id(1, 1), { committed: () => add(id(1, 2)), failed: () => undefined });
    proposals.applied(entry(1, 1), 'a');
    proposals.applied(entry(1, 2), 'b');
    expect(heard).to.deep.equal(['committed 1/2 b']);
  });

  it('lose none of very many', () => {
    const count = 20_000;
    for (let index = 1; index <= count; index++) {
      add(id(1, index));
      if (index > 100) {
        proposals.persisted(id(1, index - 50));
        proposals.applied(entry(1, index - 100), index);
      }
    }
    proposals.failAll();
    const of = (kind: string): number => heard.filter((h) => h.startsWith(kind)).length;
    expect(of('persisted')).to.equal(count - 50);
    expect(of('committed')).to.equal(count - 100);
    expect(of('failed')).to.equal(100);
  });
});
