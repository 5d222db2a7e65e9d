import { expect } from 'chai';
import type { ControllerLink } from '../../../src/broker/controller-link.js';
import { Reconciler } from '../../../src/broker/reconciler.js';
import {
  DEFAULT_BROKER_SETTINGS,
  type MetadataView,
  type PartitionHost,
} from '../../../src/broker/types.js';
import type { MetadataDelta, MetadataImage, TopicImage } from '../../../src/metadata/image.js';
import type { TopicSettings } from '../../../src/metadata/topic-config.js';
import { logIndex, type RaftGroupId } from '../../../src/model/ids.js';
import type { BrokerStore } from '../../../src/ports/log-store.js';
import { FakeGroup, FakeLeaders, ManualWorld, SELF, silent, specOf } from './partition-fixture.js';
import { settingsOf, settled, TOPIC_ID, viewOfTopic } from './partition-fixture.js';

const SPEC = specOf(0);
const NOTHING_CHANGED: MetadataDelta = { isReset: false, brokers: [], topics: [], tombstones: [] };

/** A broker that restarts with one replica, and metadata that the test tells it. */
class Fixture {
  readonly world = new ManualWorld();
  /** Of the replica, newest last. */
  readonly given: TopicSettings[] = [];
  readonly reconciler: Reconciler;
  private image: MetadataImage = {
    ...viewOfTopic(1).image(),
    version: logIndex(0),
    topicsById: new Map(),
  };
  private listener: Parameters<MetadataView['onChange']>[0] | undefined;
  private current: ((at: { index: number }) => void) | undefined;

  constructor() {
    const open = new Set<RaftGroupId>();
    const host: Partial<PartitionHost> = {
      ensure: ({ groupId }, settings) => {
        open.add(groupId);
        this.given.push(settings);
        return Promise.resolve();
      },
      configure: (_, settings) => void this.given.push(settings),
      group: (id) => (open.has(id) ? new FakeGroup(id, undefined as never, this.world) : undefined),
    };
    const view: MetadataView = {
      image: () => this.image,
      onChange: (listener) => {
        this.listener = listener;
        return () => undefined;
      },
      waitFor: () => Promise.resolve(this.image),
    };
    const barrier = new Promise<{ index: number }>((resolve) => {
      this.current = resolve;
    });
    this.reconciler = new Reconciler({
      self: SELF,
      world: this.world,
      view,
      leaders: new FakeLeaders(),
      host: host as PartitionHost,
      store: { replicas: () => [{ spec: SPEC }] } as unknown as BrokerStore,
      link: { call: () => barrier } as unknown as ControllerLink,
      settings: DEFAULT_BROKER_SETTINGS,
      log: silent.log,
    });
  }

  /** The metadata says so from this version on. */
  tell(version: number, settings: TopicSettings, delta: Partial<MetadataDelta> = {}): void {
    const known = viewOfTopic(1).image().topicsById.get(TOPIC_ID);
    const topic: TopicImage = { ...known!, settings };
    this.image = {
      ...this.image,
      version: logIndex(version),
      topicsById: new Map([[TOPIC_ID, topic]]),
      groups: new Map([[SPEC.groupId, { topicId: TOPIC_ID, partition: 0 }]]),
    };
    this.listener?.(this.image, { ...NOTHING_CHANGED, ...delta });
  }

  /** The metadata leader says that this version is current. */
  becomeCurrent(index: number): void {
    this.current?.({ index });
  }

  get last(): TopicSettings | undefined {
    return this.given.at(-1);
  }
}

describe('reconciling replicas with metadata', () => {
  const stale = settingsOf({ 'retention.ms': '1000', 'cleanup.policy': 'compact,delete' });
  const keep = settingsOf({ 'retention.ms': '-1' });

  it('deletes nothing by settings of which it is not known that they are current', async () => {
    const fixture = new Fixture();
    fixture.reconciler.start();
    await settled();
    expect(fixture.given, 'opened before anything is known of its topic').to.have.length(1);
    expect(fixture.last?.deletes).to.equal(false);
    fixture.tell(5, keep, { topics: [TOPIC_ID] });
    fixture.becomeCurrent(5);
    await settled();
    expect(fixture.last).to.equal(keep);
    fixture.reconciler.stop();
  });

  it('compacts and deletes nothing by settings from before a restart', async () => {
    const fixture = new Fixture();
    fixture.tell(3, stale);
    fixture.reconciler.start();
    await settled();
    expect(fixture.last?.deletes).to.equal(false);
    // Records still need keys; none is old enough to go.
    expect(fixture.last?.compaction).to.include({ minLagMs: Infinity, maxLagMs: -1 });
    fixture.tell(5, keep, { topics: [TOPIC_ID] });
    await settled();
    expect(fixture.last?.deletes).to.equal(false);
    fixture.becomeCurrent(5);
    await settled();
    expect(fixture.last).to.equal(keep);

    // Metadata that was opened anew begins with what was: what came later is not taken back.
    fixture.tell(3, stale, { isReset: true });
    await settled();
    expect(fixture.last).to.equal(keep);
    fixture.tell(6, stale, { topics: [TOPIC_ID] });
    await settled();
    expect(fixture.last).to.equal(stale);
    fixture.reconciler.stop();
  });
});
