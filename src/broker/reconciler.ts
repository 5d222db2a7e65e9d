import type {
  MetadataDelta,
  MetadataImage,
  PartitionImage,
  TopicImage,
} from '../metadata/image.js';
import { topicSettings, type TopicSettings } from '../metadata/topic-config.js';
import { BrokerError } from '../model/errors.js';
import { METADATA_GROUP, type BrokerId, type LogIndex, type RaftGroupId } from '../model/ids.js';
import { membershipOf, NO_MEMBERS } from '../model/membership.js';
import type { BrokerStore, ReplicaSpec } from '../ports/log-store.js';
import type { Logger } from '../ports/telemetry.js';
import type { Cancel, World } from '../ports/world.js';
import type { ControllerLink } from './controller-link.js';
import { Backoff, sleep } from './deadline.js';
import { rightfulLeader } from './transfer-target.js';
import type { BrokerSettings, LeaderTable, MetadataView, PartitionHost } from './types.js';

const BARRIER_MS = 10_000;
const REPORT_MS = 10_000;
const RETRY_FIRST_MS = 200;
const RETRY_LAST_MS = 10_000;
const GROUPS_PER_REPORT = 5_000;

/** Of settings that may be out of date: all but what they would have a leader delete for good. */
function harmless(settings: TopicSettings): TopicSettings {
  const { compaction } = settings;
  const never = { minLagMs: Infinity, maxLagMs: -1, deleteRetentionMs: Infinity };
  return { ...settings, deletes: false, compaction: compaction && { ...compaction, ...never } };
}

interface Work {
  isRunning: boolean;
  /** Something changed while it ran. */
  again: boolean;
  readonly backoff: Backoff;
}

export interface ReconcilerDeps {
  readonly self: BrokerId;
  readonly world: World;
  readonly view: MetadataView;
  readonly leaders: LeaderTable;
  readonly host: PartitionHost;
  readonly store: BrokerStore;
  readonly link: ControllerLink;
  readonly settings: BrokerSettings;
  readonly log: Logger;
}

/**
 * Makes the replicas of this broker what the metadata says they should be.
 *
 * What exists is opened at once, whatever the metadata says yet. Creating and deleting wait until
 * this broker's metadata is known to be as new as this process: metadata from before a restart may
 * name replicas that were deleted since, and tombstones of replicas that came back since. So do
 * retention and compaction: it may know nothing of a topic yet, or not that its records are to be kept
 * longer by now.
 *
 * Invariants: one job a Raft group at a time, and it looks at the image when it runs, not when it
 * was asked for; data goes only by a tombstone, never by absence.
 */
export class Reconciler {
  readonly #deps: ReconcilerDeps;
  readonly #work = new Map<RaftGroupId, Work>();
  readonly #queue: RaftGroupId[] = [];
  /** Local replicas that are not open yet; readiness waits for them. */
  readonly #closed = new Set<RaftGroupId>();
  readonly #deleted = new Set<RaftGroupId>();
  /** Replicas that exist here; follows the store, which is slow to search. */
  readonly #stored = new Map<RaftGroupId, ReplicaSpec>();
  /** Opened with settings that may be out of date. */
  readonly #provisional = new Set<RaftGroupId>();
  #running = 0;
  #isReporting = false;
  /** Metadata from here on may be acted on. Undefined: not known yet. */
  #actFrom: LogIndex | undefined;
  #isStopped = false;
  #cancel: Cancel | undefined;

  constructor(deps: ReconcilerDeps) {
    this.#deps = deps;
  }

  start(): void {
    const { store, view } = this.#deps;
    for (const { spec } of store.replicas()) {
      if (spec.groupId === METADATA_GROUP) continue;
      this.#stored.set(spec.groupId, spec);
      this.#closed.add(spec.groupId);
      this.#enqueue(spec.groupId);
    }
    this.#cancel = view.onChange((image, delta) => this.#follow(image, delta));
    this.#learnWhatIsCurrent().catch((error: unknown) => {
      this.#deps.log.error({ err: error }, 'reconciling cannot begin');
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
    this.#queue.length = 0;
  }

