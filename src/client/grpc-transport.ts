import { connectivityState } from '@grpc/grpc-js';
import { BrokerError } from '../model/errors.js';
import { connectBroker, formatAddress, type BrokerConnection } from '../rpc/channel.js';
import { onAbort } from './abort.js';
import { CLUSTER_CALLS } from './cluster-codec.js';
import type {
  ClientTransport,
  FetchCall,
  FetchHandlers,
  FetchLink,
  MembershipHandlers,
  MembershipLink,
  ProduceHandlers,
  ProduceLink,
} from './connection.js';
import { failureOf } from './grpc-failure.js';
import { GrpcFetchLink, GrpcMembershipLink, GrpcProduceLink } from './grpc-links.js';
import type { BrokerAddress, ClusterMethods } from './types.js';
import type { Cancellable, UnaryRunner } from './wire.js';

/** A broker that cannot be connected to within this time counts as unreachable. */
const CONNECT_MS = 1_500;
/** The broker answers with its own deadline first; this only ends what would hang for ever. */
const DEADLINE_SLACK_MS = 250;

/**
 * The client's half that speaks gRPC: one connection per broker, shared by its streams and calls.
 *
 * Invariant: nothing is sent on a connection before it is up, so that BROKER_UNAVAILABLE means that
 * the broker has not seen the request. A connection that fails is thrown away, and when to try again
 * is decided by the callers, not by gRPC.
 */
export class GrpcTransport implements ClientTransport {
  /** A broker answers what it has received, and what it has received left this process as a copy. */
  readonly copiesBatches = true;
  private readonly connections = new Map<string, BrokerConnection>();
  private readonly calls = new Set<Cancellable>();
  private isClosed = false;

  openProduce(to: BrokerAddress, handlers: ProduceHandlers): ProduceLink {
    return new GrpcProduceLink(this.connected(to), handlers);
  }

  openFetch(to: BrokerAddress, call: FetchCall, handlers: FetchHandlers): FetchLink {
    return new GrpcFetchLink(this.connected(to), call, handlers);
  }

  openMembership(to: BrokerAddress, handlers: MembershipHandlers): MembershipLink {
    return new GrpcMembershipLink(this.connected(to), handlers);
  }

  async call<Method extends keyof ClusterMethods>(
    to: BrokerAddress,
    method: Method,
    request: ClusterMethods[Method]['request'],
    options: { readonly deadlineMs: number; readonly signal?: AbortSignal | undefined },
  ): Promise<ClusterMethods[Method]['answer']> {
    const startMs = Date.now();
    const connection = await this.connected(to, options.deadlineMs);
    const leftMs = Math.max(1, options.deadlineMs - (Date.now() - startMs));
    const entry = CLUSTER_CALLS[method];
    const runner: UnaryRunner = {
      run: async (call) =>
        await new Promise((resolve, reject) => {
          const deadline = new Date(Date.now() + leftMs + DEADLINE_SLACK_MS);
          const handle = call(deadline, (error, answer) => {
            this.calls.delete(handle);
            unlisten();
            if (error !== null) reject(failureOf(error, entry.isWrite, connection.address));
            else if (answer === undefined) reject(new BrokerError('INTERNAL', 'empty answer'));
            else resolve(answer);
          });
          this.calls.add(handle);
          const unlisten = onAbort(options.signal, () => handle.cancel());
        }),
    };
    return await entry.call(connection, request, runner);
  }

  close(): void {
    this.isClosed = true;
    for (const call of this.calls) call.cancel();
    for (const connection of this.connections.values()) connection.close();
    this.connections.clear();
  }

  /** The broker's connection once it is up. Rejects with BROKER_UNAVAILABLE if it does not come up. */
  private async connected(to: BrokerAddress, withinMs = CONNECT_MS): Promise<BrokerConnection> {
    if (this.isClosed) throw new BrokerError('SHUTTING_DOWN', 'the client is closed');
    const address = formatAddress(to.host, to.port);
    let connection = this.connections.get(address);
    if (connection === undefined) {
      connection = connectBroker(address);
      this.connections.set(address, connection);
    }
    const deadline = Date.now() + Math.min(withinMs, CONNECT_MS);
    const channel = connection.cluster.getChannel();
    for (;;) {
      const state = channel.getConnectivityState(true);
      if (state === connectivityState.READY) return connection;
      const isLost =
        state === connectivityState.TRANSIENT_FAILURE || state === connectivityState.SHUTDOWN;
      const isLate = !isLost && !(await changed(channel, state, deadline));
      if (isLost || isLate) {
        if (this.connections.get(address) === connection) this.connections.delete(address);
        connection.close();
        throw new BrokerError('BROKER_UNAVAILABLE', `no broker answers at ${address}`);
      }
    }
  }
}

type Channel = ReturnType<BrokerConnection['cluster']['getChannel']>;

/** True once the channel left `state`, false at the deadline. */
async function changed(
  channel: Channel,
  state: connectivityState,
  deadline: number,
): Promise<boolean> {
  return await new Promise((resolve) => {
    channel.watchConnectivityState(state, deadline, (error?: Error) =>
      resolve(error === undefined),
    );
  });
}
