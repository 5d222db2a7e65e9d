import { setTimeout as pause } from 'node:timers/promises';

import type { MillraceClient } from '../../src/client/index.js';
import { CountingTransport } from './counting-transport.js';
import type { Load } from './load.js';
import { numberOf, NumberedWriters } from './numbered-writers.js';
import type { LoadStage } from './stage.js';

const TOPIC = 'once';
const BATCH_BYTES = 2_048;
/** Answers are lost for this long before connections break: the brokers take what is on its way. */
const SWALLOW_MS = 30;
const BETWEEN_CUTS_MS = 60;
/** Of so many failovers one is a kill, the others hand the leadership over. */
const KILL_EVERY = 5;
const WHOLE_WITHIN_MS = 60_000;
const RETRIES_WITHIN_MS = 1_200_000;
const PROGRESS_EVERY_MS = 10_000;

/** Batches sent again and leaders that go, five batches in flight: each record once and in order. */
export const idempotence: Load = {
  about: 'retries of batches that the broker took, and failovers: each record once, in order',
  sizes: { retries: 10_000, failovers: 100, partitions: 12 },
  short: { retries: 500, failovers: 5, partitions: 6 },
  isProxied: true,
  async run(stage, size) {
    const { findings } = stage;
    const partitions = size('partitions');
    const transport = new CountingTransport();
    // The client's budget of retries is there to be kept by programs; here retries are the point.
    const retryBudget = { burst: 1_000_000, perSecond: 1_000_000 };
    const client = stage.client({ transport, retryBudget });
    await client.admin.createTopic({ topic: TOPIC, partitions, replicationFactor: 3 });
    const writers = new NumberedWriters(client, {
      topic: TOPIC,
      partitions,
      batchBytes: BATCH_BYTES,
    });
    writers.start();
    try {
      const from = performance.now();
      await cutUntil(stage, writers, size('retries'));
      findings.figure('connections cut with batches under way', transport.cuts);
      findings.figure('batches whose answers were lost with them', transport.answersLost);
      findings.figure('of which sent again and recognised', writers.counts.duplicates);
      findings.figure('seconds for that', (performance.now() - from) / 1000);
      findings.needs(
        writers.counts.duplicates >= size('retries'),
        'fewer batches were sent again than asked for',
      );
      const made = await failOver(stage, client, partitions, size('failovers'));
      findings.figure('leaderships handed over', made.transfers);
      findings.figure('leaders killed', made.kills);
      findings.needs(made.transfers + made.kills >= size('failovers'), 'too few failovers');
    } finally {
      await writers.stop();
    }
    const { batches, retried, duplicates } = writers.counts;
    findings.figure('leaderships that acknowledged, of all partitions', writers.epochs.size);
    findings.figure('batches acknowledged', batches);
    findings.figure('of which sent more than once', retried);
    findings.figure('of which the broker had already', duplicates);
    findings.figure('batches of one partition in flight, at most', transport.inflightMax);
    findings.needs(transport.inflightMax === 5, 'never five batches of a partition in flight');
    findings.must(
      writers.failures.length === 0,
      `${writers.failures.length} records failed: ${writers.failures[0] ?? ''}`,
    );
    await judge(stage, client, writers);
  },
};

/** Loses answers of all brokers and cuts their connections, until enough batches were sent again. */
async function cutUntil(
  stage: LoadStage,
  writers: NumberedWriters,
  retries: number,
): Promise<void> {
  const { proxies } = stage;
  const giveUpAt = performance.now() + RETRIES_WITHIN_MS;
  let saidAt = performance.now();
  while (writers.counts.duplicates < retries && performance.now() < giveUpAt) {
    await pause(BETWEEN_CUTS_MS);
    for (const proxy of proxies) proxy.swallow();
    await pause(SWALLOW_MS);
    for (const proxy of proxies) proxy.cut();
    if (performance.now() - saidAt < PROGRESS_EVERY_MS) continue;
    saidAt = performance.now();
    stage.say(`  ... ${writers.counts.duplicates} of ${retries} retries`);
  }
}

/** Leader after leader loses a partition, now by a request and now by its end. */
async function failOver(
  stage: LoadStage,
  client: MillraceClient,
  partitions: number,
  failovers: number,
): Promise<{ readonly transfers: number; readonly kills: number }> {
  const made = { transfers: 0, kills: 0 };
  let saidAt = performance.now();
  for (let turn = 0; made.transfers + made.kills < failovers && turn < failovers * 3; turn += 1) {
    const partition = turn % partitions;
    if (turn % KILL_EVERY === KILL_EVERY - 1) {
      const { partitions: all } = await client.admin.describeTopic(TOPIC);
      const leader = all.find((p) => p.partition === partition)?.leader;
      if (leader === undefined) continue;
      const broker = stage.cluster.broker(leader);
      await broker.kill();
      made.kills += 1;
      await pause(200);
      broker.start();
      await broker.ready();
      const isWhole = await stage.until(async () => await areInSync(client), WHOLE_WITHIN_MS, 50);
      stage.findings.must(isWhole, 'replicas did not catch up within a minute');
    } else {
      await client.admin.transferLeadership({ topic: TOPIC, partition });
      made.transfers += 1;
    }
    if (performance.now() - saidAt < PROGRESS_EVERY_MS) continue;
    saidAt = performance.now();
    stage.say(`  ... ${made.transfers + made.kills} of ${failovers} failovers`);
  }
  return made;
}

async function areInSync(client: MillraceClient): Promise<boolean> {
  const { partitions } = await client.admin.describeTopic(TOPIC);
  return partitions.every((p) => p.leader !== undefined && p.replicas.every((r) => r.inSync));
}

/** Reads everything: number n at offset n, in each partition. */
async function judge(
  stage: LoadStage,
  client: MillraceClient,
  writers: NumberedWriters,
): Promise<void> {
  const { findings } = stage;
  const nextOf = writers.sent.map(() => 0);
  let wrong = 0;
  let first = '';
  const consumer = client.consumer({ topic: TOPIC, from: 'beginning', stopAtEnd: true });
  for await (const { partition, records } of consumer.batches()) {
    for (const { offset, value } of records) {
      const n = numberOf(value);
      const want = nextOf[partition] ?? 0;
      nextOf[partition] = n + 1;
      if (n === want && offset === want) continue;
      wrong += 1;
      if (first === '') first = `number ${n} at offset ${offset} of partition ${partition}`;
    }
  }
  const missing = writers.sent.filter((sent, partition) => nextOf[partition] !== sent).length;
  findings.figure(
    'records read back',
    nextOf.reduce((sum, n) => sum + n, 0),
  );
  findings.must(wrong === 0, `${wrong} records are twice, missing or out of order; ${first}`);
  findings.must(missing === 0, `${missing} partitions do not end with the last record sent`);
}