  /** What keeps this broker from being ready; empty: nothing. */
  get waitingFor(): string {
    if (this.#actFrom === undefined) return 'metadata to be current';
    if (this.#closed.size > 0) return `${this.#closed.size} local replicas to open`;
    return '';
  }

  async #learnWhatIsCurrent(): Promise<void> {
    const { link, view, world, log } = this.#deps;
    const backoff = new Backoff(100, 2_000);
    while (!this.#isStopped) {
      try {
        const { index } = await link.call('barrier', undefined, BARRIER_MS);
        await view.waitFor((image) => image.version >= index, BARRIER_MS);
        this.#actFrom = index;
        this.#enqueueAll(view.image());
        return;
      } catch (error) {
        log.debug({ err: BrokerError.from(error) }, 'metadata is not current yet');
      }
      await sleep(world.timers, backoff.nextMs());
    }
  }

  #follow(image: MetadataImage, delta: MetadataDelta): void {
    if (this.#actFrom === undefined) return;
    if (delta.isReset) {
      this.#enqueueAll(image);
      return;
    }
    for (const topicId of delta.topics) {
      for (const { groupId } of image.topicsById.get(topicId)?.partitions ?? []) {
        this.#enqueue(groupId);
      }
    }
    for (const groupId of delta.tombstones) this.#enqueue(groupId);
    if (image.version < this.#actFrom) return;
    for (const groupId of this.#provisional) this.#enqueue(groupId);
  }

  #enqueueAll(image: MetadataImage): void {
    for (const groupId of image.groups.keys()) this.#enqueue(groupId);
    for (const groupId of image.tombstones.keys()) this.#enqueue(groupId);
  }

  #enqueue(groupId: RaftGroupId): void {
    if (this.#isStopped) return;
    const work = this.#work.get(groupId);
    if (work !== undefined) {
      if (work.isRunning) work.again = true;
      return;
    }
    if (!this.#concerns(groupId)) return;
    this.#work.set(groupId, {
      isRunning: false,
      again: false,
      backoff: new Backoff(RETRY_FIRST_MS, RETRY_LAST_MS),
    });
    this.#queue.push(groupId);
    this.#pump();
  }

  /** Spares a large cluster's brokers a job for each of the others' partitions. */
  #concerns(groupId: RaftGroupId): boolean {
    const { self, host, view } = this.#deps;
    if (this.#closed.has(groupId) || host.group(groupId) !== undefined) return true;
    if (view.image().tombstones.get(groupId)?.includes(self) === true) return true;
    return this.#placedHere(groupId) !== undefined;
  }

  #pump(): void {
    while (this.#running < this.#deps.settings.opensMax) {
      const groupId = this.#queue.shift();
      if (groupId === undefined) return;
      const work = this.#work.get(groupId);
      if (work === undefined) continue;
      this.#running += 1;
      work.isRunning = true;
      void this.#run(groupId, work);
    }
  }

  /** Never rejects. */
  async #run(groupId: RaftGroupId, work: Work): Promise<void> {
    let failed = false;
    try {
      await this.#settle(groupId);
      work.backoff.reset();
    } catch (error) {
      failed = true;
      this.#deps.log.warn({ groupId, err: error }, 'reconciling a replica failed, will try again');
    }
    this.#running -= 1;
    work.isRunning = false;
    if (failed) this.#deps.world.timers.after(work.backoff.nextMs(), () => this.#requeue(groupId));
    else if (work.again) this.#requeue(groupId);
    else this.#work.delete(groupId);
    if (!this.#isStopped) this.#pump();
  }

  #requeue(groupId: RaftGroupId): void {
    const work = this.#work.get(groupId);
    if (work === undefined || this.#isStopped) return;
    work.again = false;
    this.#queue.push(groupId);
    this.#pump();
  }

