import { expect } from 'chai';

import { groupNameProblem, isTopicId, topicNameProblem } from '../../../src/metadata/names.js';
import {
  effectiveTopicConfig,
  parseTopicConfig,
  TOPIC_CONFIG_KEYS,
  topicSettings,
} from '../../../src/metadata/topic-config.js';

describe('names', () => {
  const good = ['a', 'A.b_c-9', '_proto__', 'constructor', '...', 'x'.repeat(249)];
  const bad = ['', '.', '..', 'a/b', 'a b', 'ä', 'a\n', '\u0000', 'x'.repeat(250)];
  for (const name of good) {
    it(`of topics may be ${JSON.stringify(name.slice(0, 20))}`, () => {
      expect(topicNameProblem(name)).to.equal(undefined);
    });
  }
  for (const name of bad) {
    it(`of topics may not be ${JSON.stringify(name.slice(0, 20))} (${name.length})`, () => {
      expect(topicNameProblem(name)).to.be.a('string');
    });
  }
  it('of topics may not start with what is reserved for the system', () => {
    for (const name of ['__', '__proto__', '__consumer_offsets']) {
      expect(topicNameProblem(name)).to.match(/starts with __, which is reserved/);
    }
  });
  it('that are refused are told apart by what is wrong with them', () => {
    const problems: [string, RegExp][] = [
      ['', /^topic name is empty$/],
      ['x'.repeat(250), /^topic name has 250 characters, more than 249$/],
      ['..', /^topic name must not be "\.\."$/],
      ['a b', /^topic name "a b" has characters other than a-z/],
    ];
    for (const [name, problem] of problems) expect(topicNameProblem(name)).to.match(problem);
    expect(groupNameProblem('')).to.match(/^group name is empty$/);
    expect(groupNameProblem('x'.repeat(250))).to.match(/has 250 characters, more than 249$/);
    expect(groupNameProblem('x'.repeat(249))).to.equal(undefined);
    for (const name of ['\u0007a', 'a\u0007', '\u0007']) {
      expect(groupNameProblem(name)).to.match(/has control characters$/);
    }
  });
  it('of topics are not their ids: those are 32 digits in lower-case hex', () => {
    const id = '00112233445566778899aabbccddeeff';
    expect(isTopicId(id)).to.equal(true);
    for (const text of ['', id.slice(1), `${id}0`, `x${id}`, id.toUpperCase(), `${id}\n`]) {
      expect(isTopicId(text), text).to.equal(false);
    }
  });
  it('of groups may be any text without control characters', () => {
    for (const name of ['g', 'my group/1', 'größe', '__proto__']) {
      expect(groupNameProblem(name)).to.equal(undefined);
    }
    for (const name of ['', 'x'.repeat(250), 'a\u0007b', '\ud800']) {
      expect(groupNameProblem(name)).to.be.a('string');
    }
  });
});

