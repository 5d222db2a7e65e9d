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
import { GrpcTransport } from '../../src/client/grpc-transport.js';
import type { BrokerAddress, ClusterMethods } from '../../src/client/types.js';

/** The client's own way to the network, with a count of the batches that are under way. */
export class CountingTransport implements ClientTransport {
  /** Batches of one partition that were sent and not answered, on one stream: the most there were. */
  inflightMax = 0;
  /** Streams that broke with batches under way, and the batches whose answers were lost with them. */
  cuts = 0;
  answersLost = 0;
  private readonly inner = new GrpcTransport();

  openProduce(to: BrokerAddress, handlers: ProduceHandlers): ProduceLink {
    const partitionOf = new Map<number, number>();
    const inflight = new Map<number, number>();
    const link = this.inner.openProduce(to, {
      ready: () => handlers.ready(),
      drained: () => handlers.drained(),
      answer: (answer) => {
        const partition = partitionOf.get(answer.correlationId);
        if (partition !== undefined) inflight.set(partition, (inflight.get(partition) ?? 1) - 1);
        partitionOf.delete(answer.correlationId);
        handlers.answer(answer);
      },
      closed: (error) => {
        if (partitionOf.size > 0) this.cuts += 1;
        this.answersLost += partitionOf.size;
        handlers.closed(error);
      },
    });
    return {
      send: (call) => {
        const now = (inflight.get(call.partition) ?? 0) + 1;
        inflight.set(call.partition, now);
        partitionOf.set(call.correlationId, call.partition);
        this.inflightMax = Math.max(this.inflightMax, now);
        return link.send(call);
      },
      close: () => link.close(),
    };
  }

  openFetch(to: BrokerAddress, call: FetchCall, handlers: FetchHandlers): FetchLink {
    return this.inner.openFetch(to, call, handlers);
  }

  openMembership(to: BrokerAddress, handlers: MembershipHandlers): MembershipLink {
    return this.inner.openMembership(to, handlers);
  }

  async call<Method extends keyof ClusterMethods>(
    to: BrokerAddress,
    method: Method,
    request: ClusterMethods[Method]['request'],
    options: { readonly deadlineMs: number; readonly signal?: AbortSignal | undefined },
  ): Promise<ClusterMethods[Method]['answer']> {
    return await this.inner.call(to, method, request, options);
  }

  close(): void {
    this.inner.close();
  }
}
