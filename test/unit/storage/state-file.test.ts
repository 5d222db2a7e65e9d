import { expect } from 'chai';
import type { writeSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { crc32c } from '../../../src/base/crc32c.js';
import { incarnation, raftGroupId, topicId } from '../../../src/model/ids.js';
import { membershipOf } from '../../../src/model/membership.js';
import {
  FREE_FACTS,
  type ReplicaFacts,
  type Watermark,
} from '../../../src/storage/record-codec.js';
import { StateFile } from '../../../src/storage/state-file.js';
import { systemError, withPatchedFs } from '../../support/patched-fs.js';
import { hardState, id, rejection, SPEC } from '../../conformance/broker-store.suite.js';

function factsOf(groupId: number): ReplicaFacts {
  return {
    ...FREE_FACTS,
    use: 'used',
    spec: { ...SPEC, groupId: raftGroupId(groupId) },
    incarnation: incarnation(groupId + 1),
  };
}

function markOf(index: number): Watermark {
  return { generation: 1, incarnation: incarnation(1), last: id(1, index), chain: index * 7 };
}

describe('StateFile', () => {
  let directory: string;
  let file: string;
  const failures: unknown[] = [];
  const open = (mayCreate = false): Promise<StateFile> =>
    StateFile.open(file, { crc32c, mayCreate, onFailure: (error) => failures.push(error) });

  beforeEach(async () => {
    directory = await mkdtemp(path.join(os.tmpdir(), 'millrace-state-'));
    file = path.join(directory, 'state');
    failures.length = 0;
  });
  afterEach(() => rm(directory, { recursive: true }));

  it('is made only where none is expected', async () => {
    expect((await rejection(open())).name).to.equal('StateFileError');
    await (await open(true)).close();
    await (await open()).close();
  });

  it('keeps facts once update() resolved, without being closed', async () => {
    const state = await open(true);
    const record = await state.allocate(factsOf(1));
    await state.update(record, { hardState: hardState(4, 2) });
    const copy = await StateFile.open(file, {
      crc32c,
      mayCreate: false,
      onFailure: () => undefined,
    });
    expect(copy.records()[0]?.facts).to.deep.equal({
      ...factsOf(1),
      hardState: hardState(4, 2),
    });
    await copy.close();
    await state.close();
  });

  it('shows a change at once, and the last one of a turn is what is kept', async () => {
    const state = await open(true);
    const record = await state.allocate(factsOf(1));
    const updates = [5, 6, 7].map((t) => state.update(record, { hardState: hardState(t) }));
    expect(record.facts.hardState.term).to.equal(7);
    await Promise.all(updates);
    await state.close();
    const again = await open();
    expect(again.records()[0]?.facts.hardState).to.deep.equal(hardState(7));
    await again.close();
  });

  it('shares syncs among replicas that wait', async () => {
    const state = await open(true);
    const records = await Promise.all(
      Array.from({ length: 200 }, (_, i) => state.allocate(factsOf(i))),
    );
    let open1 = 0;
    const order: number[] = [];
    await Promise.all(
      records.map(async (record, i) => {
        open1 += 1;
        await state.update(record, { hardState: hardState(i + 1) });
        open1 -= 1;
        order.push(open1);
      }),
    );
    // All were waiting when the first came back: one sync answered them together.
    expect(order[0]).to.equal(199);
    await state.close();
    const again = await open();
    expect(again.records().map((r) => r.facts.hardState.term)).to.deep.equal(
      Array.from({ length: 200 }, (_, i) => i + 1),
    );
    await again.close();
  });

  it('grows, and uses freed records again', async () => {
    const state = await open(true);
    for (let i = 0; i < 130; i += 1) await state.allocate(factsOf(i));
    const { size } = await stat(file);
    for (const record of state.records()) await state.update(record, FREE_FACTS);
    expect(state.records()).to.deep.equal([]);
    for (let i = 0; i < 130; i += 1) await state.allocate(factsOf(1_000 + i));
    expect((await stat(file)).size).to.equal(size);
    await state.close();
    const again = await open();
    expect(again.records()).to.have.length(130);
    await again.close();
  });

  for (const code of ['ENOSPC', 'EDQUOT', 'EFBIG']) {
    it(`takes no more replicas after ${code}, and serves those it has`, async () => {
      const state = await open(true);
      for (let i = 0; i < 64; i += 1) await state.allocate(factsOf(i));
      const [first] = state.records();
      if (first === undefined) throw new Error('there are records');
      let written = 0;
      const full =
        (real: typeof writeSync) =>
        (fd: number, bytes: Uint8Array, ...at: number[]) => {
          written += 1;
          // Cut short in the middle of a record, as a disk does.
          if (written === 3) return real(fd, bytes, at[0] ?? 0, 100, at[2] ?? 0);
          if (written > 3) throw systemError(code);
          return real(fd, bytes, ...(at as [number, number, number]));
        };
      await withPatchedFs({ writeSync: full }, async () => {
        const error = await rejection(state.allocate(factsOf(64)));
        expect(error.name).to.equal('StateFileError');
        expect(error.message).to.contain('no room');
      });
      await state.update(first, { hardState: hardState(9) });
      expect(failures).to.deep.equal([]);
      await state.allocate(factsOf(65));
      await state.close();
      const again = await open();
      expect(again.records()).to.have.length(65);
      expect(again.records()[0]?.facts.hardState.term).to.equal(9);
      await again.close();
    });
  }

  it('ends with any other error of its volume', async () => {
    const state = await open(true);
    for (let i = 0; i < 64; i += 1) await state.allocate(factsOf(i));
    const broken = () => (): never => {
      throw systemError('EIO');
    };
    await withPatchedFs({ writeSync: broken }, () => rejection(state.allocate(factsOf(64))));
    expect(failures).to.have.length(1);
    await state.close();
  });

  it('has watermarks on file as soon as they are written', async () => {
    const state = await open(true);
    const record = await state.allocate(factsOf(1));
    for (const index of [10, 20, 30]) {
      state.writeWatermark(record, markOf(index));
      const copy = await StateFile.open(file, {
        crc32c,
        mayCreate: false,
        onFailure: () => undefined,
      });
      expect(copy.records()[0]?.watermark).to.deep.equal(markOf(index));
      await copy.close();
    }
    await state.lowerWatermark(record, markOf(5));
    await state.close();
    const again = await open();
    expect(again.records()[0]?.watermark).to.deep.equal(markOf(5));
    await again.close();
  });

  it('never puts facts at risk by watermarks: a torn slot falls back to the synced facts', async () => {
    const state = await open(true);
    const record = await state.allocate(factsOf(1));
    await state.update(record, { hardState: hardState(8, 3) });
    for (let i = 1; i < 10; i += 1) state.writeWatermark(record, markOf(i));
    await state.close();
    const bytes = await readFile(file);
    // Both copies of the facts are the same after close: either may be lost.
    for (const slot of [0, 512]) {
      const torn = Buffer.from(bytes);
      torn.fill(0xff, 4096 + slot, 4096 + slot + 300);
      await writeFile(file, torn);
      const again = await open();
      expect(again.records()[0]?.facts.hardState).to.deep.equal(hardState(8, 3));
      expect(again.records()[0]?.watermark).to.deep.equal(markOf(9));
      await again.close();
    }
  });

  it('holds the longest topic name and most replicas there may be', async () => {
    const state = await open(true);
    const big = 2 ** 31 - 1;
    const spec = {
      ...SPEC,
      topicId: topicId('f'.repeat(32)),
      topic: 't'.repeat(249),
      bootstrap: membershipOf(Array.from({ length: 7 }, (_, i) => big - i)),
    };
    await state.allocate({ ...factsOf(big), spec });
    await state.close();
    const again = await open();
    expect(again.records()[0]?.facts.spec).to.deep.equal(spec);
    await again.close();
  });

  it('refuses what does not fit, and changes nothing', async () => {
    const state = await open(true);
    const spec = { ...SPEC, topic: 'x'.repeat(600) };
    await rejection(state.allocate({ ...factsOf(1), spec }));
    expect(state.records()).to.deep.equal([]);
    await state.allocate(factsOf(2));
    await state.close();
  });

  it('fails every call after close', async () => {
    const state = await open(true);
    const record = await state.allocate(factsOf(1));
    await state.close();
    await state.close();
    await rejection(state.update(record, { openingAttempts: 1 }));
    expect(() => state.writeWatermark(record, markOf(1))).to.throw(/closed/);
    expect(failures).to.deep.equal([]);
  });
});
