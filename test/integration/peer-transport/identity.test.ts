import { expect } from 'chai';
import { BrokerError } from '../../../src/model/errors.js';
import { brokerId } from '../../../src/model/ids.js';
import { LIMITS } from '../../../src/model/limits.js';
import { eventually } from '../../support/eventually.js';
import {
  connectedPair,
  heartbeat,
  listeningPeer,
  startPeer,
  type TestPeer,
} from '../../support/peers.js';

/** Of calls that are answered: longer than any machine takes. */
const DEADLINE = { deadlineMs: 30_000 };
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (from: Uint8Array): string => new TextDecoder().decode(from);

async function failureOf(outcome: Promise<unknown>): Promise<BrokerError> {
  try {
    await outcome;
  } catch (error) {
    expect(error).to.be.instanceOf(BrokerError);
    return error as BrokerError;
  }
  throw new Error('did not fail');
}

describe('peer transport: who may speak', () => {
  let open: TestPeer[] = [];
  afterEach(async () => {
    await Promise.all(open.map((peer) => peer.transport.stop()));
    open = [];
  });
  const keep = <T extends readonly TestPeer[]>(...peers: T): T => {
    open.push(...peers);
    return peers;
  };

  it('refuses the streams of another cluster, and says so', async () => {
    const [a, b] = keep(
      await listeningPeer(1, { clusterId: 'c1' }),
      await listeningPeer(2, { clusterId: 'c2' }),
    );
    a.transport.setPeers([b.address]);
    startPeer(a);
    startPeer(b);
    await eventually('refusal logged', () =>
      a.telemetry.lines.some(
        ({ level, fields }) => level === 'warn' && fields['code'] === 'WRONG_CLUSTER',
      ),
    );
    expect(a.transport.send(b.address.id, [heartbeat(1, 2)])).to.have.length(1);
    expect(b.heard).to.be.empty;
  });

  it('refuses streams that are meant for another broker, and those of its own id', async () => {
    const [a, b] = keep(await listeningPeer(1), await listeningPeer(2));
    a.transport.setPeers([{ ...b.address, id: brokerId(3) }]);
    startPeer(a);
    startPeer(b);
    const sawCode = (peer: TestPeer, code: string): boolean =>
      peer.telemetry.lines.some(({ fields }) => fields['code'] === code);
    await eventually('refusal logged', () => sawCode(a, 'WRONG_CLUSTER'));
    const [twin] = keep(await listeningPeer(2));
    // The twin believes that broker 1 lives at b's address, where broker 2 answers to its name.
    twin.transport.setPeers([{ ...b.address, id: brokerId(1) }]);
    startPeer(twin);
    await eventually('refusal logged', () => sawCode(twin, 'WRONG_CLUSTER'));
    expect(b.heard).to.be.empty;
  });

  it('carries calls and their answers', async () => {
    const [a, b] = keep(...(await connectedPair()));
    b.transport.handle('echo', async (from, body) => bytes(`${from ?? 0}:${text(body)}`));
    expect(text(await a.transport.call(b.address.id, 'echo', bytes('hi'), DEADLINE))).to.equal(
      '1:hi',
    );
    expect(text(await a.transport.call(b.address, 'echo', bytes('yo'), DEADLINE))).to.equal('1:yo');
    expect(text(await b.transport.call(b.address.id, 'echo', bytes('me'), DEADLINE))).to.equal(
      '2:me',
    );
    const large = new Uint8Array(9 * 1024 * 1024).fill(65);
    expect((await a.transport.call(b.address.id, 'echo', large, DEADLINE)).length).to.equal(
      large.length + 2,
    );
  });

  it('carries errors with their facts', async () => {
    const [a, b] = keep(...(await connectedPair()));
    const leader = { brokerId: 3, host: 'h', port: 7403, term: 12 };
    b.transport.handle('fail', async () => {
      throw new BrokerError('NOT_LEADER', 'ask another', { leader });
    });
    b.transport.handle('bug', async () => {
      throw new TypeError('x');
    });
    const failure = await failureOf(
      a.transport.call(b.address.id, 'fail', new Uint8Array(0), DEADLINE),
    );
    expect([failure.code, failure.message]).to.deep.equal(['NOT_LEADER', 'ask another']);
    expect(failure.facts.leader).to.deep.equal(leader);
    const bug = await failureOf(a.transport.call(b.address.id, 'bug', new Uint8Array(0), DEADLINE));
    expect(bug.code).to.equal('INTERNAL');
    const none = await failureOf(a.transport.call(b.address.id, 'no', new Uint8Array(0), DEADLINE));
    expect(none.code).to.equal('UNSUPPORTED');
  });

  it('lets only methods of formation through before there is a cluster', async () => {
    let cluster = '';
    const [a, b] = keep(
      await listeningPeer(1, { clusterId: 'c9' }),
      await listeningPeer(2, { clusterId: () => cluster }),
    );
    for (const method of ['formation.hello', 'hello']) {
      b.transport.handle(method, async () => bytes('ok'));
    }
    const call = (method: string, id: number): Promise<Uint8Array> =>
      a.transport.call({ ...b.address, id: brokerId(id) }, method, new Uint8Array(0), DEADLINE);
    expect(text(await call('formation.hello', 2))).to.equal('ok');
    expect(text(await call('formation.hello', 0)), 'a seed with no id').to.equal('ok');
    expect((await failureOf(call('hello', 2))).code).to.equal('BROKER_UNAVAILABLE');
    cluster = 'other';
    const stranger = await failureOf(call('hello', 2));
    expect([stranger.code, stranger.message]).to.deep.equal([
      'WRONG_CLUSTER',
      'broker 2 is of cluster other; this data directory is of cluster c9',
    ]);
    expect((await failureOf(call('formation.hello', 7))).code).to.equal('WRONG_CLUSTER');
    cluster = 'c9';
    expect(text(await call('hello', 2))).to.equal('ok');
  });

  it('tells a request that never left from one whose outcome is unknown', async () => {
    const [a, b] = keep(...(await connectedPair()));
    const nothing = new Uint8Array(0);
    const unknown = await failureOf(a.transport.call(brokerId(9), 'echo', nothing, DEADLINE));
    expect(unknown.code).to.equal('BROKER_UNAVAILABLE');
    let asked = 0;
    b.transport.handle('hang', async () => {
      asked += 1;
      return new Promise<never>(() => undefined);
    });
    const hanging = failureOf(a.transport.call(b.address.id, 'hang', nothing, DEADLINE));
    await eventually('asked', () => asked === 1);
    await b.transport.stop();
    expect((await hanging).code).to.equal('UNKNOWN_OUTCOME');
    const refused = await failureOf(a.transport.call(b.address.id, 'hang', nothing, DEADLINE));
    expect(refused.code).to.equal('BROKER_UNAVAILABLE');
  });

  it('serves what runs the cluster while fetches take every stream they have', async () => {
    const [a, b] = keep(...(await connectedPair()));
    let waiting = 0;
    b.transport.handle('partition.fetch', () => {
      waiting += 1;
      return new Promise(() => undefined);
    });
    b.transport.handle('controller.heartbeat', async () => bytes('known'));
    const nothing = new Uint8Array(0);
    const ended: Promise<unknown>[] = [];
    for (let i = 0; i < LIMITS.streamsPerConnectionMax + 10; i += 1) {
      const fetch = a.transport.call(b.address.id, 'partition.fetch', nothing, {
        deadlineMs: 60_000,
      });
      ended.push(fetch.catch(() => undefined));
    }
    await eventually('all streams are taken', () => waiting === LIMITS.streamsPerConnectionMax);
    const beat = await a.transport.call(b.address.id, 'controller.heartbeat', nothing, {
      deadlineMs: 20_000,
    });
    expect(text(beat)).to.equal('known');
    await b.transport.stop();
    await Promise.all(ended);
  });

  it('ends a call at its deadline', async () => {
    const [a, b] = keep(...(await connectedPair()));
    b.transport.handle('hang', async () => new Promise<never>(() => undefined));
    const call = a.transport.call(b.address.id, 'hang', new Uint8Array(0), { deadlineMs: 50 });
    expect((await failureOf(call)).code).to.equal('DEADLINE_EXCEEDED');
  });
});
