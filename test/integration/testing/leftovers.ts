/** A program that uses test clusters, closes them, and must then end by itself. Run by leaks.test.ts. */
import process from 'node:process';
import { startCluster } from '../../../src/testing/index.js';

/** What a socket or timer leaves behind may hang on a race: more than one chance for it. */
const CLUSTERS = 4;

async function useOne(): Promise<void> {
  const cluster = await startCluster();
  await cluster.createTopic('logs', { partitions: 4 });
  const client = cluster.client();
  const producer = client.producer();
  await producer.send({ topic: 'logs', value: 'one' });
  const member = client.groupConsumer({ group: 'readers', topics: ['logs'] });
  for await (const record of member) {
    if (record.offset === 0) break;
  }
  const leader = await cluster.leaderOf('logs');
  await cluster.kill(leader);
  await producer.send({ topic: 'logs', value: 'two' });
  cluster.slowDisk(1, 5);
  await cluster.restart(leader);
  await cluster.kill((leader % 3) + 1);
  cluster.split([1], [2], [3]);
  cluster.clock.hold();
  await cluster.close();
}

for (let i = 0; i < CLUSTERS; i += 1) await useOne();
process.stdout.write('closed\n');
const closedMs = performance.now();
process.on('exit', () => {
  process.stdout.write(`ended after ${Math.round(performance.now() - closedMs)} ms\n`);
});
