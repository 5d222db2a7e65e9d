import { expect } from 'chai';

import { hexOf, MalformedBytesError } from '../../../src/base/bytes.js';
import type { Command } from '../../../src/metadata/command.js';
import { decodeCommand, encodeCommand } from '../../../src/metadata/command-codec.js';
import type { HeldSlot } from '../../../src/metadata/consumer-group.js';
import { brokerId, logIndex, raftGroupId } from '../../../src/model/ids.js';
import { createTopic, ids, Log, OTHER_TOPIC, registration, TOPIC } from '../../unit/metadata/support.js';

const unhex = (hex: string): Uint8Array =>
  Uint8Array.from(hex.replace(/\s/g, '').match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));

const PROFILE = {
  instanceId: 'i',
  rack: 'r',
  clientId: 'c',
  topics: ['logs', 'ops'],
  pattern: 'x.*',
  assignor: 'range',
  sessionTimeoutMs: 45_000,
  rebalanceTimeoutMs: 60_000,
};
const SLOTS = [0, 1].map((partition) => ({ topicId: TOPIC, partition }));
const FENCE = { memberId: 'm', memberEpoch: 300, sequence: 130 };
const held = (epoch: number): HeldSlot[] => SLOTS.map((slot) => ({ ...slot, epoch }));