  async #settle(groupId: RaftGroupId): Promise<void> {
    const { self, host, view, leaders, log } = this.#deps;
    const image = view.image();
    const mayAct = this.#actFrom !== undefined && image.version >= this.#actFrom;
    // Acting from now on, before anything is awaited: image.version can fall again by a reset (the
    // metadata replica was opened anew), to metadata from before what is done here.
    if (mayAct) this.#actFrom = image.version;
    if (mayAct && image.tombstones.get(groupId)?.includes(self) === true) {
      await host.remove(groupId);
      this.#stored.delete(groupId);
      log.info({ groupId }, 'deleted a replica');
      this.#closed.delete(groupId);
      this.#deleted.add(groupId);
      this.#report();
      return;
    }
    const placed = this.#placedHere(groupId);
    const stored = this.#stored.get(groupId);
    const settings = placed?.topic.settings ?? this.#topicOf(groupId)?.settings;
    if (mayAct) this.#provisional.delete(groupId);
    if (host.group(groupId) !== undefined) {
      if (mayAct && settings !== undefined) host.configure(groupId, settings);
    } else if (stored !== undefined) {
      const isCurrent = mayAct && settings !== undefined;
      const given = settings ?? topicSettings(new Map());
      if (!mayAct) this.#provisional.add(groupId);
      await host.ensure(
        stored,
        isCurrent ? given : harmless(given),
        placed && rightfulLeader(placed.partition.replicas, leaders),
      );
    } else if (mayAct && placed !== undefined) {
      const spec = this.#newReplica(placed);
      await host.ensure(
        spec,
        placed.topic.settings,
        rightfulLeader(placed.partition.replicas, leaders),
      );
      this.#stored.set(groupId, spec);
    }
    this.#closed.delete(groupId);
  }

  #topicOf(groupId: RaftGroupId): TopicImage | undefined {
    const image = this.#deps.view.image();
    const at = image.groups.get(groupId);
    return at === undefined ? undefined : image.topicsById.get(at.topicId);
  }

  #placedHere(
    groupId: RaftGroupId,
  ): { readonly topic: TopicImage; readonly partition: PartitionImage } | undefined {
    const { self, view } = this.#deps;
    const at = view.image().groups.get(groupId);
    const topic = this.#topicOf(groupId);
    const partition = at === undefined ? undefined : topic?.partitions[at.partition];
    if (topic === undefined || partition === undefined) return undefined;
    const isHere = partition.replicas.includes(self) || partition.movingFrom.includes(self);
    return isHere ? { topic, partition } : undefined;
  }

  /** A voter from the start only where it has been one ever since the group was created. */
  #newReplica(placed: {
    readonly topic: TopicImage;
    readonly partition: PartitionImage;
  }): ReplicaSpec {
    const { topic, partition } = placed;
    const isFounder = partition.bootstrap.includes(this.#deps.self);
    return {
      groupId: partition.groupId,
      topicId: topic.id,
      topic: topic.name,
      partition: partition.partition,
      bootstrap: isFounder ? membershipOf(partition.founders) : NO_MEMBERS,
    };
  }

  /** Tells the metadata leader what is gone, many at a time, until it has taken it. */
  #report(): void {
    if (this.#isReporting || this.#deleted.size === 0 || this.#isStopped) return;
    this.#isReporting = true;
    const { world, link, self, log } = this.#deps;
    world.timers.defer(() => {
      const groupIds = [...this.#deleted].slice(0, GROUPS_PER_REPORT);
      link.call('replicasDeleted', { brokerId: self, groupIds }, REPORT_MS).then(
        () => {
          for (const groupId of groupIds) this.#deleted.delete(groupId);
          this.#isReporting = false;
          this.#report();
        },
        (error: unknown) => {
          log.debug({ err: error }, 'deleted replicas could not be reported yet');
          world.timers.after(RETRY_FIRST_MS * 5, () => {
            this.#isReporting = false;
            this.#report();
          });
        },
      );
    });
  }
}
