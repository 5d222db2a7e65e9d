import { expect } from 'chai';
import { logIndex } from '../../../src/model/ids.js';
import { entryBytes } from '../../../src/model/log-entry.js';
import { RecentWindow } from '../../../src/raft/recent-window.js';
import { entry } from '../../support/raft-messages.js';

const ONE = entryBytes(entry('1/1', 'xx'));

/** Entries 5 to 5 + count, all of the same size. */
function window(count: number): RecentWindow {
  const w = new RecentWindow(logIndex(5));
  for (let i = 0; i < count; i++) w.push(entry(`1/${5 + i}`, 'xx'));
  return w;
}

const indexes = (w: RecentWindow, first: number, next: number, bytesMax = Infinity) =>
  w.slice({ first: logIndex(first), next: logIndex(next) }, bytesMax)?.map((e) => e.index);

describe('window of recent entries', () => {
  it('knows its ends and its bytes', () => {
    const w = window(3);
    expect([w.first, w.next, w.bytes]).deep.equal([5, 8, 3 * ONE]);
    expect([4, 5, 7, 8].map((index) => w.at(logIndex(index))?.index)).deep.equal([
      undefined,
      5,
      7,
      undefined,
    ]);
  });

  it('takes entries one after another only', () => {
    const w = window(1);
    expect(() => w.push(entry('1/7'))).throws('contiguous');
    expect(() => w.push(entry('1/5'))).throws('contiguous');
  });

  it('gives what it has of a range, if it has its beginning', () => {
    const w = window(3);
    expect(indexes(w, 4, 8)).equal(undefined);
    expect(indexes(w, 5, 8)).deep.equal([5, 6, 7]);
    expect(indexes(w, 6, 7)).deep.equal([6]);
    expect(indexes(w, 7, 99)).deep.equal([7]);
    expect(indexes(w, 8, 9)).equal(undefined);
  });

  it('gives as many as fit into so many bytes, and one in any case', () => {
    const w = window(3);
    expect(indexes(w, 5, 8, 0)).deep.equal([5]);
    expect(indexes(w, 5, 8, 2 * ONE)).deep.equal([5, 6]);
    expect(indexes(w, 5, 8, 2 * ONE - 1)).deep.equal([5]);
    expect(indexes(w, 6, 8, ONE + 1)).deep.equal([6]);
  });

  it('drops its end, and begins anew where that reaches before its beginning', () => {
    const w = window(3);
    w.truncateAfter(logIndex(7));
    expect(w.next).equal(8);
    w.truncateAfter(logIndex(5));
    expect([w.first, w.next, w.bytes]).deep.equal([5, 6, ONE]);
    w.truncateAfter(logIndex(4));
    expect([w.first, w.next, w.bytes]).deep.equal([5, 5, 0]);
    const other = window(3);
    other.truncateAfter(logIndex(2));
    expect([other.first, other.next, other.bytes]).deep.equal([3, 3, 0]);
    other.push(entry('2/3'));
    expect(other.next).equal(4);
  });

  it('drops its beginning while it holds too much, but not what must be kept', () => {
    const w = window(4);
    w.trim(4 * ONE, logIndex(9));
    expect(w.first).equal(5);
    w.trim(3 * ONE, logIndex(5));
    expect(w.first, 'all must be kept').equal(5);
    w.trim(3 * ONE, logIndex(9));
    expect([w.first, w.bytes]).deep.equal([6, 3 * ONE]);
    w.trim(0, logIndex(8));
    expect([w.first, w.next, w.bytes]).deep.equal([8, 9, ONE]);
    w.trim(-1, logIndex(9));
    expect([w.first, w.next, w.bytes]).deep.equal([9, 9, 0]);
  });

  it('begins anew elsewhere', () => {
    const w = window(4);
    w.reset(logIndex(20));
    expect([w.first, w.next, w.bytes]).deep.equal([20, 20, 0]);
    expect(w.at(logIndex(5))).equal(undefined);
  });
});
