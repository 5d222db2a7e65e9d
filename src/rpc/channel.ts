import { Channel, credentials, type ChannelOptions } from '@grpc/grpc-js';
import { LIMITS } from '../model/limits.js';
import type { ClusterClient } from './gen/millrace/broker/v1/Cluster.js';
import type { GroupsClient } from './gen/millrace/broker/v1/Groups.js';
import type { RecordsClient } from './gen/millrace/broker/v1/Records.js';
import { protoTypes } from './proto.js';

const MIB = 1024 * 1024;

/** HTTP/2 receive window of a stream and of a connection; 64 KiB would cap a 4 ms link at 15 MB/s. */
export const FLOW_CONTROL_WINDOW_BYTES = 8 * MIB;

/**
 * Bytes that one HTTP/2 session may hold (grpc-js sets no limit by itself). Node refuses new streams
 * above it, so it lies far above what the windows and our own budgets let pile up.
 */
export const SESSION_MEMORY_MIB = 256;

/** Options both ends share; nothing is left to a default that could be unlimited. */
export function sharedOptions(messageBytesMax: number): ChannelOptions {
  return {
    'grpc.max_receive_message_length': messageBytesMax,
    'grpc.max_send_message_length': messageBytesMax,
    'grpc-node.max_session_memory': SESSION_MEMORY_MIB,
    'grpc-node.flow_control_window': FLOW_CONTROL_WINDOW_BYTES,
    'grpc.enable_channelz': 0,
  };
}

export interface ChannelTuning {
  readonly messageBytesMax: number;
  readonly keepaliveTimeMs: number;
  readonly keepaliveTimeoutMs: number;
  readonly reconnectBackoffMs: { readonly first: number; readonly max: number };
}

const CLIENT_TUNING: ChannelTuning = {
  messageBytesMax: LIMITS.clientMessageBytesMax,
  // A broker that stands still, or is cut off, is noticed in six seconds at most.
  keepaliveTimeMs: 2_000,
  keepaliveTimeoutMs: 4_000,
  reconnectBackoffMs: { first: 100, max: 1_000 },
};

/** Retries, service configs and proxies are off: what is resent, and when, is decided above. */
export function channelOptions(tuning: ChannelTuning): ChannelOptions {
  return {
    ...sharedOptions(tuning.messageBytesMax),
    'grpc.keepalive_time_ms': tuning.keepaliveTimeMs,
    'grpc.keepalive_timeout_ms': tuning.keepaliveTimeoutMs,
    'grpc.keepalive_permit_without_calls': 1,
    'grpc.initial_reconnect_backoff_ms': tuning.reconnectBackoffMs.first,
    'grpc.max_reconnect_backoff_ms': tuning.reconnectBackoffMs.max,
    'grpc.dns_min_time_between_resolutions_ms': 1_000,
    'grpc.enable_retries': 0,
    'grpc.enable_http_proxy': 0,
    'grpc.service_config_disable_resolution': 1,
    // Connections of one process to one address stay apart, so that closing one closes only it.
    'grpc.use_local_subchannel_pool': 1,
  };
}

/** `host:port`, with brackets around an IPv6 address. */
export function formatAddress(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The client services of one broker over one connection. */
export interface BrokerConnection {
  /** `host:port`. */
  readonly address: string;
  readonly records: RecordsClient;
  readonly cluster: ClusterClient;
  readonly groups: GroupsClient;
  close(): void;
}

/** Connects lazily, on the first call, and reconnects by itself while calls are made. */
export function connectBroker(address: string): BrokerConnection {
  const types = protoTypes();
  const insecure = credentials.createInsecure();
  const options = channelOptions(CLIENT_TUNING);
  const channelOverride = new Channel(address, insecure, options);
  return {
    address,
    records: new types.Records(address, insecure, { ...options, channelOverride }),
    cluster: new types.Cluster(address, insecure, { ...options, channelOverride }),
    groups: new types.Groups(address, insecure, { ...options, channelOverride }),
    close: () => channelOverride.close(),
  };
}
