import {
  closeSync,
  fdatasync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import process from 'node:process';
import { promisify } from 'node:util';

import { errorCode } from '../../src/storage/durable-files.js';
import { LevelDb } from '../../src/storage/level-db.js';

// Run by fault-shim.test.ts below the library: does what it is told and says how that ended.

export type Deed =
  | { readonly do: 'write'; readonly file: string; readonly at?: number; readonly text: string }
  | { readonly do: 'sync' | 'remove' | 'make-directory' | 'sync-directory'; readonly file: string }
  | { readonly do: 'truncate'; readonly file: string; readonly to: number }
  | { readonly do: 'rename'; readonly file: string; readonly to: string }
  | { readonly do: 'put'; readonly file: string; readonly text: string }
  | { readonly do: 'clocks' };

export type Outcome =
  { readonly error: string } | { readonly wallMs?: number; readonly monotonicMs?: number };

const datasync = promisify(fdatasync);
const open = new Map<string, number>();
const databases = new Map<string, LevelDb>();

function fdOf(file: string): number {
  let fd = open.get(file);
  if (fd === undefined) {
    fd = openSync(file, 'a+');
    closeSync(fd);
    fd = openSync(file, 'r+');
    open.set(file, fd);
  }
  return fd;
}

async function carryOut(deed: Deed): Promise<Outcome> {
  switch (deed.do) {
    case 'write':
      writeSync(fdOf(deed.file), deed.text, deed.at);
      return {};
    case 'sync':
      await datasync(fdOf(deed.file));
      return {};
    case 'truncate':
      ftruncateSync(fdOf(deed.file), deed.to);
      return {};
    case 'remove':
      rmSync(deed.file, { recursive: true });
      return {};
    case 'make-directory':
      mkdirSync(deed.file);
      return {};
    case 'sync-directory': {
      const fd = openSync(deed.file, 'r');
      fsyncSync(fd);
      closeSync(fd);
      return {};
    }
    case 'rename':
      renameSync(deed.file, deed.to);
      return {};
    case 'put': {
      const { file } = deed;
      const options = { createIfMissing: true, writeBufferBytes: 65_536, cacheBytes: 0 };
      const database = databases.get(file) ?? (await LevelDb.open(file, options));
      databases.set(file, database);
      const operation = {
        type: 'put',
        key: Buffer.from('k'),
        value: Buffer.from(deed.text),
      } as const;
      await database.write([operation], { sync: true });
      return {};
    }
    case 'clocks':
      return { wallMs: Date.now(), monotonicMs: performance.now() };
  }
}

process.on('message', ({ id, deed }: { id: number; deed: Deed }) => {
  carryOut(deed)
    .catch((error: unknown) => {
      const { cause } = error as Error;
      return { error: errorCode(error) ?? errorCode(cause) ?? String(error) };
    })
    .then((outcome: Outcome) => process.send?.({ id, outcome }))
    .catch(() => process.exit(1));
});
process.send?.({ id: 0 });
