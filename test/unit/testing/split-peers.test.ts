import { expect } from 'chai';
import type { Peers } from '../../../src/main/start-broker.js';
import { BrokerError } from '../../../src/model/errors.js';
import { brokerId, METADATA_GROUP } from '../../../src/model/ids.js';
import type {
  PeerCallHandler,
  PeerMessage,
  SnapshotHeader,
  TransportHandlers,
} from '../../../src/ports/transport.js';
import { Network, SplitPeers } from '../../../src/testing/split-peers.js';

const [ONE, TWO, THREE] = [brokerId(1), brokerId(2), brokerId(3)];
const NOTHING = new Uint8Array(0);
const DEADLINE = { deadlineMs: 1_000 };
const MESSAGES = [{ group: METADATA_GROUP }] as unknown as readonly PeerMessage[];
const HEADER = { group: METADATA_GROUP } as unknown as SnapshotHeader;

describe('the wires of a test broker', () => {
  let network: Network;
  let sent: string[];
  let taken: string[];
  let inward: TransportHandlers | undefined;
  let handler: PeerCallHandler | undefined;
  let answer: () => Promise<Uint8Array>;
  let peers: SplitPeers;

  beforeEach(() => {
    network = new Network();
    [sent, taken] = [[], []];
    [inward, handler] = [undefined, undefined];
    answer = () => Promise.resolve(Uint8Array.of(1));
    const inner: Peers = {
      start: (handlers) => (inward = handlers),
      send: (to) => {
        sent.push(`messages to ${to}`);
        return [];
      },
      sendSnapshot: async (to) => void sent.push(`snapshot to ${to}`),
      setPeers: (all) => sent.push(`${all.length} peers`),
      call: (to) => {
        sent.push(`call of ${typeof to === 'number' ? to : to.id}`);
        return answer();
      },
      handle: (_, how) => (handler = how),
    };
    peers = new SplitPeers(inner, ONE, network);
    peers.start({
      messages: (from) => taken.push(`messages of ${from}`),
      snapshot: async (from) => void taken.push(`snapshot of ${from}`),
      connectionLost: (peer) => taken.push(`lost ${peer}`),
    });
    peers.handle('ask', async (from) => {
      taken.push(`call of ${from ?? 'nobody'}`);
      return NOTHING;
    });
  });

  /** Everything that can go between broker 1 and the other, tried once. */
  async function tryAll(other: typeof TWO): Promise<string[]> {
    const codes: string[] = [];
    const note = (error: unknown) => void codes.push(BrokerError.from(error).code);
    expect(peers.send(other, MESSAGES)).to.deep.equal([]);
    await peers.sendSnapshot(other, HEADER, {} as never).catch(note);
    await peers.call(other, 'ask', NOTHING, DEADLINE).catch(note);
    const address = { id: other, host: 'h', port: 1 };
    await peers.call(address, 'ask', NOTHING, DEADLINE).catch(note);
    inward?.messages(other, MESSAGES);
    await inward?.snapshot(other, HEADER, NOTHING).catch(note);
    await handler?.(other, NOTHING).catch(note);
    return codes;
  }

  it('lets everything through, both ways, on one side', async () => {
    network.split([[1, 2], [3]]);
    expect(await tryAll(TWO)).to.deep.equal([]);
    expect(sent).to.deep.equal(['messages to 2', 'snapshot to 2', 'call of 2', 'call of 2']);
    expect(taken).to.deep.equal(['messages of 2', 'snapshot of 2', 'call of 2']);
  });

  it('lets nothing through, either way, over a split, until it is healed', async () => {
    network.split([[1, 2], [3]]);
    expect(await tryAll(THREE)).to.deep.equal(Array(5).fill('BROKER_UNAVAILABLE'));
    expect([sent, taken]).to.deep.equal([[], []]);
    network.heal();
    expect(await tryAll(THREE)).to.deep.equal([]);
    expect([sent.length, taken.length]).to.deep.equal([4, 3]);
  });

  it('leaves open how a call went whose answer a split cut off, or whose failure', async () => {
    for (const how of [async () => NOTHING, async () => Promise.reject(new Error('failed'))]) {
      network.heal();
      answer = () => {
        network.split([[1], [2, 3]]);
        return how();
      };
      const error = await peers.call(TWO, 'ask', NOTHING, DEADLINE).catch((e: unknown) => e);
      expect(BrokerError.from(error).code).to.equal('UNKNOWN_OUTCOME');
    }
  });

  it('hands on what is no matter of sides', async () => {
    network.split([[1], [2, 3]]);
    peers.setPeers([]);
    inward?.connectionLost(TWO);
    await handler?.(undefined, NOTHING);
    expect([sent, taken]).to.deep.equal([['0 peers'], ['lost 2', 'call of nobody']]);
  });
});
