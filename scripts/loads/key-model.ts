import type { ConsumedBatch } from '../../src/client/index.js';
import type { Findings } from './findings.js';

const VERSION_HEADER = 'v';

interface KeyState {
  /** Updates of a key are numbered from 1. */
  readonly version: number;
  readonly isDeleted: boolean;
}

interface Update {
  readonly partition: number;
  readonly key: string;
  readonly value: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

const NOTHING: KeyState = { version: 0, isDeleted: true };

/** What a compacted topic should hold: of every key the update that came last, and what is acknowledged. */
export class KeyModel {
  readonly keys: number;
  readonly partitions: number;
  /** By key: the last update that was handed to the producer. */
  readonly last: KeyState[];
  /** By key: the last version that was acknowledged. */
  readonly acked: number[];

  constructor(keys: number, partitions: number) {
    this.keys = keys;
    this.partitions = partitions;
    this.last = Array.from({ length: keys }, () => NOTHING);
    this.acked = Array.from({ length: keys }, () => 0);
  }

  /** The key's next update, and what to call once it is acknowledged. */
  next(
    key: number,
    isDeleted: boolean,
    valueBytes: number,
  ): { readonly record: Update; readonly acked: () => void } {
    const version = (this.last[key] ?? NOTHING).version + 1;
    this.last[key] = { version, isDeleted };
    return {
      record: {
        partition: key % this.partitions,
        key: String(key),
        value: isDeleted ? undefined : `${version} `.padEnd(valueBytes, 'x'),
        // Whoever deletes says when, too.
        headers: isDeleted ? { [VERSION_HEADER]: String(version) } : {},
      },
      acked: () => (this.acked[key] = Math.max(this.acked[key] ?? 0, version)),
    };
  }
}

/**
 * One reader of the table, that starts anew with every pass. Whatever compaction did meanwhile, offsets
 * only rise, versions of a key only rise, and at the end of a pass every key is at least where it was
 * acknowledged when the pass began.
 */
export class TableReader {
  passes = 0;
  records = 0;
  private readonly model: KeyModel;
  private table = new Map<number, KeyState>();
  private lastOffset: number[] = [];
  private floor: readonly number[] = [];
  private readonly wrong = { offsets: 0, versions: 0, missing: 0, places: 0 };

  constructor(model: KeyModel) {
    this.model = model;
  }

  begin(): void {
    this.table = new Map();
    this.lastOffset = Array.from({ length: this.model.partitions }, () => -1);
    this.floor = [...this.model.acked];
  }

  took({ partition, records }: ConsumedBatch): void {
    for (const { offset, key, value, headers } of records) {
      this.records += 1;
      if (offset <= (this.lastOffset[partition] ?? -1)) this.wrong.offsets += 1;
      this.lastOffset[partition] = offset;
      const number = Number(textOf(key));
      const stamp = value ?? headers.find((h) => h.key === VERSION_HEADER)?.value ?? undefined;
      const version = Number.parseInt(textOf(stamp));
      const before = this.table.get(number) ?? NOTHING;
      if (!(version > before.version)) this.wrong.versions += 1;
      if (number % this.model.partitions !== partition) this.wrong.places += 1;
      this.table.set(number, { version, isDeleted: value === undefined });
    }
  }

  /** The pass reached the end. */
  end(): void {
    this.passes += 1;
    for (const [key, version] of this.floor.entries()) {
      if ((this.table.get(key)?.version ?? 0) < version) this.wrong.missing += 1;
    }
  }

  judge(findings: Findings, who: string): void {
    const { offsets, versions, missing, places } = this.wrong;
    findings.must(offsets === 0, `${who} saw ${offsets} offsets out of order`);
    findings.must(versions === 0, `${who} saw keys go back ${versions} times`);
    findings.must(missing === 0, `${who} missed ${missing} acknowledged updates`);
    findings.must(places === 0, `${who} saw ${places} keys in partitions of others`);
  }

  /** Keys that are not as the model has them. */
  differences(): number {
    let count = 0;
    for (const [key, want] of this.model.last.entries()) {
      const got = this.table.get(key) ?? NOTHING;
      const isSame =
        got.isDeleted === want.isDeleted && (want.isDeleted || got.version === want.version);
      if (!isSame) count += 1;
    }
    return count;
  }
}

function textOf(bytes: Uint8Array | undefined): string {
  return bytes === undefined ? '' : Buffer.from(bytes).toString('latin1');
}
