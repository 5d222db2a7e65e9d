import { invariant } from '../../src/base/assert.js';
import type {
  BrokerServices,
  FetchedPartition,
  FetchRequest,
  ProduceResult,
} from '../../src/broker/types.js';
import type { ProduceCall } from '../../src/client/connection.js';
import { METADATA_GROUP, type RaftGroupId } from '../../src/model/ids.js';
import type { LogEntry } from '../../src/model/log-entry.js';
import { PartitionState } from '../../src/partition/partition-state.js';
import type { ReplicaSpec } from '../../src/ports/log-store.js';
import type { StateMachine } from '../../src/ports/state-machine.js';
import type { BrokerApp } from './broker-app.js';
import type { AnswerWatcher } from './client-net.js';
import type { SimCluster } from './cluster.js';
import { GroupsOracle, type GroupsWorld } from './groups-oracle.js';
import { KeyedOracle } from './keyed-oracle.js';
import { keyParts } from './load.js';
import { PartitionOracle } from './partition-oracle.js';
import { TableOracle } from './table-oracle.js';
import { must } from './violation.js';

/** What is known from above about partitions and consumer groups; judges what brokers apply and say. */
export class BrokerOracles implements AnswerWatcher {
  readonly groups: GroupsOracle;
  private readonly cluster: SimCluster<BrokerApp>;
  private readonly partitions = new Map<number, PartitionOracle>();
  /** Broker and group of every committed deletion. */
  private readonly tombstones = new Set<string>();

  constructor(cluster: SimCluster<BrokerApp>, holding: GroupsWorld['holding']) {
    this.cluster = cluster;
    cluster.deletionWatcher = (broker, group) => {
      const isBuried = this.tombstones.has(`${broker} ${group}`);
      must(isBuried, 'I26', 'data goes without a committed deletion', { broker, group });
    };
    this.groups = new GroupsOracle(cluster.oracle(METADATA_GROUP), {
      holding,
      highWatermarkOf: (topicId, partition) => {
        const groupId = this.find((s) => s.topicId === topicId && s.partition === partition);
        return groupId === undefined ? undefined : this.partition(groupId).highWatermark;
      },
    });
  }

  partition(groupId: number): PartitionOracle {
    let known = this.partitions.get(groupId);
    if (known === undefined) {
      known = new PartitionOracle(this.cluster.oracle(groupId));
      this.partitions.set(groupId, known);
    }
    return known;
  }

  groupOf(key: string): RaftGroupId | undefined {
    const { topic, partition } = keyParts(key);
    return this.find((spec) => spec.topic === topic && spec.partition === partition);
  }

  highWatermarkOf(key: string): number {
    const groupId = this.groupOf(key);
    return groupId === undefined ? 0 : this.partition(groupId).highWatermark;
  }

  /** From now on the partition is judged as one that is compacted. */
  tableOf(key: string): TableOracle {
    const groupId = this.groupOf(key);
    invariant(groupId !== undefined, 'somebody has a replica of it', { key });
    const partition = this.partition(groupId);
    partition.table ??= new TableOracle(this.cluster.oracle(groupId));
    return partition.table;
  }

  /** For those who compare by key in the partition. */
  keyedOf(key: string): KeyedOracle {
    const groupId = this.groupOf(key);
    invariant(groupId !== undefined, 'somebody has a replica of it', { key });
    return new KeyedOracle(this.cluster.oracle(groupId));
  }

  /** What of a compacted partition's records each living replica has; one, if they are equal. */
  storedOf(key: string): Set<string> {
    const groupId = this.groupOf(key);
    const stored = new Set<string>();
    if (groupId === undefined) return stored;
    const table = this.tableOf(key);
    for (const { id, disk } of this.cluster.alive()) {
      const replica = disk.replicas.get(groupId);
      if (replica !== undefined && replica.log.last.index > 0) {
        stored.add(table.stored(replica.log, id));
      }
    }
    return stored;
  }

  logStartOf(key: string): number {
    const groupId = this.groupOf(key);
    return groupId === undefined ? 0 : this.partition(groupId).logStart;
  }

  applied(
    broker: number,
    groupId: number,
    machine: StateMachine,
    entry: LogEntry,
    result: unknown,
  ): void {
    if (groupId === METADATA_GROUP) {
      this.groups.applied(broker, entry, result, () => machine.encode());
      const image = this.cluster.broker(broker).app?.services?.view.image();
      for (const [group, brokers] of image?.tombstones ?? []) {
        for (const id of brokers) this.tombstones.add(`${id} ${group}`);
      }
    } else if (machine instanceof PartitionState) {
      const { logStartOffset: logStart, highWatermark: end, compaction } = machine;
      this.partition(groupId).table?.bounded(compaction.to, compaction.tombstonesBelow);
      this.partition(groupId).starting(broker, { index: entry.index, logStart, end });
    }
  }

  producing(services: BrokerServices, call: ProduceCall): (result: ProduceResult) => void {
    const groupOf = (): RaftGroupId | undefined => {
      const topic = services.view.image().topicsByName.get(call.topic);
      return topic?.partitions[call.partition]?.groupId;
    };
    // A verdict may wait its turn behind answers to batches that come to be known meanwhile.
    const before = groupOf();
    const wasKnown = before !== undefined && this.partition(before).knowsProducer(call.batch);
    return (result) => {
      const groupId = groupOf();
      if (groupId === undefined || call.acks !== 'quorum') return;
      this.produced({ services, call, groupId, wasKnown }, result);
    };
  }

  private produced(
    asked: {
      readonly services: BrokerServices;
      readonly call: ProduceCall;
      readonly groupId: RaftGroupId;
      readonly wasKnown: boolean;
    },
    result: ProduceResult,
  ): void {
    const { services, call, groupId, wasKnown } = asked;
    this.cluster.judge(() => {
      if (result.error === undefined) {
        this.partition(groupId).acknowledged(call.batch, result.baseOffset);
        return;
      }
      const { latestTerm } = this.cluster.oracle(groupId);
      const self = this.cluster.alive().find(({ app }) => app?.services === services);
      const term = self?.app?.groups.get(groupId)?.group.status()?.term;
      const isLatest = term !== undefined && term >= latestTerm;
      if (result.error.code === 'UNKNOWN_PRODUCER' && isLatest && wasKnown) {
        this.partition(groupId).forgets(call.batch);
      }
    });
  }

  fetched(request: FetchRequest, partitions: readonly FetchedPartition[]): void {
    this.cluster.judge(() => {
      for (const { topic, partition, error, batches, highWatermark } of partitions) {
        const groupId = this.groupOf(`${topic}/${partition}`);
        if (groupId === undefined) continue;
        if (error === undefined) this.partition(groupId).fetched(batches, highWatermark);
        if (error?.code !== 'OFFSET_OUT_OF_RANGE') continue;
        const asked = request.partitions.find(
          (p) => p.topic === topic && p.partition === partition,
        );
        if (asked !== undefined) this.partition(groupId).refusesAsOutOfRange(asked.offset);
      }
    });
  }

  private find(isIt: (spec: ReplicaSpec) => boolean): RaftGroupId | undefined {
    for (const { disk } of this.cluster.brokers) {
      for (const { spec } of disk.replicas.values()) if (isIt(spec)) return spec.groupId;
    }
    return undefined;
  }
}
