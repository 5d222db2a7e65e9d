import { setTimeout as pause } from 'node:timers/promises';

import type { MillraceClient } from '../../src/client/index.js';
import { LIMITS } from '../../src/model/limits.js';
import { IdleStreams, LongPolls } from './idle-readers.js';
import type { Load } from './load.js';
import { LogEnds } from './log-ends.js';
import { manyProducers } from './many-producers.js';
import type { LoadStage } from './stage.js';

const TOPIC = 'crowded';
const PARTITIONS = 24;
const PROGRESS_EVERY_MS = 5_000;
const WOKEN_WITHIN_MS = 60_000;

/** Memory of brokers that know many producers, and of such that many idle readers are connected to. */
export const producersIdle: Load = {
  about: 'memory of brokers with many producer ids and many idle readers, streams and long polls',
  // Idle streams are told that nothing is new every waitMs; the client library asks for 1,000.
  sizes: {
    producers: 100_000,
    streams: 10_000,
    polls: 10_000,
    waitMs: 1_000,
    idleSeconds: 10,
    quietSeconds: 3,
  },
  short: { producers: 5_000, streams: 500, polls: 500 },
  async run(stage, size) {
    const { findings } = stage;
    const quietMs = size('quietSeconds') * 1000;
    findings.figure('limit of producer ids of a partition', LIMITS.producersPerPartitionMax);
    findings.figure('limit of streams of a connection', LIMITS.streamsPerConnectionMax);
    findings.figure('limit of waiting readers of a broker', LIMITS.fetchWaitersMax);
    const client = stage.client();
    await client.admin.createTopic({ topic: TOPIC, partitions: PARTITIONS, replicationFactor: 3 });
    await pause(quietMs);
    stage.noteMemory('before');

    await stage.booked('producers', async () => {
      await manyProducers(stage, await LogEnds.of(stage, client, TOPIC), size('producers'));
    });
    await pause(quietMs);
    stage.noteMemory(`with ${size('producers')} producer ids`);

    const ends = await LogEnds.of(stage, client, TOPIC);
    const streams = new IdleStreams(ends, size('waitMs'));
    stage.onEnd(() => streams.close());
    await stage.booked('opening streams', async () => await streams.open(stage, size('streams')));
    await stage.booked(`${size('idleSeconds')} s of idle streams`, async () => {
      await pause(size('idleSeconds') * 1000);
    });
    stage.noteMemory(`with ${size('streams')} idle streams as well`);

    const polls = new LongPolls(ends);
    stage.onEnd(() => polls.close());
    await stage.booked('opening long polls', async () => {
      await polls.open(size('polls'));
      await pause(quietMs * 2);
    });
    stage.noteMemory(`with ${size('polls')} long polls as well`);
    findings.must(
      polls.answers.nothing + polls.answers.errors === 0,
      `long polls ended: ${polls.answers.nothing} empty, ${polls.answers.errors} with an error: ` +
        [...polls.failures.keys()].slice(0, 3).join('; '),
    );

    const wanted = { streams: size('streams'), polls: size('polls') };
    await stage.booked(
      'waking all of them',
      async () => await wake(stage, client, { streams, polls, wanted }),
    );
    findings.figure('streams opened again, at another leader', streams.reopened);
    const ended = [...streams.ended].map(([code, count]) => `${count} ${code}`).join(', ');
    findings.must(ended === '', `idle streams ended: ${ended}`);
    streams.close();
    polls.close();
    await pause(quietMs);
    stage.noteMemory('once the readers are gone');
  },
};

/** A record in each partition: everyone who waits gets one. */
async function wake(
  stage: LoadStage,
  client: MillraceClient,
  readers: {
    readonly streams: IdleStreams;
    readonly polls: LongPolls;
    readonly wanted: { readonly streams: number; readonly polls: number };
  },
): Promise<void> {
  const { findings } = stage;
  const { streams, polls, wanted } = readers;
  const from = performance.now();
  const producer = client.producer({ lingerMs: 0 });
  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    await producer.enqueue({ topic: TOPIC, partition, value: 'wake up' });
  }
  await producer.close();
  findings.figure('seconds until the records were acknowledged', (performance.now() - from) / 1000);
  const progress = setInterval(() => {
    const { errors, nothing, records } = polls.answers;
    stage.say(
      `  ... ${streams.woken} streams, ${records} polls; ${nothing} empty, ${errors} errors`,
    );
  }, PROGRESS_EVERY_MS);
  stage.onEnd(() => clearInterval(progress));
  const isAwake = await stage.until(
    () => streams.woken >= wanted.streams && polls.answers.records >= wanted.polls,
    WOKEN_WITHIN_MS,
  );
  clearInterval(progress);
  findings.figure('seconds until all had the next record', (performance.now() - from) / 1000);
  findings.must(
    isAwake,
    `${streams.woken} of ${wanted.streams} streams and ${polls.answers.records} of ` +
      `${wanted.polls} long polls got the next record`,
  );
}