/** Bytes that are in metadata logs: they may never change. */
const COMMANDS: readonly (readonly [Command, string])[] = [
  [
    { kind: 'registerBroker', registration: registration(2) },
    '01 01 02 04 64697232 02 6332 ea39 02 7032 ce3a b23b 04 6576656e',
  ],
  [
    { kind: 'registerBroker', registration: { ...registration(2), replicasMax: 1_024 } },
    '01 0d 02 04 64697232 02 6332 ea39 02 7032 ce3a b23b 04 6576656e 8008',
  ],
  [{ kind: 'setBrokerFenced', brokerId: brokerId(300), isFenced: true }, '01 02 ac02 01'],
  [
    {
      kind: 'createTopic',
      topicId: TOPIC,
      name: 'logs',
      assignment: [ids(1, 2), ids(2, 1)],
      config: new Map([
        ['timestamp.type', 'append'],
        ['retention.ms', '60000'],
      ]),
    },
    `01 03 00112233445566778899aabbccddeeff 04 6c6f6773 02 02 01 02 02 02 01
     02 0c 726574656e74696f6e2e6d73 05 3630303030
        0e 74696d657374616d702e74797065 06 617070656e64`,
  ],
  [
    { kind: 'deleteTopic', topicId: TOPIC, isForgotten: true },
    '01 04 00112233445566778899aabbccddeeff',
  ],
  [{ kind: 'deleteTopic', topicId: TOPIC }, '01 0e 00112233445566778899aabbccddeeff'],
  [
    {
      kind: 'alterTopic',
      topicId: TOPIC,
      set: new Map([['a', 'b']]),
      unset: ['c'],
      isUnversioned: true,
    },
    '01 05 00112233445566778899aabbccddeeff 01 01 61 01 62 01 01 63',
  ],
  [
    { kind: 'alterTopic', topicId: TOPIC, set: new Map([['a', 'b']]), unset: ['c'] },
    '01 0c 00112233445566778899aabbccddeeff 01 01 61 01 62 01 01 63 00',
  ],
  [
    {
      kind: 'alterTopic',
      topicId: TOPIC,
      set: new Map(),
      unset: ['c'],
      expectedVersion: logIndex(300),
    },
    '01 0c 00112233445566778899aabbccddeeff 00 01 01 63 01 ac02',
  ],
  [
    { kind: 'moveReplicas', groupId: raftGroupId(7), replicas: ids(3, 1) },
    '01 06 07 02 03 01',
  ],
  [
    { kind: 'completeMove', groupId: raftGroupId(7), replicas: ids(1, 3) },
    '01 07 07 02 01 03',
  ],
  [
    {
      kind: 'completeMove',
      groupId: raftGroupId(7),
      replicas: ids(1, 3),
      targetVersion: logIndex(300),
    },
    '01 0f 07 02 01 03 ac02',
  ],
  [
    { kind: 'replicasDeleted', brokerId: brokerId(2), groupIds: [raftGroupId(7)] },
    '01 08 02 01 07',
  ],
  [
    { kind: 'addPartitions', topicId: TOPIC, from: 2, assignment: [ids(1, 2), ids(2)] },
    '01 0b 00112233445566778899aabbccddeeff 02 02 02 01 02 01 02',
  ],
  [{ kind: 'allocateProducers', count: 1_000 }, '01 09 e807'],
  [
    {
      kind: 'commitOffsets',
      commits: [
        { group: 'g', topicId: TOPIC, partition: 0, offset: 128, metadata: '' },
        { group: 'g', topicId: TOPIC, partition: 1, offset: 1, metadata: 'm' },
        { group: 'h', topicId: OTHER_TOPIC, partition: 0, offset: 0, metadata: '' },
      ],
    },
    `01 0a 03
     00 01 67 00112233445566778899aabbccddeeff 00 8001 00
     03 01 01 01 6d
     00 01 68 ffeeddccbbaa99887766554433221100 00 00 00`,
  ],
  [
    {
      kind: 'groupEvents',
      events: [
        {
          kind: 'member',
          group: 'g',
          memberId: 'm',
          replaces: 'o',
          isStart: true,
          profile: PROFILE,
        },
        { kind: 'release', group: 'g', memberId: 'm', slots: held(300) },
        { kind: 'away', group: 'g', memberId: 'm' },
        { kind: 'leave', group: 'h', memberId: 'm' },
        {
          kind: 'target',
          group: 'h',
          groupEpoch: 3,
          assignmentEpoch: 2,
          raisesEpoch: false,
          assignor: 'range',
          topicsHash: 129,
          changes: [{ memberId: 'm', slots: SLOTS }],
        },
        { kind: 'deleteGroup', group: 'h' },
        { kind: 'deleteOffsets', group: 'g', slots: SLOTS },
      ],
    },
    `01 14 07
     01 01 67 01 6d 01 6f 01 01 69 01 72 01 63 02 04 6c6f6773 03 6f7073
        03 782e2a 05 72616e6765 c8df02 e0d403
     82 01 6d 02 00 00112233445566778899aabbccddeeff 00 ac02 01 01 ac02
     83 01 6d
     04 01 68 01 6d
     85 03 02 00 05 72616e6765 8101 01 01 6d 02 00 00112233445566778899aabbccddeeff 00 01 01
     86
     07 01 67 02 00 00112233445566778899aabbccddeeff 00 01 01`,
  ],
  [
    {
      kind: 'commitOffsets',
      commits: [
        { group: 'g', topicId: TOPIC, partition: 0, offset: 5, metadata: '', fence: FENCE },
        { group: 'g', topicId: TOPIC, partition: 1, offset: 6, metadata: '', fence: FENCE },
        { group: 'h', topicId: TOPIC, partition: 1, offset: 6, metadata: '' },
      ],
    },
    `01 16 03
     00 01 67 00112233445566778899aabbccddeeff 01 6d ac02 8201 00 05 00
     07 01 06 00
     02 01 68 00 00 00 01 06 00`,
  ],
  [{ kind: 'ageGroups', elapsedMs: 300, limitMs: 130 }, '01 17 ac02 8201'],
];

const SNAPSHOT = `
  01 03 01
  02 01 04 64697231 02 6331 e939 02 7031 cd3a b13b 03 6f6464 00
     02 04 64697232 02 6332 ea39 02 7032 ce3a b23b 04 6576656e 00
  01 00112233445566778899aabbccddeeff 04 6c6f6773 00
     02 01 02 01 02 02 01 02 02 01 02 00
        02 01 01 01 01 02 01 02 00
  01 02 01 02
  01 01 67 01 00112233445566778899aabbccddeeff 00 05 80d095ffbc31 01 6d`;

const SNAPSHOT_WITH_GROUPS = `
  02 03 00
  01 01 04 64697231 02 6331 e939 02 7031 cd3a b13b 03 6f6464 00
  01 00112233445566778899aabbccddeeff 04 6c6f6773 00
     02 01 01 01 01 01 01 01 00
        02 01 01 01 01 01 01 00
  00
  00
  01 01 67 02 02 05 72616e6765 8101
     01 01 6d 01 69 01 72 01 63 02 04 6c6f6773 03 6f7073 03 782e2a 05 72616e6765 c8df02 e0d403
        00 01
        01 00 00112233445566778899aabbccddeeff 00 01
        01 00 00112233445566778899aabbccddeeff 01 01
        01 00 00112233445566778899aabbccddeeff 00`;