describe('topic settings', () => {
  const accepted: [string, string, string][] = [
    ['retention.ms', '60000', '60000'],
    ['retention.ms', '-1', '-1'],
    ['retention.ms', '0060', '60'],
    ['retention.bytes', '9007199254740991', '9007199254740991'],
    ['retention.records', '1', '1'],
    ['retention.records', '-1', '-1'],
    ['max.batch.bytes', '1024', '1024'],
    ['timestamp.type', 'append', 'append'],
    ['durability', 'fsync', 'fsync'],
    ['durability', 'unsafe-quorum-memory', 'unsafe-quorum-memory'],
    ['unsafe.flush.ms', '010', '10'],
    ['unsafe.flush.ms', '10000', '10000'],
    ['unsafe.flush.bytes', '65536', '65536'],
    ['unsafe.flush.bytes', '268435456', '268435456'],
    ['max.batch.bytes', '8388608', '8388608'],
    ['cleanup.policy', 'delete', 'delete'],
    ['cleanup.policy', 'compact', 'compact'],
    ['compare.by.key', 'true', 'true'],
    ['compare.by.key', 'false', 'false'],
    ['timestamp.type', 'create', 'create'],
    ['min.compaction.lag.ms', '0', '0'],
    ['max.compaction.lag.ms', '1', '1'],
    ['max.compaction.lag.ms', '-1', '-1'],
    ['delete.retention.ms', '0', '0'],
    ['min.cleanable.dirty.ratio', '0', '0'],
    ['min.cleanable.dirty.ratio', '1', '1'],
    ['min.cleanable.dirty.ratio', '1.0000', '1'],
    ['min.cleanable.dirty.ratio', '0.1234', '0.1234'],
  ];
  for (const [key, text, value] of accepted) {
    it(`take ${key}=${text}`, () => {
      expect(parseTopicConfig(key, text)).to.eql({ ok: true, value });
    });
  }
  const refused: [string, string, RegExp][] = [
    ['retention.ms', '-2', /retention\.ms .* or -1 for no limit/],
    ['retention.ms', '0', /^retention\.ms must be a whole number of milliseconds from 1 /],
    ['retention.bytes', '0', /^retention\.bytes must be a whole number of bytes from 1 /],
    ['retention.bytes', '-2', /retention\.bytes .* or -1 for no limit; got "-2"/],
    ['retention.records', '0', /^retention\.records must be a whole number of records from 1 /],
    ['retention.records', '-2', /retention\.records .* or -1 for no limit; got "-2"/],
    ['retention.records', 'many', /retention\.records/],
    ['retention.ms', '1.5', /whole number of milliseconds/],
    ['retention.ms', '1 ', /whole number of milliseconds/],
    ['retention.ms', 'x1', /whole number of milliseconds/],
    ['retention.ms', '', /whole number of milliseconds/],
    ['retention.ms', '--1', /whole number of milliseconds/],
    ['max.batch.bytes', '1023', /whole number of bytes from 1024/],
    ['compare.by.key', 'yes', /must be one of false, true; got "yes"/],
    ['delete.retention.ms', '-1', /milliseconds from 0 to 9007199254740991;/],
    ['unsafe.flush.bytes', '268435457', /bytes from 65536 to 268435456/],
    ['min.cleanable.dirty.ratio', '0.12345', /with at most four decimals/],
    ['min.cleanable.dirty.ratio', '1.00000', /with at most four decimals/],
    ['min.cleanable.dirty.ratio', '00.5', /a number from 0 to 1/],
    ['min.cleanable.dirty.ratio', '0.5x', /a number from 0 to 1/],
    ['min.cleanable.dirty.ratio', '0.', /a number from 0 to 1/],
    ['min.cleanable.dirty.ratio', '1.', /a number from 0 to 1/],
    ['min.cleanable.dirty.ratio', '1.5', /a number from 0 to 1/],
    ['retention.bytes', '9007199254740993', /retention\.bytes/],
    ['max.batch.bytes', '8388609', /from 1024 to 8388608/],
    ['max.batch.bytes', '-1', /max\.batch\.bytes/],
    ['timestamp.type', 'Append', /one of create, append/],
    ['cleanup.policy', 'keep', /must be delete, compact, or compact,delete; got "keep"/],
    ['cleanup.policy', 'compact,compact', /cleanup\.policy must be/],
    ['min.cleanable.dirty.ratio', '1.1', /a number from 0 to 1/],
    ['min.cleanable.dirty.ratio', '-0.5', /a number from 0 to 1/],
    ['min.compaction.lag.ms', '-1', /milliseconds from 0/],
    ['max.compaction.lag.ms', '0', /milliseconds from 1 .* or -1 for no limit/],
    ['delete.retention.ms', 'day', /delete\.retention\.ms/],
    ['durability', 'quorum-memory', /must be one of fsync, unsafe-quorum-memory/],
    ['unsafe.flush.ms', '9', /milliseconds from 10 to 10000/],
    ['unsafe.flush.ms', '10001', /milliseconds from 10 to 10000/],
    ['unsafe.flush.bytes', '65535', /bytes from 65536 to 268435456/],
    ['unsafe.flush.bytes', '-1', /bytes from 65536 to 268435456/],
    [
      '__proto__',
      '1',
      /unknown topic setting "__proto__"; known are cleanup\.policy, compare\.by\.key, delete\.retention\.ms, durability, max\.batch\.bytes/,
    ],
  ];
  for (const [key, text, problem] of refused) {
    it(`refuse ${key}=${text}`, () => {
      const parsed = parseTopicConfig(key, text);
      expect(parsed.ok).to.equal(false);
      expect(parsed).to.have.property('problem').that.matches(problem);
    });
  }
  it('fall back to defaults', () => {
    expect(topicSettings(new Map([['retention.bytes', '5']]))).to.eql({
      retentionMs: 604_800_000,
      retentionBytes: 5,
      retentionRecords: -1,
      deletes: true,
      compaction: undefined,
      comparesByKey: false,
      maxBatchBytes: 1_048_576,
      durability: { kind: 'fsync' },
      timestampType: 'create',
    });
    expect(Object.fromEntries(effectiveTopicConfig(new Map()))).to.eql({
      'cleanup.policy': 'delete',
      'compare.by.key': 'false',
      'delete.retention.ms': '86400000',
      durability: 'fsync',
      'max.batch.bytes': '1048576',
      'max.compaction.lag.ms': '-1',
      'min.cleanable.dirty.ratio': '0.5',
      'min.compaction.lag.ms': '0',
      'retention.bytes': '-1',
      'retention.ms': '604800000',
      'retention.records': '-1',
      'timestamp.type': 'create',
      'unsafe.flush.bytes': '8388608',
      'unsafe.flush.ms': '200',
    });
    expect([...TOPIC_CONFIG_KEYS].sort()).to.eql(TOPIC_CONFIG_KEYS);
  });

  it('take the place of the defaults', () => {
    const config = new Map([
      ['cleanup.policy', 'compact'],
      ['compare.by.key', 'true'],
      ['delete.retention.ms', '5'],
      ['max.batch.bytes', '2048'],
      ['max.compaction.lag.ms', '4'],
      ['min.cleanable.dirty.ratio', '0.25'],
      ['min.compaction.lag.ms', '3'],
      ['retention.bytes', '2'],
      ['retention.ms', '1'],
      ['retention.records', '6'],
      ['timestamp.type', 'append'],
    ]);
    expect(topicSettings(config)).to.eql({
      retentionMs: 1,
      retentionBytes: 2,
      retentionRecords: 6,
      deletes: false,
      compaction: { minLagMs: 3, maxLagMs: 4, minDirtyRatio: 0.25, deleteRetentionMs: 5 },
      comparesByKey: true,
      maxBatchBytes: 2_048,
      durability: { kind: 'fsync' },
      timestampType: 'append',
    });
    expect(effectiveTopicConfig(config).get('retention.records')).to.equal('6');
  });

  it('say what compaction means for a topic', () => {
    for (const text of ['compact,delete', 'delete,compact', ' delete , compact ']) {
      const parsed = parseTopicConfig('cleanup.policy', text);
      expect(parsed).to.deep.equal({ ok: true, value: 'compact,delete' });
    }
    const both = topicSettings(new Map([['cleanup.policy', 'compact,delete']]));
    expect(both.deletes).to.equal(true);
    expect(both.compaction).to.deep.equal({
      minLagMs: 0,
      maxLagMs: -1,
      minDirtyRatio: 0.5,
      deleteRetentionMs: 86_400_000,
    });
    expect(topicSettings(new Map([['cleanup.policy', 'compact']])).deletes).to.equal(false);
    expect(parseTopicConfig('min.cleanable.dirty.ratio', '0.250')).to.deep.equal({
      ok: true,
      value: '0.25',
    });
  });

  it('let a topic put its syncs off within bounds', () => {
    const config = new Map([['durability', 'unsafe-quorum-memory']]);
    expect(topicSettings(config).durability).to.eql({
      kind: 'unsafe-quorum-memory',
      flushMs: 200,
      flushBytes: 8_388_608,
    });
    config.set('unsafe.flush.ms', '10').set('unsafe.flush.bytes', '65536');
    expect(topicSettings(config).durability).to.include({ flushMs: 10, flushBytes: 65_536 });
    config.delete('durability');
    expect(topicSettings(config).durability).to.eql({ kind: 'fsync' });
  });
});
