import { membershipOf } from '../../src/model/membership.js';
import { term } from '../../src/model/ids.js';
import type { RaftStatus } from '../../src/raft/io.js';
import type { Message } from '../../src/raft/message.js';
import { base, entry, heartbeat } from './raft-messages.js';
import { RaftNet, type InFlight } from './raft-net.js';

/** What one member says of itself. */
export function status(net: RaftNet, member: number): RaftStatus {
  return net.node(member).status();
}

/** Hands a message over as if its sender had sent it. */
export function give(net: RaftNet, message: Message): void {
  net.step(message.to, { kind: 'message', message });
}

/** Everything the member sends now. */
export function sent(net: RaftNet, member: number): InFlight[] {
  net.drop();
  while (net.run(member));
  return net.drop();
}

/** 1, a follower of three, in term `t` under `leader`, that holds these entries. */
export function follower(
  entries: readonly string[],
  options: { t: number; leader: number },
): RaftNet {
  const net = new RaftNet();
  net.add(1, membershipOf([1, 2, 3]), (disk) => {
    disk.entries = entries.map((at) => entry(at, at));
    disk.hardState = { term: term(options.t), votedFor: undefined, needsRepair: false };
  });
  give(net, heartbeat(base(options.leader, 1, options.t)));
  net.run(1);
  net.drop();
  return net;
}
