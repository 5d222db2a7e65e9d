import type { InvokeLine, Offsets, PollCall, Row } from './line.js';
import type { Operation } from './session.js';
import type { KeyLog, Sends } from './sends.js';
import type { Report } from './verdict.js';
import type { WriteChecks } from './check-writes.js';

/** A stretch of offsets that a reader passed over; judged once all seen offsets are known. */
interface Gap {
  readonly check: 'C06' | 'C08';
  readonly key: KeyLog;
  readonly from: number;
  readonly to: number;
  readonly p: number;
}

interface Reader {
  /** Position by key; absent means unknown. */
  readonly positions: Map<string, number>;
  assigned: Set<string> | undefined;
  rebalancedDuringPoll: boolean;
  /** Highest high watermark by key, by epoch, ascending by epoch. */
  readonly watermarks: Map<string, { readonly epoch: number; hw: number }[]>;
  /** What a `lin` poll in flight must cover, taken when it was invoked. */
  linFloors: Map<KeyLog, { readonly acked: number; readonly epoch: number }> | undefined;
}

/** What reads must keep: C01 and C02 (polls), C05 to C09, C11, C12, C17, C18 (stamped epochs). */
export class PollChecks {
  /** Records that any poll returned. */
  records = 0;
  private readonly sends: Sends;
  private readonly writes: WriteChecks;
  private readonly report: Report;
  private readonly readers = new Map<number, Reader>();
  private readonly gaps: Gap[] = [];

  constructor(sends: Sends, writes: WriteChecks, report: Report) {
    this.sends = sends;
    this.writes = writes;
    this.report = report;
  }

  invoked(line: InvokeLine): void {
    if (line.f !== 'poll') return;
    const reader = this.reader(line.p);
    reader.rebalancedDuringPoll = false;
    reader.linFloors = undefined;
    if (line.lin !== true) return;
    reader.linFloors = new Map();
    for (const key of this.sends.keys.values()) {
      reader.linFloors.set(key, {
        acked: this.writes.ackedBefore(key, line.t),
        epoch: this.writes.epochBefore(key, line.t),
      });
    }
  }

  assigned(p: number, keys: readonly string[], seek: 'begin' | Offsets | undefined): void {
    const reader = this.reader(p);
    const before = reader.assigned ?? new Set<string>();
    for (const key of keys) {
      const to = seek === 'begin' ? 0 : seek?.[key];
      if (to !== undefined) reader.positions.set(key, to - 1);
      else if (!before.has(key)) reader.positions.delete(key);
    }
    reader.assigned = new Set(keys);
  }

  rebalanced(p: number): void {
    this.reader(p).rebalancedDuringPoll = true;
  }

  polled(operation: Operation<PollCall>): void {
    const reader = this.reader(operation.p);
    const { recs = {}, hw = {}, epoch = {} } = operation.answer;
    const epochs = typeof epoch === 'object' ? epoch : {};
    for (const name in recs) {
      const rows = recs[name];
      if (rows === undefined || rows.length === 0) continue;
      const key = this.sends.keyLog(name);
      this.checkStart(reader, key, rows, operation);
      this.checkInside(reader, key, rows, operation.p);
      for (const row of rows) this.checkRow(key, row, operation);
      this.records += rows.length;
      const limit = hw[name];
      const last = rows.reduce((highest, [offset]) => Math.max(highest, offset), -1);
      if (limit !== undefined && last >= limit) {
        this.report.violation('C17', `${name} polled offset ${last} at high watermark ${limit}`);
      }
    }
    for (const name in hw) {
      const limit = hw[name];
      if (limit !== undefined) this.checkWatermark(reader, name, limit, epochs[name] ?? 0);
    }
    this.checkLinearizable(reader, hw, epochs);
  }

  finish(): void {
    const { report } = this;
    for (const id of ['C05', 'C06', 'C07', 'C08', 'C09', 'C11'] as const) report.hasData(id);
    for (const gap of this.gaps) {
      const missed = gap.key.seenIn(gap.from, gap.to);
      if (missed === undefined) continue;
      report.violation(gap.check, `process ${gap.p} passed over ${gap.key.name} offset ${missed}`);
    }
    for (const send of this.sends.all()) {
      if (send.end === 'fail' && send.polledOffset !== undefined) {
        report.violation('C05', `"${send.value}" failed, but stands at ${send.polledOffset}`);
      }
    }
  }

  private reader(p: number): Reader {
    let reader = this.readers.get(p);
    if (reader === undefined) {
      reader = {
        positions: new Map(),
        assigned: undefined,
        rebalancedDuringPoll: false,
        watermarks: new Map(),
        linFloors: undefined,
      };
      this.readers.set(p, reader);
    }
    return reader;
  }

