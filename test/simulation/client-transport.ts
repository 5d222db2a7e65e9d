import type { OffsetAt as BrokerOffsetAt } from '../../src/broker/admin-types.js';
import type { BrokerServices } from '../../src/broker/types.js';
import type {
  ClientTransport,
  FetchCall,
  FetchHandlers,
  FetchLink,
  MembershipHandlers,
  MembershipLink,
  ProduceHandlers,
  ProduceLink,
} from '../../src/client/connection.js';
import type {
  ClusterMethods,
  CommittedOffset,
  Metadata,
  OffsetAnswer,
  OffsetAt,
} from '../../src/client/types.js';
import { BrokerError } from '../../src/model/errors.js';
import { brokerAt, clientAddress } from './broker-app.js';
import { SimFetchLink, SimMembershipLink, SimProduceLink } from './client-links.js';
import type { ClientNet } from './client-net.js';
import type { SimProcess } from './world.js';

interface Address {
  readonly port: number;
}

/** Hears of calls on their way, and of their ends. */
export type CallWatcher = <Method extends keyof ClusterMethods>(
  method: Method,
  request: ClusterMethods[Method]['request'],
  answer: Promise<ClusterMethods[Method]['answer']>,
) => void;

/** What the production client is given as its network. */
export class SimClientTransport implements ClientTransport {
  watcher: CallWatcher | undefined;
  private readonly net: ClientNet;
  private readonly client: SimProcess;
  private links: { reset(): void }[] = [];

  constructor(net: ClientNet, client: SimProcess) {
    this.net = net;
    this.client = client;
  }

  openProduce(to: Address, handlers: ProduceHandlers): ProduceLink {
    return this.keep(new SimProduceLink(this.net, this.endsTo(to), handlers));
  }

  openFetch(to: Address, call: FetchCall, handlers: FetchHandlers): FetchLink {
    return this.keep(new SimFetchLink(this.net, this.endsTo(to), call, handlers));
  }

  openMembership(to: Address, handlers: MembershipHandlers): MembershipLink {
    return this.keep(new SimMembershipLink(this.net, this.endsTo(to), handlers));
  }

  call<Method extends keyof ClusterMethods>(
    to: Address,
    method: Method,
    request: ClusterMethods[Method]['request'],
    options: { readonly deadlineMs: number },
  ): Promise<ClusterMethods[Method]['answer']> {
    const { deadlineMs } = options;
    const answer = this.net.call(
      brokerAt(to.port),
      deadlineMs,
      (services) => serve(services, method, request, deadlineMs),
      this.client,
    );
    this.watcher?.(method, request, answer);
    return answer;
  }

  /** The client's process has died, and its machine says so to whoever is connected. */
  reset(): void {
    for (const link of this.links) link.reset();
    this.links = [];
  }

  close(): void {
    // Links end with those who opened them.
  }

  private endsTo({ port }: Address): { readonly client: SimProcess; readonly broker: number } {
    return { client: this.client, broker: brokerAt(port) };
  }

  private keep<Link extends { reset(): void }>(link: Link): Link {
    this.links.push(link);
    return link;
  }
}

type Served = { [Method in keyof ClusterMethods]: ClusterMethods[Method]['answer'] };
type Serve<Method extends keyof ClusterMethods> = (
  services: BrokerServices,
  request: ClusterMethods[Method]['request'],
  deadlineMs: number,
) => Promise<Served[Method]>;

const SERVE: { readonly [Method in keyof ClusterMethods]?: Serve<Method> } = {
  getMetadata: async ({ admin }, request, deadlineMs) =>
    metadataOf(await admin.getMetadata(request, { deadlineMs })),
  initProducer: ({ admin }, request, deadlineMs) => admin.initProducer(request, { deadlineMs }),
  listOffsets: async ({ admin }, { queries, linearizable }, deadlineMs) => {
    const asked = queries.map((query) => ({ ...query, at: offsetAt(query.at) }));
    const answers = await admin.listOffsets({ queries: asked, linearizable }, { deadlineMs });
    return answers.map(({ topic, partition, answer }): OffsetAnswer => {
      if (answer instanceof BrokerError) {
        const nothing = { offset: undefined, timestampMs: undefined, leaderEpoch: 0 };
        return { topic, partition, error: answer, ...nothing };
      }
      return {
        ...{ topic, partition, error: undefined, leaderEpoch: answer.leaderEpoch },
        offset: present(answer.offset),
        timestampMs: present(answer.timestampMs),
      };
    });
  },
  commitOffsets: async ({ admin }, request, deadlineMs) => {
    const { group, member, commitSequence: sequence = 0 } = request;
    const offsets = request.offsets.map((o) => ({ ...o, metadata: o.metadata ?? '' }));
    const asked = { group, offsets, sequence, ...member };
    return (await admin.commitOffsets(asked, { deadlineMs })).map(committedOf);
  },
  fetchOffsets: async ({ admin }, request, deadlineMs) =>
    (await admin.fetchOffsets(request, { deadlineMs })).map(committedOf),
};

function serve<Method extends keyof ClusterMethods>(
  services: BrokerServices,
  method: Method,
  request: ClusterMethods[Method]['request'],
  deadlineMs: number,
): Promise<Served[Method]> {
  const run: Serve<Method> | undefined = SERVE[method];
  if (run !== undefined) return run(services, request, deadlineMs);
  throw new BrokerError('UNSUPPORTED', `${method} is not part of this simulation`);
}

const present = (value: number): number | undefined => (value < 0 ? undefined : value);

function offsetAt(at: OffsetAt): BrokerOffsetAt {
  if (typeof at === 'string') return { kind: at };
  return { kind: 'timestamp', timestampMs: at.timestampMs };
}

function committedOf(found: {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly metadata: string;
  readonly commitTimeMs: number;
  readonly error: BrokerError | undefined;
}): CommittedOffset {
  return { ...found, offset: present(found.offset) };
}

type Described = Awaited<ReturnType<BrokerServices['admin']['getMetadata']>>;

function metadataOf(result: Described): Metadata {
  return {
    clusterId: result.clusterId,
    controller: result.controller,
    metadataVersion: result.metadataVersion,
    brokers: result.brokers.map(({ id, rack, isFenced, address }) => ({
      id,
      rack,
      isFenced,
      ...clientAddress(id),
      peerHost: address.peerHost,
      peerPort: address.peerPort,
      httpPort: address.httpPort,
    })),
    topics: result.topics.map((topic) =>
      topic.error === undefined
        ? {
            topic: topic.topic,
            topicId: topic.topicId,
            partitions: topic.partitions.map((p) => ({ ...p, leaderEpoch: p.leaderEpoch ?? 0 })),
            config: Object.fromEntries(topic.config),
            configVersion: topic.configVersion,
            error: undefined,
          }
        : {
            ...{ topic: topic.topic, topicId: '', partitions: [], config: {}, configVersion: 0 },
            error: topic.error,
          },
    ),
  };
}