/** Version 3: the same after a commit. */
const SNAPSHOT_WITH_COMMITS = `
  03 03 00
  01 01 04 64697231 02 6331 e939 02 7031 cd3a b13b 03 6f6464 00
  01 00112233445566778899aabbccddeeff 04 6c6f6773 00
     02 01 01 01 01 01 01 01 00
        02 01 01 01 01 01 01 00
  00
  01 01 67 01 00112233445566778899aabbccddeeff 00 05 80d095ffbc31 00
  01 01 67 02 02 05 72616e6765 8101
     01 01 6d 01 69 01 72 01 63 02 04 6c6f6773 03 6f7073 03 782e2a 05 72616e6765 c8df02 e0d403
        00 01
        01 00 00112233445566778899aabbccddeeff 00 01
        01 00 00112233445566778899aabbccddeeff 01 01
        01 00 00112233445566778899aabbccddeeff 00
  01 01 67 01 01 6d 8201
  00`;

const SNAPSHOT_WITH_CONFIG_VERSIONS = `
  04 03 00
  01 01 04 64697231 02 6331 e939 02 7031 cd3a b13b 03 6f6464 00
  02 00112233445566778899aabbccddeeff 04 6c6f6773 01 0c 726574656e74696f6e2e6d73 01 39
        01 01 01 01 01 01 01 01 00
        05
        02 04 00 80d095ffbc31 02
              0f 726574656e74696f6e2e6279746573 00 01 01 35
              0c 726574656e74696f6e2e6d73 00 01 01 39
           05 04 80d095ffbc31 01 0f 726574656e74696f6e2e6279746573 01 01 35 00
     ffeeddccbbaa99887766554433221100 05 6f74686572 00
        01 02 01 01 01 01 01 01 00
        00 00
  00
  00
  00
  00
  00`;

/** What the metadata of `log` is written as; and who reads that writes the same again. */
function restoredFrom(log: Log, bytes: Uint8Array): Log {
  expect(hexOf(log.machine.encode())).to.equal(hexOf(bytes));
  const restored = new Log();
  restored.machine.restore(bytes, log.state.version);
  expect(hexOf(restored.machine.encode())).to.equal(hexOf(bytes));
  return restored;
}

function mustRefuseCuts(bytes: Uint8Array): void {
  for (let length = 0; length < bytes.length; length += 1) {
    const cut = new Log();
    expect(() => cut.machine.restore(bytes.subarray(0, length), logIndex(1))).to.throw();
  }
}

