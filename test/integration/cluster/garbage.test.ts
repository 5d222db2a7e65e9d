import net from 'node:net';
import { expect } from 'chai';
import { connectBroker, type BrokerConnection } from '../../../src/rpc/channel.js';
import type { FetchResponse__Output } from '../../../src/rpc/gen/millrace/broker/v1/FetchResponse.js';
import type { ProduceResponse__Output } from '../../../src/rpc/gen/millrace/broker/v1/ProduceResponse.js';
import { answerOf } from '../../support/api.js';
import { startCluster, type TestCluster } from '../../support/cluster.js';
import { closed } from '../../support/closed-socket.js';

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const TOPIC = 'steady';

/** A SETTINGS frame with nothing in it, then frames of every type with nonsense for a payload. */
function nonsenseFrames(): Buffer {
  const parts = [Buffer.from(PREFACE), Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])];
  for (let type = 0; type < 12; type += 1) {
    const payload = Buffer.alloc(40, 0xa5 ^ type);
    parts.push(Buffer.from([0, 0, payload.length, type, 0xff, 0, 0, 0, type]), payload);
  }
  return Buffer.concat(parts);
}

async function throwAt(port: number, bytes: Uint8Array | string): Promise<void> {
  const socket = net.connect({ host: '127.0.0.1', port });
  socket.on('error', () => undefined);
  socket.resume();
  socket.write(bytes);
  socket.setTimeout(100, () => socket.destroy());
  // A reset, as what is thrown may not be read, is an end as well.
  await closed(socket);
}

describe('a cluster under garbage', function () {
  this.timeout(60_000);
  let cluster: TestCluster;
  let connection: BrokerConnection;
  before(async () => {
    cluster = await startCluster(3);
    connection = connectBroker(cluster.bootstrap[0]!);
    await answerOf((done) => connection.cluster.createTopic({ topic: TOPIC }, done));
  });
  after(async () => {
    connection.close();
    await cluster.stop();
  });

  const produce = (text: string): Promise<ProduceResponse__Output> =>
    answerOf((done) =>
      connection.records.produce(
        { topic: TOPIC, allowForward: true, plain: { records: [{ value: Buffer.from(text) }] } },
        done,
      ),
    );

  it('goes on under its leaders, whatever is thrown at any of its ports', async () => {
    const before = await answerOf<{ controllerTerm: number }>((done) =>
      connection.cluster.describeCluster({}, done),
    );
    const noise = Buffer.alloc(200_000);
    for (let i = 0; i < noise.length; i += 1) noise[i] = (i * 2654435761) >>> 24;
    const sent: string[] = [];
    const offsets: number[] = [];
    for (const { ports } of cluster.brokers) {
      for (const port of [ports.clientPort, ports.peerPort, ports.httpPort]) {
        for (const bytes of [noise, nonsenseFrames(), PREFACE, 'GET /x HTTP/1.1\r\n\r\n', '\n']) {
          const text = `record ${sent.length}`;
          sent.push(text);
          const [answer] = await Promise.all([produce(text), throwAt(port, bytes)]);
          expect(answer.error).to.equal(null);
          offsets.push(answer.baseOffset);
        }
      }
    }
    expect(offsets).to.deep.equal(sent.map((_, i) => i));
    const { partitions } = await answerOf<FetchResponse__Output>((done) =>
      connection.records.fetch({ partitions: [{ topic: TOPIC }], allowForward: true }, done),
    );
    const bytes = partitions[0]!.batches.toString('latin1');
    for (const text of sent) expect(bytes).to.contain(text);
    const after = await answerOf<{ controllerTerm: number }>((done) =>
      connection.cluster.describeCluster({}, done),
    );
    expect(after.controllerTerm).to.equal(before.controllerTerm);
    for (const broker of cluster.brokers) expect(broker.health().ready).to.equal(true);
    expect(cluster.logs.filter((line) => line.includes('"level":"error"'))).to.be.empty;
  });
});
