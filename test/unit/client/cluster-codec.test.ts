import { expect } from 'chai';
import { CLUSTER_CALLS } from '../../../src/client/cluster-codec.js';
import type { ClusterMethods } from '../../../src/client/types.js';
import type { UnaryRunner } from '../../../src/client/wire.js';
import { BrokerError } from '../../../src/model/errors.js';
import type { BrokerConnection } from '../../../src/rpc/channel.js';

const TOO_MUCH = 2 ** 32;
const at = { topic: 't', partition: TOO_MUCH };

/** What a request would become on the wire, where a number beyond 32 bits becomes another one. */
async function refusal<M extends keyof ClusterMethods>(
  method: M,
  request: ClusterMethods[M]['request'],
): Promise<unknown> {
  let isSent = false;
  const runner: UnaryRunner = {
    run: async () => {
      isSent = true;
      return await Promise.reject(new Error('sent'));
    },
  };
  const error = await CLUSTER_CALLS[method]
    .call({} as BrokerConnection, request, runner)
    .catch((thrown: unknown) => thrown);
  expect(isSent, `${method} was sent`).to.equal(false);
  return error;
}

describe('requests that do not fit their fields', () => {
  const topicId = 'a'.repeat(32);
  const create = { topic: 't', topicId, timeoutMs: 1 };
  const requests: [string, () => Promise<unknown>][] = [
    ['partitions', () => refusal('createTopic', { ...create, partitions: TOO_MUCH })],
    ['replicationFactor', () => refusal('createTopic', { ...create, replicationFactor: TOO_MUCH })],
    ['partitions', () => refusal('createTopic', { ...create, partitions: -1 })],
    ['partitions', () => refusal('createTopic', { ...create, partitions: 1.5 })],
    ['timeoutMs', () => refusal('createTopic', { ...create, timeoutMs: TOO_MUCH })],
    ['timeoutMs', () => refusal('deleteTopic', { ...create, timeoutMs: TOO_MUCH })],
    ['partition', () => refusal('trimPartition', { ...at, topicId, beforeOffset: 1 })],
    [
      'beforeOffset',
      () => refusal('trimPartition', { topic: 't', topicId, partition: 0, beforeOffset: 2 ** 60 }),
    ],
    [
      'partition',
      () => refusal('listOffsets', { queries: [{ ...at, at: 'latest' }], linearizable: true }),
    ],
    ['partition', () => refusal('commitOffsets', { group: 'g', offsets: [{ ...at, offset: 1 }] })],
    ['partition', () => refusal('fetchOffsets', { group: 'g', partitions: [at] })],
    ['partition', () => refusal('transferLeadership', { partition: at, toBroker: 1 })],
    [
      'toBroker',
      () => refusal('transferLeadership', { partition: undefined, toBroker: TOO_MUCH + 1 }),
    ],
    ['partition', () => refusal('moveReplicas', { ...at, replicas: [1] })],
    [
      'replicas',
      () => refusal('moveReplicas', { topic: 't', partition: 0, replicas: [1, TOO_MUCH + 2] }),
    ],
  ];
  for (const [i, [field, send]] of requests.entries()) {
    it(`are refused, naming ${field} (${i + 1})`, async () => {
      const error = await send();
      expect(error).to.be.instanceOf(BrokerError).with.property('code', 'INVALID_ARGUMENT');
      expect((error as Error).message).to.match(new RegExp(`^${field} must be a whole number`));
    });
  }
});