describe('golden bytes of the metadata log', () => {
  for (const [command, hex] of COMMANDS) {
    it(`has one form of ${command.kind}`, () => {
      expect(hexOf(encodeCommand(command))).to.equal(hexOf(unhex(hex)));
      expect(encodeCommand(decodeCommand(unhex(hex)))).to.deep.equal(unhex(hex));
    });
  }

  it('refuses every cut command, and one byte more', () => {
    for (const [, hex] of COMMANDS) {
      const bytes = unhex(hex);
      for (let length = 0; length < bytes.length; length += 1) {
        expect(() => decodeCommand(bytes.subarray(0, length))).to.throw(MalformedBytesError);
      }
      expect(() => decodeCommand(Uint8Array.of(...bytes, 0))).to.throw(MalformedBytesError);
    }
    expect(() => decodeCommand(unhex('02 09 01'))).to.throw('version 2');
    expect(() => decodeCommand(unhex('01 63'))).to.throw('kind 99');
  });

  it('refuses lists that begin with a reference to what came before, and kinds unheard of', () => {
    const commit = { group: 'g', topicId: TOPIC, partition: 0, offset: 5, metadata: '' };
    const commits = [{ kind: 'commitOffsets', commits: [commit] }] as const;
    const fenced = [{ kind: 'commitOffsets', commits: [{ ...commit, fence: FENCE }] }] as const;
    const left = { kind: 'leave', group: 'g', memberId: 'm' } as const;
    const events = [{ kind: 'groupEvents', events: [left] }] as const;
    // Version, kind of the command and the list's count stand before the first item.
    const first = (command: Command, byte: number): unknown => {
      const bytes = encodeCommand(command);
      bytes[3] = byte;
      // As many bytes as are asked for, whatever is left out.
      return decodeCommand(Uint8Array.of(...bytes, ...new Uint8Array(64)));
    };
    for (const flags of [1, 2, 3]) {
      expect(() => first(commits[0], flags), `${flags}`).to.throw(MalformedBytesError, 'names no');
    }
    expect(() => first(fenced[0], 7)).to.throw(MalformedBytesError, 'names no');
    expect(() => first(commits[0], 4)).to.throw(MalformedBytesError, 'commit flags 4');
    expect(() => first(fenced[0], 8)).to.throw(MalformedBytesError, 'commit flags 8');
    expect(() => first(events[0], 0x7f)).to.throw(MalformedBytesError, 'event kind 127');
    expect(() => first(events[0], 0xff)).to.throw(MalformedBytesError, 'names no group');
  });

  it('has one form of a snapshot', () => {
    const log = new Log(1, 2);
    log.apply(createTopic('logs', [[1, 2], [2, 1]]));
    log.apply({ kind: 'moveReplicas', groupId: raftGroupId(2), replicas: ids(1) });
    log.apply({ kind: 'completeMove', groupId: raftGroupId(2), replicas: ids(1) });
    log.apply({ kind: 'moveReplicas', groupId: raftGroupId(1), replicas: ids(2, 1) });
    log.apply({ kind: 'moveReplicas', groupId: raftGroupId(1), replicas: ids(1, 2) });
    log.apply({ kind: 'allocateProducers', count: 1 });
    log.apply({
      kind: 'commitOffsets',
      commits: [{ group: 'g', topicId: TOPIC, partition: 0, offset: 5, metadata: 'm' }],
    });
    const restored = restoredFrom(log, unhex(SNAPSHOT));
    expect(() => restored.machine.restore(unhex('08'), log.state.version)).to.throw('version 8');
  });

  it('has one form of a snapshot of brokers that tell how many replicas they have memory for', () => {
    const log = new Log(1);
    const told = { ...registration(2), replicasMax: 0 };
    log.apply({ kind: 'registerBroker', registration: told });
    const bytes = unhex(`
      05 01 00
      02 01 04 64697231 02 6331 e939 02 7031 cd3a b13b 03 6f6464 00 00
         02 04 64697232 02 6332 ea39 02 7032 ce3a b23b 04 6576656e 00 01
      00 00 00 00 00 00`);
    const restored = restoredFrom(log, bytes);
    expect(restored.state.brokers).to.deep.equal(log.state.brokers);
  });

  it('reads the commits of members of older versions', () => {
    const hex = `01 15 02
      00 01 67 00112233445566778899aabbccddeeff 01 6d ac02 00 05 00
      02 01 68 00 00 01 06 00`;
    const [fenced, free] = [
      { group: 'g', topicId: TOPIC, partition: 0, offset: 5, metadata: '' },
      { group: 'h', topicId: TOPIC, partition: 1, offset: 6, metadata: '' },
    ];
    expect(decodeCommand(unhex(hex))).to.deep.equal({
      kind: 'commitOffsets',
      commits: [{ ...fenced, fence: { ...FENCE, sequence: 0 } }, free],
    });
  });

  it('has one form of a snapshot with idle groups', () => {
    const log = new Log(1);
    log.apply(createTopic('logs', [[1]]));
    const position = { topicId: TOPIC, partition: 0, offset: 5, metadata: '' };
    log.apply({ kind: 'commitOffsets', commits: [{ group: 'g', ...position }] });
    log.apply({ kind: 'ageGroups', elapsedMs: 300, limitMs: 1_000 });
    const bytes = unhex(`
      03 02 00
      01 01 04 64697231 02 6331 e939 02 7031 cd3a b13b 03 6f6464 00
      01 00112233445566778899aabbccddeeff 04 6c6f6773 00
         01 01 01 01 01 01 01 01 00
      00
      01 01 67 01 00112233445566778899aabbccddeeff 00 05 80d095ffbc31 00
      00
      00
      01 01 67 ac02`);
    const restored = restoredFrom(log, bytes);
    expect(restored.state.idleGroups.timeOf('g')).to.equal(300);
  });

  it('has one form of a snapshot with deleted topics', () => {
    const log = new Log(1);
    for (const id of [OTHER_TOPIC, TOPIC]) {
      log.apply(createTopic('logs', [[1]], id));
      log.apply({ kind: 'deleteTopic', topicId: id });
    }
    log.apply({ kind: 'replicasDeleted', brokerId: ids(1)[0]!, groupIds: [1, 2].map(raftGroupId) });
    const bytes = unhex(`
      06 03 00
      01 01 04 64697231 02 6331 e939 02 7031 cd3a b13b 03 6f6464 00 00
      00 00 00 00 00 00
      02 ffeeddccbbaa99887766554433221100 00112233445566778899aabbccddeeff`);
    const restored = restoredFrom(log, bytes);
    expect(restored.state.deletedTopics.freeze()).to.eql([OTHER_TOPIC, TOPIC]);
  });

  it('has one form of a snapshot with a move under way', () => {
    const log = new Log(1, 2);
    log.apply(createTopic('logs', [[1], [1]]));
    log.apply({ kind: 'moveReplicas', groupId: raftGroupId(2), replicas: ids(2) });
    const bytes = unhex(`
      07 03 00
      02 01 04 64697231 02 6331 e939 02 7031 cd3a b13b 03 6f6464 00 00
         02 04 64697232 02 6332 ea39 02 7032 ce3a b23b 04 6576656e 00 00
      01 00112233445566778899aabbccddeeff 04 6c6f6773 00
         02 01 01 01 01 01 01 01 00 00
            02 01 02 01 01 01 01 01 01 04
         00 00
      00 00 00 00 00 00`);
    const restored = restoredFrom(log, bytes);
    expect(restored.state.topicsById.get(TOPIC)).to.eql(log.state.topicsById.get(TOPIC));
    mustRefuseCuts(bytes);
  });

  it('has one form of a snapshot with versions of settings', () => {
    const log = new Log(1);
    log.apply(createTopic('logs', [[1]]));
    log.apply(createTopic('other', [[1]], OTHER_TOPIC));
    const set = new Map([
      ['retention.ms', '9'],
      ['retention.bytes', '5'],
    ]);
    log.apply({ kind: 'alterTopic', topicId: TOPIC, set, unset: [] });
    log.apply({ kind: 'alterTopic', topicId: TOPIC, set: new Map(), unset: ['retention.bytes'] });
    const bytes = unhex(SNAPSHOT_WITH_CONFIG_VERSIONS);
    const restored = restoredFrom(log, bytes);
    expect(restored.state.topicsById.get(TOPIC)).to.eql(log.state.topicsById.get(TOPIC));
    mustRefuseCuts(bytes);
  });

  it('has one form of a snapshot with consumer groups', () => {
    const log = new Log(1);
    log.apply(createTopic('logs', [[1], [1]]));
    const group = 'g';
    const member = { kind: 'member', group, memberId: 'm', replaces: '', profile: PROFILE } as const;
    const target = {
      kind: 'target',
      group,
      groupEpoch: 1,
      assignmentEpoch: 0,
      raisesEpoch: false,
      assignor: 'range',
      topicsHash: 129,
    } as const;
    const next = { ...target, groupEpoch: 1, assignmentEpoch: 1, raisesEpoch: true };
    log.apply({
      kind: 'groupEvents',
      events: [
        { ...member, isStart: true },
        { ...target, changes: [{ memberId: 'm', slots: SLOTS }] },
        { ...next, changes: [{ memberId: 'm', slots: SLOTS.slice(0, 1) }] },
      ],
    });
    const bytes = unhex(SNAPSHOT_WITH_GROUPS);
    const restored = restoredFrom(log, bytes);
    expect(restored.state.consumerGroups.memberCount).to.equal(1);
    const commit = { group, topicId: TOPIC, partition: 0, offset: 5, metadata: '' };
    const fence = { memberId: 'm', memberEpoch: 1, sequence: 130 };
    log.apply({ kind: 'commitOffsets', commits: [{ ...commit, fence }] });
    const committed = log.machine.encode();
    expect(hexOf(committed)).to.equal(hexOf(unhex(SNAPSHOT_WITH_COMMITS)));
    restored.machine.restore(committed, log.state.version);
    expect(hexOf(restored.machine.encode())).to.equal(hexOf(committed));
    mustRefuseCuts(bytes);
  });
});
