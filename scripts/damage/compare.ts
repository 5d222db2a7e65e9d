import path from 'node:path';

import { raftGroupId } from '../../src/model/ids.js';
import { inspectEntries } from '../../src/storage/inspect.js';

export interface Comparison {
  readonly entries: number;
  /** Last entry of each, in the order of the brokers. */
  readonly lasts: readonly number[];
  /** What differs where all have an entry, or is faulty anywhere. */
  readonly faults: readonly string[];
}

/** Holds the logs of stopped brokers' replicas against each other, entry by entry. */
export async function compareReplicas(
  dir: string,
  brokers: readonly number[],
  group: number,
): Promise<Comparison> {
  const faults: string[] = [];
  const lasts: number[] = [];
  const seen = new Map<number, string>();
  for (const broker of brokers) {
    let last = 0;
    for await (const found of inspectEntries(
      path.join(dir, `data-${broker}`),
      raftGroupId(group),
    )) {
      last = found.index;
      const { entry, payloadCrc, chain, fault } = found;
      if (fault !== undefined) faults.push(`broker ${broker}, entry ${last}: ${fault}`);
      const facts = `term ${entry?.term} ${entry?.kind} crc ${payloadCrc} chain ${chain}`;
      const before = seen.get(last);
      if (before === undefined) seen.set(last, facts);
      else if (before !== facts) {
        faults.push(`broker ${broker}, entry ${last}: ${facts}, elsewhere ${before}`);
      }
    }
    lasts.push(last);
  }
  return { entries: seen.size, lasts, faults };
}
