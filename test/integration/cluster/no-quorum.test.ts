import { expect } from 'chai';
import { GrpcTransport } from '../../../src/client/grpc-transport.js';
import { BrokerError } from '../../../src/model/errors.js';
import { startCluster, type TestCluster } from '../../support/cluster.js';

describe('a cluster without a majority', () => {
  let cluster: TestCluster;
  before(async () => {
    cluster = await startCluster(3);
  });
  after(() => cluster.stop());

  it('says so to whoever asks, before the client gives up', async () => {
    await cluster.brokers[1]!.stop();
    await cluster.brokers[2]!.stop();
    const transport = new GrpcTransport();
    const to = { host: '127.0.0.1', port: cluster.brokers[0]!.ports.clientPort };
    const ask = async (): Promise<BrokerError> => {
      try {
        await transport.call(
          to,
          'getMetadata',
          { topics: [], linearizable: true },
          { deadlineMs: 4_000 },
        );
      } catch (error) {
        return BrokerError.from(error);
      }
      throw new Error('it was answered');
    };
    try {
      const error = await ask();
      expect(error.code).to.equal('NO_QUORUM');
      expect(error.message).to.match(/within \d+ ms; does a majority of its voters run\?/);
    } finally {
      transport.close();
    }
  });
});
