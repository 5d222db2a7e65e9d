/**
 * The process of a producer that will be killed: sends one batch after another under an identity and from a
 * sequence that it is given, and tells of each before it is sent and once it is answered. Forked by
 * retries.ts with its settings as the only argument.
 */
import process from 'node:process';

import { connectBroker } from '../../src/rpc/channel.js';
import type { DoomedSettings, FromDoomed } from './retries.js';
import { onceProduced, stampedBatch } from './retries.js';

const settings = JSON.parse(process.argv[2] ?? '{}') as DoomedSettings;
const tell = (message: FromDoomed): void => void process.send?.(message);
let goOn: () => void = () => undefined;
process.on('message', () => goOn());
process.on('disconnect', () => process.exit(0));

const { records } = connectBroker(settings.address);
for (let seq = 0; ; seq += 1) {
  const mayGo = new Promise<void>((resolve) => (goOn = resolve));
  const v = `${settings.prefix}-${seq}`;
  tell({ kind: 'sending', seq, v });
  await mayGo;
  const answer = await onceProduced(records, settings, stampedBatch(settings, seq, v));
  // Whoever made this process repeats what it could not finish.
  if (answer === undefined) break;
  tell({ kind: 'answered', seq, answer });
}
process.disconnect();
