import process from 'node:process';

import { deferred, type Deferred } from '../../../src/base/deferred.js';
import { fastCrc32c } from '../../../src/main/native-crc32c.js';
import { textOf } from './judge.js';
import { NO_TELEMETRY } from './life.js';
import { WriteCase, type WriteVerdict } from './write-case.js';

/*
 * A process that writes to a store until its disk fails: started with a library that fails syncs, or on
 * a volume that gets full. Whoever started it says when the disk is well again.
 */

export type ToWriter =
  | { readonly kind: 'case'; readonly directory: string; readonly seed: number }
  | { readonly kind: 'calm' }
  /** Goes on with the last case. */
  | { readonly kind: 'writeFor'; readonly ms: number };

export type FromWriter =
  | { readonly kind: 'failed' }
  | { readonly kind: 'verdict'; readonly verdict: WriteVerdict }
  | { readonly kind: 'written'; readonly writes: number; readonly wrong: string };

const crc32c = await fastCrc32c(NO_TELEMETRY.log);
const tell = (message: FromWriter): void => {
  process.send?.(message);
};
let current: WriteCase | undefined;
let calmed: Deferred<undefined> = deferred();

async function answer(message: ToWriter): Promise<void> {
  if (message.kind === 'calm') {
    calmed.resolve(undefined);
  } else if (message.kind === 'case') {
    calmed = deferred();
    current = new WriteCase(message.directory, message.seed, crc32c);
    const verdict = await current.run(async () => {
      tell({ kind: 'failed' });
      await calmed.promise;
    });
    tell({ kind: 'verdict', verdict });
  } else {
    const failed = (error: unknown): { writes: number; wrong: string } => ({
      writes: 0,
      wrong: textOf(error),
    });
    const written = (await current?.writeFor(message.ms).catch(failed)) ?? failed('no case yet');
    tell({ kind: 'written', ...written });
  }
}

process.on('message', (message: ToWriter) => void answer(message));
process.on('disconnect', () => process.exit(0));
