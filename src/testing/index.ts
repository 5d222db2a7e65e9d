/**
 * A cluster of real brokers in the process of a test.
 * @module testing
 */

import { planOf, type TestClusterOptions } from './options.js';
import { TestCluster } from './test-cluster.js';

export { BrokerError } from '../model/errors.js';
export { TEST_SETTINGS, type TestBrokerSettings, type TestClusterOptions } from './options.js';
export type { BrokerPorts } from '../main/start-broker.js';
export type { TestClock } from './test-clock.js';
export type { TestClientOptions, TestCluster } from './test-cluster.js';

/**
 * Starts a cluster of real brokers in this process, on free ports of 127.0.0.1, with their disks in
 * memory. Resolves once all of them are ready; rejects, leaving nothing behind, with INVALID_ARGUMENT
 * naming an option that cannot be, or saying what the cluster waited for in vain.
 */
export async function startCluster(options: TestClusterOptions = {}): Promise<TestCluster> {
  return await TestCluster.start(await planOf(options));
}
