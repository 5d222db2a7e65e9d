import { crc32c } from '../../src/base/crc32c.js';
import { readBatchHeader } from '../../src/model/record-batch.js';
import type { GroupOracle } from './group-oracle.js';
import type { TableOracle } from './table-oracle.js';
import { must } from './violation.js';

interface KnownBatch {
  readonly checksum: number;
  readonly recordsCount: number;
  readonly leaderEpoch: number;
  readonly producer: string | undefined;
}

/**
 * The one true content of a partition, read off its group's committed log: what acknowledgements,
 * high watermarks and fetched bytes are held against.
 */
export class PartitionOracle {
  private readonly oracle: GroupOracle;
  private readonly batches = new Map<number, KnownBatch>();
  /** Next sequence by producer id and epoch: I24. */
  private readonly sequences = new Map<string, number>();
  /** Of a partition that is compacted: its bytes change, and the rest of it holds. */
  table: TableOracle | undefined;
  private next = 0;
  private scanned = 0;
  /** Highest log start that any replica has applied. */
  private start = 0;
  /** Log starts by the index of the entry they were seen after. */
  private readonly starts: number[] = [];
  private losses = 0;

  constructor(oracle: GroupOracle) {
    this.oracle = oracle;
  }

  /** Offset after the last committed record. */
  get highWatermark(): number {
    this.scan();
    return this.next;
  }

  /** First offset that is kept, as far as anyone has applied. */
  get logStart(): number {
    return this.start;
  }

  /** I7: an acknowledged batch is committed, at the offset and with the bytes it was acked for. */
  acknowledged(batch: Uint8Array, baseOffset: number): void {
    this.scan();
    // The answer may have been on its way while a power cut took what it speaks of.
    if (this.losses > 0) return;
    const known = this.batches.get(baseOffset);
    const facts = { group: this.oracle.group, baseOffset, highWatermark: this.next };
    must(known !== undefined, 'I7', 'acks a batch that is not committed', facts);
    must(known.checksum === contentOf(batch), 'I7', 'acks another batch than is committed', facts);
  }

  /** Something of the batch's producer is committed. */
  knowsProducer(batch: Uint8Array): boolean {
    this.scan();
    const { producerId, producerEpoch } = readBatchHeader(batch);
    return this.sequences.has(`${producerId} ${producerEpoch}`);
  }

  /** I24: the latest leader knows every producer that the log knew when it was asked. */
  forgets(batch: Uint8Array): void {
    this.scan();
    if (this.losses > 0) return;
    const { producerId, producerEpoch } = readBatchHeader(batch);
    must(!this.sequences.has(`${producerId} ${producerEpoch}`), 'I24', 'a producer is forgotten', {
      group: this.oracle.group,
      producerId,
      producerEpoch,
    });
  }

  /** I20: what a fetch shows is committed, and is what was committed. */
  fetched(batches: readonly Uint8Array[], highWatermark: number): void {
    this.scan();
    const facts = { group: this.oracle.group, highWatermark, committed: this.next };
    must(highWatermark <= this.next, 'I20', 'shows a high watermark above the committed', facts);
    for (const batch of batches) {
      const { baseOffset, leaderEpoch, recordsCount } = readBatchHeader(batch);
      const known = this.batches.get(baseOffset);
      const where = { ...facts, baseOffset };
      must(known !== undefined, 'I20', 'shows what is not committed', where);
      if (this.table !== undefined) this.table.holdsBatch(batch, where);
      else must(known.checksum === contentOf(batch), 'I20', 'shows other bytes', where);
      must(known.leaderEpoch === leaderEpoch, 'I20', 'shows another epoch', where);
      must(baseOffset + recordsCount <= highWatermark, 'I20', 'reads above the watermark', where);
    }
  }

  /** I20: a log start rises from entry to entry, stays within the log, and is one on all replicas. */
  starting(broker: number, at: { index: number; logStart: number; end: number }): void {
    // Who has not heard of a loss yet goes on as before.
    if (this.oracle.losses.length > 0) return;
    const { index, logStart, end } = at;
    const facts = { group: this.oracle.group, broker, index, logStart, end };
    const known = this.starts[index];
    must(known === undefined || known === logStart, 'I20', 'two log starts at one entry', {
      ...facts,
      known,
    });
    must(logStart <= end, 'I20', 'a log starts above the high watermark', facts);
    if (known !== undefined) return;
    this.starts[index] = logStart;
    const before = this.starts[index - 1] ?? 0;
    must(logStart >= before, 'I20', 'a log start goes back', { ...facts, before });
    this.start = Math.max(this.start, logStart);
  }

  /** I20: "out of range" is said only of what is not there. */
  refusesAsOutOfRange(offset: number): void {
    this.scan();
    if (this.losses > 0) return;
    must(offset < this.start || offset > this.next, 'I20', 'what is there is out of range', {
      ...{ group: this.oracle.group, offset, start: this.start, committed: this.next },
    });
  }

  /** Takes in what was committed since the last look; I24 and dense offsets on the way. */
  private scan(): void {
    const { committed, losses } = this.oracle;
    if (losses.length > this.losses) {
      this.losses = losses.length;
      this.batches.clear();
      this.sequences.clear();
      this.next = 0;
      this.scanned = 0;
      const kept = Math.min(...losses.map((loss) => loss.kept));
      this.starts.length = Math.min(this.starts.length, kept + 1);
      this.start = this.starts.reduce((highest, start) => Math.max(highest, start), 0);
    }
    for (; this.scanned < committed.length; this.scanned += 1) {
      const entry = committed[this.scanned]?.entry;
      if (entry?.kind !== 'batch') continue;
      const header = readBatchHeader(entry.payload);
      const facts = { group: this.oracle.group, index: entry.index, want: this.next };
      must(header.baseOffset === this.next, 'I20', 'offsets are not dense', {
        ...facts,
        got: header.baseOffset,
      });
      const { recordsCount, leaderEpoch, producerId, producerEpoch, baseSequence } = header;
      let producer: string | undefined;
      if (producerId >= 0) {
        producer = `${producerId} ${producerEpoch}`;
        const want = this.sequences.get(producer) ?? 0;
        must(baseSequence === want, 'I24', 'a sequence is skipped or repeated', {
          ...facts,
          producer,
          baseSequence,
          wantSequence: want,
        });
        this.sequences.set(producer, baseSequence + recordsCount);
      }
      const checksum = contentOf(entry.payload);
      this.batches.set(this.next, { checksum, recordsCount, leaderEpoch, producer });
      this.next += recordsCount;
    }
  }
}

/** Everything that the CRC of a batch covers: all but what the leader stamps. */
function contentOf(batch: Uint8Array): number {
  return crc32c(batch.subarray(21));
}
