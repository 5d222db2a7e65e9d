import { expect } from 'chai';

import { stringSerde, type AppendedRecords, type KeyedAppend } from '../../../src/client/index.js';
import { partitionForKey } from '../../../src/client/partitioner.js';
import type { Producer } from '../../../src/client/producer.js';
import type { ProducerOptions } from '../../../src/client/producer-options.js';
import { BrokerError } from '../../../src/model/errors.js';
import { readBatchHeader } from '../../../src/model/record-batch.js';
import { setup as clientSetup } from './client-setup.js';
import type { FakeCluster, Fate } from './fake-cluster.js';
import type { VirtualWorld } from './virtual-world.js';

type Outcome = AppendedRecords | BrokerError;

interface Setup {
  readonly world: VirtualWorld;
  readonly cluster: FakeCluster;
  readonly producer: Producer;
  readonly append: (key: string, expectedKeyOffset: number) => Promise<Outcome>;
}

function setup(options: ProducerOptions = {}, partitions = 1): Setup {
  const { world, cluster, client } = clientSetup(partitions);
  cluster.config = { 'compare.by.key': 'true' };
  const producer = client.producer(options);
  const append = (key: string, expectedKeyOffset: number): Promise<Outcome> =>
    producer
      .appendIf({ topic: 'events', key, expectedKeyOffset, records: [{ value: 'v' }] })
      .catch((thrown: unknown) => BrokerError.from(thrown));
  return { world, cluster, producer, append };
}

/** Its offset, or the refusal's. */
const shortOf = (outcome: Outcome): string =>
  outcome instanceof BrokerError
    ? `${outcome.code}/${outcome.outcome}/${outcome.facts.keyOffset ?? ''}`
    : String(outcome.offset);

function script(cluster: FakeCluster, fates: readonly Fate[]): void {
  const left = [...fates];
  cluster.fate = () => left.shift() ?? { kind: 'serve' };
}

describe('appendIf with a key', () => {
  it('appends where the key stands, and says where it stands instead', async () => {
    const s = setup();
    const run = async (key: string, expected: number): Promise<string> =>
      shortOf(await s.world.until(s.append(key, expected)));
    expect(await run('a', -1)).to.equal('0');
    expect(await run('b', -1)).to.equal('1');
    expect(await run('a', 0)).to.equal('2');
    expect(await run('a', 0)).to.equal('EXPECTATION_FAILED/none/2');
    expect(await run('c', 7)).to.equal('EXPECTATION_FAILED/none/-1');
    expect(await run('a', 2), 'a refusal used up no sequence').to.equal('3');
  });

  it('goes to the partition of its key, unless it is told another', async () => {
    const s = setup({}, 4);
    for (const key of ['a', 'b', 'c', 'd', 'e']) {
      const done = (await s.world.until(s.append(key, -1))) as AppendedRecords;
      expect(done.partition).to.equal(partitionForKey(Buffer.from(key), 4));
    }
    const told = { topic: 'events', key: 'a', expectedKeyOffset: -1, records: [{ value: 'v' }] };
    for (const partition of [0, 1, 2, 3]) {
      const before = s.cluster.partition(partition).end;
      const sent = s.producer
        .appendIf({ ...told, partition })
        .catch((thrown: unknown) => BrokerError.from(thrown));
      const outcome = await s.world.until(sent);
      const isHome = partition === partitionForKey(Buffer.from('a'), 4);
      if (isHome) expect(shortOf(outcome)).to.match(/^EXPECTATION_FAILED/);
      else expect(shortOf(outcome)).to.equal(String(before));
    }
  });

  it('takes several records of the key together, serialized', async () => {
    const { world, cluster, client } = clientSetup();
    const producer = client.producer({ keySerde: stringSerde, valueSerde: stringSerde });
    const append: KeyedAppend<string, string> = {
      ...{ topic: 'events', key: 'ä', expectedKeyOffset: -1 },
      records: [{ value: 'one' }, { value: undefined }],
    };
    const done = await world.until(producer.appendIf(append));
    expect([done.offset, done.nextOffset]).to.eql([0, 2]);
    expect(readBatchHeader(cluster.produced[0]!.batch).recordsCount).to.equal(2);
    expect(cluster.produced[0]!.expectedKeyOffset).to.equal(-1);
  });

  it('is not compressed where brokers look at keys, and neither is anything else', async () => {
    const s = setup({ compression: 'gzip' });
    const value = 'x'.repeat(5_000);
    await s.world.until(s.producer.send({ topic: 'events', key: 'a', value }));
    await s.world.until(s.append('b', -1));
    const codecs = s.cluster.produced.map(({ batch }) => readBatchHeader(batch).attributes & 7);
    expect(codecs).to.eql([0, 0]);
  });

  it('knows an earlier try of its own', async () => {
    const s = setup();
    script(s.cluster, [{ kind: 'break', afterAppend: true }]);
    expect(shortOf(await s.world.until(s.append('a', -1)))).to.equal('0');
    expect(s.cluster.partition().values()).to.have.length(1);
  });

  it('is certainly refused behind a doubt only if the key can never stand there again', async () => {
    const s = setup();
    await s.world.until(s.append('a', -1));
    await s.world.until(s.append('a', 0));
    const doubt: Fate = { kind: 'doubt', isAppended: false };
    script(s.cluster, [doubt]);
    const never = shortOf(await s.world.until(s.append('a', 0)));
    expect(never).to.equal('EXPECTATION_FAILED/none/1');
    script(s.cluster, [doubt]);
    // Once retention has taken the key away, a try that is still under way could be right.
    expect(shortOf(await s.world.until(s.append('a', -1)))).to.match(/^UNKNOWN_OUTCOME/);
  });

  it('refuses what makes no sense, before it is sent', async () => {
    const s = setup();
    const good = { topic: 'events', key: 'a', expectedKeyOffset: 0, records: [{ value: 'v' }] };
    const cases: readonly [object, RegExp][] = [
      [{ ...good, expectedKeyOffset: -2 }, /expectedKeyOffset .* -2/],
      [{ ...good, expectedKeyOffset: 0.5 }, /expectedKeyOffset/],
      [{ ...good, key: undefined }, /needs the key/],
      [{ ...good, key: null }, /needs the key/],
      [{ ...good, expectedOffset: 0 }, /one offset, not two/],
      [{ ...good, records: [] }, /1 to/],
      [{ ...good, partition: -1 }, /no partition -1/],
    ];
    for (const [append, text] of cases) {
      const sent = s.producer
        .appendIf(append as KeyedAppend)
        .catch((thrown: unknown) => BrokerError.from(thrown));
      const error = (await s.world.until(sent)) as BrokerError;
      expect(error.code).to.equal('INVALID_ARGUMENT');
      expect(error.message).to.match(text);
    }
    expect(s.cluster.produced).to.have.length(0);
  });
});
