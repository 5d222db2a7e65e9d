import { expect } from 'chai';
import { ByteReader, ByteWriter } from '../../../src/base/bytes.js';
import { offset } from '../../../src/model/ids.js';
import { ProducerOverlay } from '../../../src/partition/producer-overlay.js';
import { lastSequenceOf, ProducerTable } from '../../../src/partition/producer-state.js';

const LAST = 0x7fff_ffff;
const LIMITS = { producersMax: 3, expiryMs: 10_000 };
const AT = { nowMs: 1_000, keptMs: 500 };

const stamp = (
  producerId: number,
  baseSequence: number,
  recordsCount = 1,
  producerEpoch = 0,
): { producerId: number; producerEpoch: number; baseSequence: number; recordsCount: number } => ({
  producerId,
  producerEpoch,
  baseSequence,
  recordsCount,
});

type Stamp = ReturnType<typeof stamp>;

/** Applies the stamps at offsets 0, 1, 2, … of ten each, at time 0. */
function tableOf(stamps: readonly Stamp[], timeMs = 0): ProducerTable {
  const table = new ProducerTable(LIMITS);
  stamps.forEach((s, i) => table.record(s, offset(i * 10), timeMs));
  return table;
}

function encoded(table: ProducerTable): Uint8Array {
  const w = new ByteWriter();
  table.encode(w);
  return w.finish();
}

