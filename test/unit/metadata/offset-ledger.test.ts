import { expect } from 'chai';

import { OffsetLedger, rowsOf } from '../../../src/metadata/offset-ledger.js';
import { OTHER_TOPIC, TOPIC } from './support.js';

const at = (offset: number) => ({ offset, metadata: '', timeMs: 1 });
const place = (partition: number, topicId = TOPIC) => ({ topicId, partition });

describe('ledger of committed offsets', () => {
  let ledger: OffsetLedger;

  beforeEach(() => {
    ledger = new OffsetLedger(4);
    ledger.maybeCommit('g', place(1), at(10));
    ledger.maybeCommit('g', place(0), at(20));
    ledger.maybeCommit('h', place(0, OTHER_TOPIC), at(30));
  });

  it('counts positions, not commits', () => {
    expect([ledger.size, ledger.room, ledger.groupCount]).to.eql([3, 1, 2]);
    expect(ledger.maybeCommit('g', place(1), at(11))).to.equal(true);
    expect([ledger.size, ledger.countOf('g'), ledger.countOf('h')]).to.eql([3, 2, 1]);
    expect(ledger.position('g', TOPIC, 1)?.offset).to.equal(11);
  });

  it('takes what it has room for, and always what it knows', () => {
    expect(ledger.maybeCommit('h', place(1, OTHER_TOPIC), at(1))).to.equal(true);
    expect(ledger.room).to.equal(0);
    expect(ledger.maybeCommit('h', place(2, OTHER_TOPIC), at(1))).to.equal(false);
    expect(ledger.maybeCommit('new', place(0), at(1))).to.equal(false);
    expect(ledger.has('new')).to.equal(false);
    expect(ledger.maybeCommit('g', place(0), at(21))).to.equal(true);
    expect(ledger.position('g', TOPIC, 0)?.offset).to.equal(21);
  });

  it('lists a group by topic and partition', () => {
    ledger.maybeCommit('g', place(0, OTHER_TOPIC), at(40));
    const list = ledger.rows('g').map((row) => [row.topicId, row.partition, row.offset]);
    expect(list).to.eql([
      [TOPIC, 0, 20],
      [TOPIC, 1, 10],
      [OTHER_TOPIC, 0, 40],
    ]);
    expect(ledger.rows('nobody')).to.eql([]);
  });

  it('knows the groups that read a topic, by name', () => {
    ledger.maybeCommit('a', place(5), at(1));
    expect(ledger.groupsOf(TOPIC)).to.eql(['a', 'g']);
    expect(ledger.groupsOf(OTHER_TOPIC)).to.eql(['h']);
    expect([...ledger.names()].sort()).to.eql(['a', 'g', 'h']);
  });

  it('forgets a topic, and groups that had nothing else', () => {
    ledger.maybeCommit('h', place(0), at(1));
    ledger.dropTopic(TOPIC);
    expect([ledger.size, ledger.has('g'), ledger.has('h')]).to.eql([1, false, true]);
    ledger.dropTopic(OTHER_TOPIC);
    expect([ledger.size, ledger.groupCount]).to.eql([0, 0]);
  });

  it('forgets a group, or one position of it, once', () => {
    ledger.forget('g', TOPIC, 7);
    ledger.forget('nobody', TOPIC, 0);
    expect(ledger.size).to.equal(3);
    ledger.forget('g', TOPIC, 0);
    ledger.forget('g', TOPIC, 0);
    expect([ledger.size, ledger.countOf('g'), ledger.has('g')]).to.eql([2, 1, true]);
    ledger.forget('g', TOPIC, 1);
    expect([ledger.size, ledger.has('g')]).to.eql([1, false]);
    ledger.dropGroup('h');
    ledger.dropGroup('h');
    expect([ledger.size, ledger.groupCount]).to.eql([0, 0]);
    ledger.maybeCommit('g', place(0), at(1));
    ledger.clear();
    expect([ledger.size, ledger.has('g'), ledger.room]).to.eql([0, false, 4]);
  });

  it('keeps a topic that has other positions', () => {
    ledger.maybeCommit('g', place(0, OTHER_TOPIC), at(1));
    ledger.forget('g', OTHER_TOPIC, 0);
    expect(ledger.groupsOf(OTHER_TOPIC)).to.eql(['h']);
    expect(ledger.groupsOf(TOPIC)).to.eql(['g']);
  });

  it('stands still in a frozen view while it goes on', () => {
    const frozen = ledger.freeze();
    ledger.maybeCommit('g', place(0), at(99));
    ledger.forget('h', OTHER_TOPIC, 0);
    const page = frozen.get('g');
    expect(page === undefined ? [] : rowsOf(page).map((row) => row.offset)).to.eql([20, 10]);
    expect([...frozen.keys()]).to.eql(['g', 'h']);
    expect(ledger.position('g', TOPIC, 0)?.offset).to.equal(99);
  });
});