  private checkStart(
    reader: Reader,
    key: KeyLog,
    rows: readonly Row[],
    operation: Operation<PollCall>,
  ): void {
    if (reader.assigned === undefined) return;
    const first = rows[0]?.[0] ?? 0;
    const position = reader.positions.get(key.name);
    if (position !== undefined) {
      if (first <= position) {
        this.report.violation(
          'C07',
          `process ${operation.p} stood at ${key.name} ${position} and polled ${first}`,
        );
      } else if (first > position + 1) {
        this.gaps.push({ check: 'C06', key, from: position + 1, to: first, p: operation.p });
      }
    }
    const last = rows[rows.length - 1]?.[0] ?? first;
    reader.positions.set(key.name, last);
  }

  private checkInside(reader: Reader, key: KeyLog, rows: readonly Row[], p: number): void {
    if (reader.assigned === undefined && reader.rebalancedDuringPoll) return;
    for (let at = 1; at < rows.length; at += 1) {
      const before = rows[at - 1]?.[0] ?? 0;
      const here = rows[at]?.[0] ?? 0;
      if (here <= before) {
        this.report.violation('C09', `process ${p} polled ${key.name} ${here} after ${before}`);
      } else if (here > before + 1) {
        this.gaps.push({ check: 'C08', key, from: before + 1, to: here, p });
      }
    }
  }

  private checkRow(key: KeyLog, row: Row, operation: Operation<PollCall>): void {
    const [offset, value, crc, epoch] = row;
    key.see(offset);
    if (epoch !== undefined) this.stampEpoch(key, offset, epoch);
    if (value === null) {
      this.report.violation('C12', `${key.name} offset ${offset} has no value`);
      return;
    }
    const known = key.valueAt[offset];
    if (known === undefined) key.valueAt[offset] = value;
    else if (known !== value) this.writes.twoValues(key, offset, known, value);
    const send = this.sends.get(value);
    if (send === undefined || send.invokeLine >= operation.endLine) {
      this.report.violation('C11', `${key.name} offset ${offset}: "${value}" was never sent`);
      return;
    }
    if (send.key !== key) {
      this.report.violation(
        'C12',
        `"${value}" was sent to ${send.key.name} and polled from ${key.name}`,
      );
    }
    if (crc !== undefined && send.crc !== undefined) {
      this.report.hasData('C12');
      if (crc !== send.crc) {
        this.report.violation('C12', `"${value}" was sent with crc ${send.crc}, polled ${crc}`);
      }
    }
    const other = send.ackOffset ?? send.polledOffset;
    if (other !== undefined && other !== offset) this.writes.twoOffsets(send, other, offset);
    send.polledOffset ??= offset;
  }

  private stampEpoch(key: KeyLog, offset: number, epoch: number): void {
    const known = key.epochAt[offset];
    if (known === undefined) key.epochAt[offset] = epoch;
    else if (known !== epoch) {
      this.report.violation(
        'C18',
        `${key.name} offset ${offset} is stamped with epochs ${known} and ${epoch}`,
      );
    }
  }

  private checkWatermark(reader: Reader, name: string, hw: number, epoch: number): void {
    this.report.hasData('C17');
    const key = this.sends.keyLog(name);
    key.highestEnd = Math.max(key.highestEnd, hw);
    const levels = reader.watermarks.get(name) ?? [];
    reader.watermarks.set(name, levels);
    for (const level of levels) {
      if (level.epoch <= epoch && level.hw > hw) {
        this.report.violation(
          'C17',
          `${name} high watermark fell from ${level.hw} (epoch ${level.epoch}) to ${hw} (${epoch})`,
        );
      }
    }
    const same = levels.find((level) => level.epoch === epoch);
    if (same === undefined) levels.push({ epoch, hw });
    else same.hw = Math.max(same.hw, hw);
  }

  private checkLinearizable(reader: Reader, hw: Offsets, epochs: Offsets): void {
    const floors = reader.linFloors;
    reader.linFloors = undefined;
    if (floors === undefined) return;
    for (const [key, floor] of floors) {
      const limit = hw[key.name];
      if (limit !== undefined && limit <= floor.acked) {
        this.report.violation(
          'C17',
          `${key.name}: a linearizable poll saw high watermark ${limit} after ${floor.acked} acked`,
        );
      }
      const epoch = epochs[key.name];
      if (epoch !== undefined && epoch < floor.epoch) {
        this.report.violation(
          'C18',
          `${key.name}: a linearizable poll answered in epoch ${epoch} after ${floor.epoch} acked`,
        );
      }
    }
  }
}
