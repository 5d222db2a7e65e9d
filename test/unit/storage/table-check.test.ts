import { expect } from 'chai';
import { mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { crc32c } from '../../../src/base/crc32c.js';
import { StoreDamagedError } from '../../../src/ports/log-store.js';
import { checkTables } from '../../../src/storage/table-check.js';
import { rejection } from '../../conformance/broker-store.suite.js';
import {
  databaseOf,
  filesLike,
  logOf,
  removeAll,
  temporaryDirectory,
  writeLog,
} from '../../damage/damage-kit.js';

const FOOTER_BYTES = 48;
/** Handles take fewer bytes than there is room for them. */
const PADDING_FROM = 16;
const STEP = 7_919;

describe('checking tables', function () {
  this.timeout(60_000);
  let directory: string;
  let database: string;
  let table: string;
  let bytes: Uint8Array;

  before(async () => {
    directory = await temporaryDirectory();
    await writeLog(directory, logOf(120, 8_000));
    database = databaseOf(directory);
    table = (await filesLike(database, /\.ldb$/))[0]!;
    bytes = await readFile(table);
  });
  afterEach(() => writeFile(table, bytes));
  after(() => removeAll([directory]));

  const check = (): Promise<void> => checkTables(database, crc32c);

  async function afterFlip(byte: number, bit: number): Promise<Error> {
    const flipped = Uint8Array.from(bytes);
    flipped[byte] = (flipped[byte] ?? 0) ^ (1 << bit);
    await writeFile(table, flipped);
    return await rejection(check());
  }

  it('passes what LevelDB wrote', check);

  it('notices one flipped bit, wherever it is', async () => {
    const end = bytes.length - FOOTER_BYTES;
    for (let at = 0; at < end; at += STEP) {
      const error = await afterFlip(at, at % 8);
      expect(error, `byte ${at}`).to.be.instanceOf(StoreDamagedError);
    }
  });

  it('notices any flipped bit of the end, where the index stands', async () => {
    const end = bytes.length - FOOTER_BYTES;
    for (let at = end - 100; at < end; at += 7) {
      for (let bit = 0; bit < 8; bit += 1) {
        expect(await afterFlip(at, bit), `byte ${at}`).to.be.instanceOf(StoreDamagedError);
      }
    }
  });

  it('says which table, and which block or that none can be read', async () => {
    const { message } = await afterFlip(10, 0);
    expect(message).to.equal(`a block of table ${path.basename(table)} is damaged, at 0`);
    const footer = bytes.length - FOOTER_BYTES;
    for (let at = footer; at < footer + PADDING_FROM / 4; at += 1) {
      expect(await afterFlip(at, 7), `byte ${at}`).to.be.instanceOf(StoreDamagedError);
    }
  });

  it('leaves a table without its end to LevelDB: it may be one that is being written', async () => {
    await truncate(table, bytes.length - 1);
    await check();
    await truncate(table, 10);
    await check();
  });

  it('begins with the newest and ends when it has read enough', async () => {
    await writeFile(
      table,
      Uint8Array.from(bytes, (byte, at) => (at === 10 ? byte ^ 1 : byte)),
    );
    const rested: number[] = [];
    await checkTables(database, crc32c, {
      bytesMin: 1,
      rest: (read) => {
        rested.push(read);
        return Promise.resolve();
      },
    });
    expect(rested).to.have.length(1);
    expect((await rejection(check())).name).to.equal('StoreDamagedError');
  });

  it('knows the newest by its number, also where that has more digits', async () => {
    const later = path.join(database, '1000000.ldb');
    const damaged = Uint8Array.from(bytes, (byte, at) => (at === 10 ? byte ^ 1 : byte));
    await writeFile(later, damaged);
    try {
      const { message } = await rejection(checkTables(database, crc32c, { bytesMin: 1 }));
      expect(message).to.contain('1000000.ldb');
    } finally {
      await rm(later);
    }
  });

  it('leaves a table to LevelDB that the disk does not give', async () => {
    const unreadable = path.join(database, '999998.ldb');
    await mkdir(unreadable);
    try {
      expect((await rejection(readFile(unreadable))).message).to.contain('EISDIR');
      await check();
      await writeFile(
        table,
        Uint8Array.from(bytes, (byte, at) => (at === 10 ? byte ^ 1 : byte)),
      );
      expect((await rejection(check())).name).to.equal('StoreDamagedError');
    } finally {
      await rm(unreadable, { recursive: true });
    }
  });

  it('finds nothing wrong where there is no directory', async () => {
    await checkTables(path.join(directory, 'elsewhere'), crc32c);
  });
});
