/**
 * When a replica counts an entry as its own. `fsync`: once a disk holds it. `unsafe-quorum-memory`: once
 * the operating system has it, which survives the death of the process, but not of the machine; a disk
 * follows within the bounds.
 */
export type Durability =
  | { readonly kind: 'fsync' }
  | {
      readonly kind: 'unsafe-quorum-memory';
      /** Nothing more is accepted while anything older than this waits for the disk. */
      readonly flushMs: number;
      /** At most this much waits for the disk, or one larger write alone. */
      readonly flushBytes: number;
    };

export const FSYNC: Durability = { kind: 'fsync' };

export const DURABILITY_KINDS = ['fsync', 'unsafe-quorum-memory'] as const;

export function sameDurability(a: Durability, b: Durability): boolean {
  if (a.kind === 'fsync' || b.kind === 'fsync') return a.kind === b.kind;
  return a.flushMs === b.flushMs && a.flushBytes === b.flushBytes;
}

/** What the mode promises about acknowledged records and what not, for whoever describes a topic. */
export function durabilityPromise(durability: Durability): string {
  if (durability.kind === 'fsync') {
    return (
      'A record acknowledged with acks=all is on the disks of a majority of the replicas. It survives ' +
      'the death of every process and a power cut of every machine, as long as a majority of the disks ' +
      'keeps what it has synced.'
    );
  }
  const { flushMs, flushBytes } = durability;
  return (
    'UNSAFE: a record acknowledged with acks=all is in the memory of a majority of the machines, and ' +
    `not yet on their disks. It survives the death of every broker process, and a power cut of fewer ` +
    'than a majority of the machines that hold the partition. If a majority of them loses power or ' +
    `crashes at once, acknowledged records of up to the last ${flushMs} ms (at most ${flushBytes} bytes a ` +
    'partition and machine) may be lost: the partition then waits for all its replicas, goes on from ' +
    'the longest log that is left, and readers that were ahead of it get an explicit truncation error.'
  );
}
