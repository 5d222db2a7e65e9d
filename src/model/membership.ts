import { ByteReader, ByteWriter, MalformedBytesError } from '../base/bytes.js';
import { brokerId, type BrokerId } from './ids.js';

/**
 * Members of a Raft group (thesis §4; joint consensus as in the Raft paper §6).
 * `votersOutgoing` is empty outside a joint configuration; inside one, elections and commits need
 * a majority of both. `learnersNext` are outgoing voters that become learners on leaving the joint
 * configuration. Every list is sorted and free of repeats.
 */
export interface Membership {
  readonly voters: readonly BrokerId[];
  readonly votersOutgoing: readonly BrokerId[];
  readonly learners: readonly BrokerId[];
  readonly learnersNext: readonly BrokerId[];
  /** The leader leaves the joint configuration by itself once it is committed. */
  readonly autoLeave: boolean;
}

export const NO_MEMBERS: Membership = {
  voters: [],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};

export function membershipOf(
  voters: readonly number[],
  learners: readonly number[] = [],
): Membership {
  const sorted = (ids: readonly number[]): BrokerId[] =>
    [...ids].sort((a, b) => a - b).map(brokerId);
  return { ...NO_MEMBERS, voters: sorted(voters), learners: sorted(learners) };
}

/** Everyone who takes part in any way, ascending. */
export function membersOf(m: Membership): BrokerId[] {
  const all = new Set([...m.voters, ...m.votersOutgoing, ...m.learners, ...m.learnersNext]);
  return [...all].sort((a, b) => a - b);
}

export function encodeMembership(m: Membership): Uint8Array {
  const w = new ByteWriter(64);
  w.u8(1);
  for (const ids of [m.voters, m.votersOutgoing, m.learners, m.learnersNext]) {
    w.uvarint(ids.length);
    for (const id of ids) w.uvarint(id);
  }
  w.bool(m.autoLeave);
  return w.finish();
}

/** Throws MalformedBytesError on anything {@link encodeMembership} did not write. */
export function decodeMembership(bytes: Uint8Array): Membership {
  const r = new ByteReader(bytes);
  const version = r.u8();
  if (version !== 1) throw new MalformedBytesError(`membership version ${version}`);
  const ids = (): BrokerId[] => {
    const count = r.uvarint();
    if (count > r.remaining) throw new MalformedBytesError(`${count} members in too few bytes`);
    return Array.from({ length: count }, () => brokerId(r.uvarint()));
  };
  const m: Membership = {
    voters: ids(),
    votersOutgoing: ids(),
    learners: ids(),
    learnersNext: ids(),
    autoLeave: r.bool(),
  };
  r.end();
  return m;
}
