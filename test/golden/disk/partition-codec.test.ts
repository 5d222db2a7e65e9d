import { expect } from 'chai';
import { logIndex, offset, term } from '../../../src/model/ids.js';
import { decodePartitionCommand, encodePartitionCommand } from '../../../src/partition/command.js';
import { PartitionState } from '../../../src/partition/partition-state.js';
import { LogWriter } from '../../unit/partition/log-fixture.js';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const bytes = (text: string): Uint8Array =>
  Uint8Array.from(Buffer.from(text.replace(/\/\/.*|\s/gm, ''), 'hex'));

/* Version, kind moveLogStart, cause, offset as u64. */
const COMMANDS = [
  [{ kind: 'moveLogStart', to: offset(0x0102_0304_0506), cause: 'trim' }, '01 01 01 0000010203040506'],
  [{ kind: 'moveLogStart', to: offset(7), cause: 'retention' }, '01 01 02 0000000000000007'],
] as const;

/* Version, kind compact, bounds and settledBelow as u64. */
const COMPACT = '01 02 0000010203040506 0000000000000007 0000000000000009';

/* Integers are LEB128 unless the line says otherwise. */
const STATE = bytes(`
  02                 // version
  06 01 d00f         // next offset, log start, last time 2000
  05 02 ed01         // compacted to 5, tombstones gone below 2, about 237 bytes before 5
  04 d00f            // everywhere compacted to 4 at time 2000
  02                 // leader epochs
    01 00            //   1 from 0
    03 03            //   1 + 3 from 3
  808010 9d02 06     // index: stride 262144, bytes 285, end 6
  01                 // index items
    00 01 00         //   offset 0 at index 1, no bytes before it
    0000000000001b58 //   highest timestamp 7000, i64
    d00f             //   last time 2000
  01                 // producers
    ac02 01 02       //   300, epoch 1, two batches
      00 01 03 d00f  //     sequences 0 to 1 at offset 3, time 2000
      02 02 05 d00f  //     sequence 2 at offset 5, time 2000
`);

describe('partition bytes on disk', () => {
  for (const [command, golden] of COMMANDS) {
    it(`writes and reads a log start moved by ${command.cause}`, () => {
      expect(hex(encodePartitionCommand(command))).to.equal(hex(bytes(golden)));
      expect(decodePartitionCommand(bytes(golden))).to.deep.equal(command);
    });
  }

  it('writes and reads bounds of compaction', () => {
    const command = { kind: 'compact', to: offset(0x0102_0304_0506), tombstonesBelow: offset(7), settledBelow: offset(9) } as const;
    expect(hex(encodePartitionCommand(command))).to.equal(hex(bytes(COMPACT)));
    expect(decodePartitionCommand(bytes(COMPACT))).to.deep.equal(command);
    expect(() => decodePartitionCommand(bytes('01 02 0000000000000006 0000000000000007 0000000000000000'))).to.throw();
    expect(() => decodePartitionCommand(bytes('01 02 0000000000000006 0000000000000006 0000000000000007'))).to.throw();
    expect(() => decodePartitionCommand(bytes('01 02 0000000000000006 0000000000000006'))).to.throw();
  });

  it('reads a state from before there was compaction', () => {
    const old = [...STATE];
    old.splice(5, 7);
    old[0] = 1;
    const state = new PartitionState();
    state.restore(Uint8Array.from(old), logIndex(4));
    expect(state.compaction).to.deep.equal({ to: 0, tombstonesBelow: 0 });
    expect(state.highWatermark).to.equal(6);
  });

  it('refuses commands that are cut short, too long or unknown', () => {
    for (const bad of ['', '01', '01 01 01 00', '02 01 01 0000000000000007', '01 01 03 0000000000000007', '01 01 01 0000000000000007 00']) {
      expect(() => decodePartitionCommand(bytes(bad)), bad).to.throw();
    }
  });

  it('writes and reads a state', () => {
    const log = new LogWriter();
    const state = new PartitionState();
    state.apply(log.batch({ records: 3, timestampMs: 5_000 }));
    log.timeMs = 2_000;
    log.term = term(4);
    state.apply(log.noop());
    const producer = { producerId: 300, producerEpoch: 1 };
    state.apply(log.batch({ records: 2, timestampMs: 6_000, producer: { ...producer, baseSequence: 0 } }));
    state.apply(log.batch({ timestampMs: 7_000, producer: { ...producer, baseSequence: 2 } }));
    state.apply(log.moveLogStart(1));
    state.apply(log.compact(5, 2, 4));
    expect(hex(state.encode())).to.equal(hex(STATE));

    const restored = new PartitionState();
    restored.restore(STATE, logIndex(5));
    expect(hex(restored.encode())).to.equal(hex(STATE));
    expect(restored.highWatermark).to.equal(6);
    expect(restored.logStartOffset).to.equal(1);
  });
});
