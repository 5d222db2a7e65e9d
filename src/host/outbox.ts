import type { BrokerId } from '../model/ids.js';
import type { PeerMessage, Transport } from '../ports/transport.js';

/** One turn's messages by peer: what goes to one peer leaves in one call. */
export class Outbox {
  #byPeer = new Map<BrokerId, PeerMessage[]>();

  add(to: BrokerId, message: PeerMessage): void {
    const messages = this.#byPeer.get(to);
    if (messages === undefined) this.#byPeer.set(to, [message]);
    else messages.push(message);
  }

  /** Returns how many left; `dropped` hears of what the transport did not take. */
  flush(
    transport: Transport,
    dropped: (to: BrokerId, messages: readonly PeerMessage[]) => void,
  ): number {
    if (this.#byPeer.size === 0) return 0;
    const byPeer = this.#byPeer;
    this.#byPeer = new Map();
    let count = 0;
    for (const [to, messages] of byPeer) {
      count += messages.length;
      const refused = transport.send(to, messages);
      if (refused.length > 0) dropped(to, refused);
    }
    return count;
  }
}
