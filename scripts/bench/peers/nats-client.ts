import { createRequire } from 'node:module';
import path from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';

/** What is used of NATS's own client, which is no dependency of this project. */
export interface NatsConnection {
  close(): Promise<void>;
}
export interface StreamSettings {
  readonly name: string;
  readonly subjects: readonly string[];
  readonly num_replicas: number;
  readonly storage: 'file';
  readonly discard: 'old';
}
export interface StreamManager {
  readonly streams: {
    add(settings: StreamSettings): Promise<unknown>;
    delete(name: string): Promise<boolean>;
  };
}
export interface StreamMessage {
  readonly data: Uint8Array;
}
export interface StreamConsumer {
  consume(options: {
    readonly callback: (message: StreamMessage) => void;
    /** In ms. */
    readonly expires: number;
    readonly idle_heartbeat: number;
  }): Promise<unknown>;
}
export interface JetStream {
  publish(subject: string, payload: Uint8Array): Promise<unknown>;
  readonly consumers: {
    /** An ordered consumer, from the stream's first message. */
    get(stream: string): Promise<StreamConsumer>;
  };
}
interface Transport {
  connect(options: { readonly servers: readonly string[] }): Promise<NatsConnection>;
}
interface JetStreamModule {
  jetstream(connection: NatsConnection, options: { readonly timeout: number }): JetStream;
  jetstreamManager(
    connection: NatsConnection,
    options: { readonly timeout: number },
  ): Promise<StreamManager>;
}

/** An answer that takes longer is a failure; streams of many messages in flight take seconds. */
const TIMEOUT_MS = 60_000;

async function load<T>(name: string): Promise<T> {
  const folder = process.env['NATS_CLIENT'] ?? '';
  const resolve = createRequire(path.join(folder, 'any.js'));
  return (await import(pathToFileURL(resolve.resolve(name)).href)) as T;
}

export interface Connected {
  readonly connection: NatsConnection;
  readonly stream: JetStream;
  readonly manager: StreamManager;
}

export async function connectNats(servers: readonly string[]): Promise<Connected> {
  const transport = await load<Transport>('@nats-io/transport-node');
  const jetstream = await load<JetStreamModule>('@nats-io/jetstream');
  const connection = await transport.connect({ servers });
  const options = { timeout: TIMEOUT_MS };
  const manager = await jetstream.jetstreamManager(connection, options);
  return { connection, stream: jetstream.jetstream(connection, options), manager };
}