describe('idempotent producers', () => {
  const six = [0, 1, 2, 3, 4, 5].map((n) => stamp(7, n));
  const rules: {
    rule: string;
    applied: readonly Stamp[];
    pending?: readonly Stamp[];
    next: Stamp;
    want: Record<string, unknown>;
  }[] = [
    {
      rule: 'an unknown producer starts at 0',
      applied: [],
      next: stamp(7, 0),
      want: { kind: 'accept' },
    },
    {
      rule: 'an unknown producer that does not is unknown',
      applied: [],
      next: stamp(7, 1),
      want: { kind: 'unknownProducer' },
    },
    {
      rule: 'sequences count records',
      applied: [stamp(7, 0, 5)],
      next: stamp(7, 5),
      want: { kind: 'accept' },
    },
    {
      rule: 'a gap names the expected sequence',
      applied: [stamp(7, 0, 5)],
      next: stamp(7, 6),
      want: { kind: 'outOfOrder', expected: 5 },
    },
    {
      rule: 'a repetition has the original offset',
      applied: [stamp(8, 0), stamp(7, 0, 5)],
      next: stamp(7, 0, 5),
      want: { kind: 'duplicate', baseOffset: 10 },
    },
    {
      rule: 'the fifth batch back is still known',
      applied: six,
      next: stamp(7, 1),
      want: { kind: 'duplicate', baseOffset: 10 },
    },
    {
      rule: 'the sixth is not',
      applied: six,
      next: stamp(7, 0),
      want: { kind: 'outOfOrder', expected: 6 },
    },
    {
      rule: 'the same first sequence with another count is no repetition',
      applied: [stamp(7, 0, 5)],
      next: stamp(7, 0, 4),
      want: { kind: 'outOfOrder', expected: 5 },
    },
    {
      rule: 'a lower epoch is fenced',
      applied: [stamp(7, 0, 1, 3)],
      next: stamp(7, 1, 1, 2),
      want: { kind: 'fenced', epoch: 3 },
    },
    {
      rule: 'a new epoch starts at 0',
      applied: [stamp(7, 0, 9, 3)],
      next: stamp(7, 0, 1, 4),
      want: { kind: 'accept' },
    },
    {
      rule: 'a new epoch that does not is unknown',
      applied: [stamp(7, 0, 9, 3)],
      next: stamp(7, 9, 1, 4),
      want: { kind: 'unknownProducer' },
    },
    {
      rule: 'a batch of the epoch before is no repetition in the new one',
      applied: [stamp(7, 0, 5, 0), stamp(7, 0, 1, 1)],
      next: stamp(7, 0, 5, 1),
      want: { kind: 'outOfOrder', expected: 1 },
    },
    {
      rule: 'sequences wrap from 2^31 - 1 to 0',
      applied: [stamp(7, LAST - 1, 2)],
      next: stamp(7, 0),
      want: { kind: 'accept' },
    },
    {
      rule: 'a batch may span the wrap',
      applied: [stamp(7, LAST - 1, 5)],
      next: stamp(7, 3),
      want: { kind: 'accept' },
    },
    {
      rule: 'a repetition across the wrap is known',
      applied: [stamp(7, LAST - 1, 5), stamp(7, 3)],
      next: stamp(7, LAST - 1, 5),
      want: { kind: 'duplicate', baseOffset: 0 },
    },
    {
      rule: 'in flight: the sequence goes on from the pending batch',
      applied: [stamp(7, 0)],
      pending: [stamp(7, 1, 3)],
      next: stamp(7, 4),
      want: { kind: 'accept' },
    },
    {
      rule: 'in flight: a gap counts from the pending batch',
      applied: [stamp(7, 0)],
      pending: [stamp(7, 1, 3)],
      next: stamp(7, 5),
      want: { kind: 'outOfOrder', expected: 4 },
    },
    {
      rule: 'in flight: a repetition waits for the original',
      applied: [stamp(7, 0)],
      pending: [stamp(7, 1, 3), stamp(7, 4)],
      next: stamp(7, 1, 3),
      want: { kind: 'inFlight', token: 'p0' },
    },
    {
      rule: 'in flight: an unknown producer is known by its pending batch',
      applied: [],
      pending: [stamp(7, 0)],
      next: stamp(7, 0),
      want: { kind: 'inFlight', token: 'p0' },
    },
    {
      rule: 'in flight: what is applied is known behind what is pending',
      applied: [stamp(7, 0), stamp(7, 1)],
      pending: [stamp(7, 2), stamp(7, 3), stamp(7, 4)],
      next: stamp(7, 1),
      want: { kind: 'duplicate', baseOffset: 10 },
    },
    {
      rule: 'in flight: no more than five are known altogether',
      applied: [stamp(7, 0), stamp(7, 1)],
      pending: [2, 3, 4, 5].map((n) => stamp(7, n)),
      next: stamp(7, 0),
      want: { kind: 'outOfOrder', expected: 6 },
    },
    {
      rule: 'in flight: the sixth batch back is not known either',
      applied: [],
      pending: six,
      next: stamp(7, 0),
      want: { kind: 'outOfOrder', expected: 6 },
    },
    {
      rule: 'in flight: the fifth batch back is',
      applied: [],
      pending: six,
      next: stamp(7, 1),
      want: { kind: 'inFlight', token: 'p1' },
    },
    {
      rule: 'a batch that ends where another did, but began later, is no repetition',
      applied: [stamp(7, 0, 5)],
      next: stamp(7, 3, 2),
      want: { kind: 'outOfOrder', expected: 5 },
    },
    {
      rule: 'in flight: a new epoch fences the one before at once',
      applied: [stamp(7, 0)],
      pending: [stamp(7, 1), stamp(7, 0, 1, 1)],
      next: stamp(7, 2),
      want: { kind: 'fenced', epoch: 1 },
    },
    {
      rule: 'in flight: the new epoch does not match batches of the one before',
      applied: [],
      pending: [stamp(7, 0, 5), stamp(7, 0, 1, 1)],
      next: stamp(7, 0, 5, 1),
      want: { kind: 'outOfOrder', expected: 1 },
    },
  ];
  for (const { rule, applied, pending, next, want } of rules) {
    it(rule, () => {
      const table = tableOf(applied);
      const overlay = new ProducerOverlay<string>();
      pending?.forEach((s, i) => overlay.append(s, `p${i}`));
      const { batch, ...verdict } = { batch: undefined, ...overlay.check(table, next, AT) };
      const got = batch === undefined ? verdict : { ...verdict, baseOffset: batch.baseOffset };
      expect(got).to.deep.equal(want);
    });
  }

  it('forgets pending batches when leadership ends', () => {
    const table = tableOf([stamp(7, 0)]);
    const overlay = new ProducerOverlay<string>();
    overlay.append(stamp(7, 1), 'a');
    overlay.clear();
    expect(overlay.check(table, stamp(7, 1), AT)).to.deep.equal({ kind: 'accept' });
  });

  it('hands a pending batch over to the table when it is applied', () => {
    const table = tableOf([stamp(7, 0)]);
    const overlay = new ProducerOverlay<string>();
    overlay.append(stamp(7, 1), 'a');
    overlay.append(stamp(7, 2), 'b');
    table.record(stamp(7, 1), offset(10), 0);
    overlay.applied(7, 'a');
    expect(overlay.check(table, stamp(7, 1), AT).kind).to.equal('duplicate');
    expect(overlay.check(table, stamp(7, 2), AT)).to.deep.equal({ kind: 'inFlight', token: 'b' });
    expect(overlay.check(table, stamp(7, 3), AT).kind).to.equal('accept');
    expect(() => overlay.applied(7, 'a')).to.throw(/order of their append/);
  });

  it('knows no more of a producer than the table once nothing of it is pending', () => {
    const table = tableOf([stamp(7, 0)]);
    const overlay = new ProducerOverlay<string>();
    overlay.append(stamp(7, 1), 'a');
    table.record(stamp(7, 1), offset(10), 0);
    overlay.applied(7, 'a');
    expect(overlay.check(table, stamp(7, 2), AT).kind).to.equal('accept');
    table.expire(20_000);
    expect(overlay.check(table, stamp(7, 2), AT).kind).to.equal('unknownProducer');
  });

  it('asserts at apply what the leader validated', () => {
    const table = tableOf([stamp(7, 0), stamp(7, 1, 1)]);
    expect(() => table.record(stamp(7, 3), offset(50), 0)).to.throw(/sequence gap/);
    table.record(stamp(7, 0, 1, 1), offset(50), 0);
    expect(() => table.record(stamp(7, 2), offset(60), 0)).to.throw(/epoch falls/);
  });

  describe('limits', () => {
    const full = (): ProducerTable => {
      const table = new ProducerTable(LIMITS);
      [0, 400, 900].forEach((timeMs, i) => table.record(stamp(i, 0), offset(i), timeMs));
      return table;
    };
    const newcomer = stamp(99, 0);

    it('refuses a new producer while all are younger than the delivery timeout', () => {
      const overlay = new ProducerOverlay<string>();
      const verdict = overlay.check(full(), newcomer, { nowMs: 500, keptMs: 500 });
      expect(verdict.kind).to.equal('limit');
    });

    it('makes room by forgetting the longest unused, no younger than the delivery timeout', () => {
      const table = full();
      const overlay = new ProducerOverlay<string>();
      expect(overlay.check(table, newcomer, { nowMs: 501, keptMs: 500 }).kind).to.equal('accept');
      table.record(newcomer, offset(10), 501);
      expect([...table.byAge()].map((p) => p.producerId)).to.deep.equal([1, 2, 99]);
    });

    it('counts producers that are only pending', () => {
      const overlay = new ProducerOverlay<string>();
      overlay.append(stamp(50, 0), 'a');
      const at = (nowMs: number): string =>
        overlay.check(full(), newcomer, { nowMs, keptMs: 500 }).kind;
      expect(at(501)).to.equal('limit');
      expect(at(901)).to.equal('accept');
    });

    it('does not give the place of one old producer to two new ones', () => {
      const overlay = new ProducerOverlay<string>();
      const check = (id: number): string =>
        overlay.check(full(), stamp(id, 0), { nowMs: 9_000, keptMs: 500 }).kind;
      for (const id of [50, 51, 52]) {
        expect(check(id)).to.equal('accept');
        overlay.append(stamp(id, 0), 'a');
      }
      expect(check(53)).to.equal('limit');
    });

    it('lets a producer go on whose first batch it took, whatever is kept by now', () => {
      const overlay = new ProducerOverlay<string>();
      expect(overlay.check(full(), newcomer, { nowMs: 501, keptMs: 500 }).kind).to.equal('accept');
      overlay.append(newcomer, 'a');
      const later = { nowMs: 501, keptMs: 100_000 };
      expect(overlay.check(full(), stamp(99, 1), later).kind).to.equal('accept');
    });

    it('does not forget an old producer that has a batch in flight', () => {
      const overlay = new ProducerOverlay<string>();
      overlay.append(stamp(0, 1), 'a');
      const at = (nowMs: number): string =>
        overlay.check(full(), newcomer, { nowMs, keptMs: 500 }).kind;
      expect(at(501)).to.equal('limit');
      expect(at(901)).to.equal('accept');
    });

    it('takes a known producer back only with room, where its place was counted on for another', () => {
      const overlay = new ProducerOverlay<string>();
      const table = full();
      const at = (nowMs: number): string =>
        overlay.check(table, stamp(0, 1), { nowMs, keptMs: 500 }).kind;
      expect(at(501)).to.equal('accept');
      expect(overlay.check(table, newcomer, { nowMs: 501, keptMs: 500 }).kind).to.equal('accept');
      overlay.append(newcomer, 'a');
      expect(at(501)).to.equal('limit');
      expect(at(901)).to.equal('accept');
      const young = overlay.check(table, stamp(2, 1), { nowMs: 501, keptMs: 500 });
      expect(young.kind).to.equal('accept');
    });

    it('expires what is unused for longer than the expiry, by the time in the log', () => {
      const table = full();
      table.expire(10_000);
      expect(table.size).to.equal(3);
      table.expire(10_400);
      expect([...table.byAge()].map((p) => p.producerId)).to.deep.equal([1, 2]);
      table.expire(20_000);
      expect(table.size).to.equal(0);
    });

    it('takes a batch whose producer expired between validation and apply', () => {
      const table = tableOf([stamp(7, 0)]);
      table.expire(20_000);
      table.record(stamp(7, 1), offset(10), 20_000);
      expect(table.get(7)?.batches.map((b) => b.baseSequence)).to.deep.equal([1]);
    });
  });

  it('keeps its order of use through encoding', () => {
    const table = tableOf([stamp(9, 0), stamp(3, LAST, 2), stamp(5, 0), stamp(9, 1)]);
    const bytes = encoded(table);
    const restored = ProducerTable.decode(new ByteReader(bytes), LIMITS);
    expect(encoded(restored)).to.deep.equal(bytes);
    expect([...restored.byAge()].map((p) => p.producerId)).to.deep.equal([3, 5, 9]);
    expect(restored.get(3)?.batches[0]?.lastSequence).to.equal(0);
  });

  it('is not restored from bytes that no table writes', () => {
    const decode = (...values: number[]): unknown => {
      const w = new ByteWriter();
      for (const value of values) w.uvarint(value);
      return ProducerTable.decode(new ByteReader(w.finish()), LIMITS);
    };
    const batch = [0, 0, 5, 6];
    const five = [batch, batch, batch, batch, batch].flat();
    expect(() => decode(1, 7, 0, 5, ...five)).to.not.throw();
    expect(() => decode(1, 7, 0, 6, ...five, ...batch)).to.throw(/6 batches/);
    expect(() => decode(1, 7, 0, 0)).to.throw(/0 batches/);
    expect(() => decode(2, 7, 0, 1, ...batch, 7, 0, 1, ...batch)).to.throw(/producer 7 twice/);
  });

  it('remembers five batches of a producer and no more', () => {
    const table = tableOf([0, 1, 2, 3, 4, 5].map((n) => stamp(7, n)));
    expect(table.get(7)?.batches.map((b) => b.baseOffset)).to.deep.equal([10, 20, 30, 40, 50]);
    expect([table.has(7), table.has(8), table.producersMax]).to.deep.equal([true, false, 3]);
  });

  it('computes the last sequence across the wrap', () => {
    expect(lastSequenceOf(stamp(1, LAST, 1))).to.equal(LAST);
    expect(lastSequenceOf(stamp(1, LAST, 2))).to.equal(0);
    expect(lastSequenceOf(stamp(1, LAST - 1, 5))).to.equal(2);
  });
});
