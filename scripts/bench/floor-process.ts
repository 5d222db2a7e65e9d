/**
 * One process of the floor: what this stack can do with nothing of Millrace in it. A broker writes
 * each batch to LevelDB with a sync and to two followers over gRPC streams, and acknowledges when two
 * of the three disks have it; a client keeps a fixed number of batches in flight. No Raft, no checks,
 * no recovery. Started by floor.ts, which it talks to over IPC and which transpiles it beforehand: it
 * imports nothing of this project.
 */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';

import * as grpc from '@grpc/grpc-js';
import { ClassicLevel } from 'classic-level';

const WINDOW_BYTES = 8 << 20;
const MESSAGE_BYTES_MAX = 64 << 20;
const HEADER_BYTES = 5;

const options: grpc.ChannelOptions = {
  'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
  'grpc.max_send_message_length': MESSAGE_BYTES_MAX,
  'grpc-node.flow_control_window': WINDOW_BYTES,
};

const same = (bytes: Buffer): Buffer => bytes;
function stream(name: string): grpc.MethodDefinition<Buffer, Buffer> {
  return {
    path: `/floor/${name}`,
    requestStream: true,
    responseStream: true,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
}
const SERVICE = { produce: stream('produce'), replicate: stream('replicate') };

type Call = grpc.ClientDuplexStream<Buffer, Buffer>;

function open(port: number, method: keyof typeof SERVICE): Call {
  const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), options);
  const definition = SERVICE[method];
  return client.makeBidiStreamRequest(definition.path, same, same);
}

/** partition u8, sequence u32 */
function header(partition: number, sequence: number): Buffer {
  const bytes = Buffer.allocUnsafe(HEADER_BYTES);
  bytes[0] = partition;
  bytes.writeUInt32BE(sequence, 1);
  return bytes;
}

interface BrokerOrder {
  readonly dir: string;
  readonly partitions: number;
}

async function runBroker({ dir, partitions }: BrokerOrder): Promise<void> {
  mkdirSync(dir, { recursive: true });
  const stores: ClassicLevel<Buffer, Buffer>[] = [];
  for (let p = 0; p < partitions; p += 1) {
    const store = new ClassicLevel<Buffer, Buffer>(path.join(dir, String(p)), {
      keyEncoding: 'buffer',
      valueEncoding: 'buffer',
      compression: false,
      writeBufferSize: 8 << 20,
      maxFileSize: 64 << 20,
      blockSize: 64 << 10,
    });
    await store.open();
    stores.push(store);
  }
  const write = (partition: number, index: number, value: Buffer): Promise<void> => {
    const key = Buffer.allocUnsafe(8);
    key.writeDoubleBE(index, 0);
    const store = stores[partition];
    if (store === undefined) throw new Error(`no partition ${partition}`);
    return store.batch([{ type: 'put', key, value }], { sync: true });
  };

  const followers: { readonly call: Call; readonly waiting: Map<number, () => void> }[] = [];
  const next = new Array<number>(partitions).fill(0);
  const server = new grpc.Server(options);
  server.addService(SERVICE, {
    produce(call: grpc.ServerDuplexStream<Buffer, Buffer>) {
      call.on('data', (batch: Buffer) => {
        const partition = batch[0] ?? 0;
        const index = next[partition] ?? 0;
        next[partition] = index + 1;
        let disks = 0;
        const durable = (): void => {
          disks += 1;
          if (disks === 2) call.write(batch.subarray(1, HEADER_BYTES));
        };
        const framed = Buffer.concat([header(partition, index), batch]);
        for (const follower of followers) {
          follower.waiting.set(partition * 1e9 + index, durable);
          follower.call.write(framed);
        }
        void write(partition, index, batch).then(durable);
      });
      call.on('end', () => call.end());
    },
    replicate(call: grpc.ServerDuplexStream<Buffer, Buffer>) {
      call.on('data', (framed: Buffer) => {
        const partition = framed[0] ?? 0;
        const index = framed.readUInt32BE(1);
        void write(partition, index, framed.subarray(HEADER_BYTES)).then(() =>
          call.write(header(partition, index)),
        );
      });
      call.on('end', () => call.end());
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  widenServerWindows(server);
  process.on('message', (peers: number[]) => {
    for (const peer of peers) {
      const call = open(peer, 'replicate');
      const waiting = new Map<number, () => void>();
      call.on('data', (ack: Buffer) => {
        const key = (ack[0] ?? 0) * 1e9 + ack.readUInt32BE(1);
        const durable = waiting.get(key);
        waiting.delete(key);
        durable?.();
      });
      call.on('error', () => undefined);
      followers.push({ call, waiting });
    }
    process.send?.({ linked: true });
  });
  process.on('SIGTERM', () => {
    const cpu = process.cpuUsage();
    process.send?.({ cpuSeconds: (cpu.user + cpu.system) / 1e6 }, () => process.exit(0));
  });
  process.send?.({ port });
}

/** grpc-js sets only the client's windows; the server's are set on its HTTP/2 sessions. */
function widenServerWindows(server: grpc.Server): void {
  interface Session {
    setLocalWindowSize(bytes: number): void;
    settings(settings: { initialWindowSize: number }): void;
  }
  interface Listener {
    on(event: 'session', listener: (session: Session) => void): void;
  }
  const inside = server as unknown as { readonly http2Servers: Map<Listener, unknown> };
  for (const listener of inside.http2Servers.keys()) {
    listener.on('session', (session) => {
      session.setLocalWindowSize(WINDOW_BYTES);
      session.settings({ initialWindowSize: WINDOW_BYTES });
    });
  }
}

interface ClientOrder {
  readonly ports: readonly number[];
  readonly partitions: number;
  /** Sent and answered before the clock starts. */
  readonly warmupBytes: number;
  readonly totalBytes: number;
  readonly batchBytes: number;
  readonly inFlight: number;
}

interface Sent {
  readonly latencies: readonly number[];
  readonly seconds: number;
}

/** Keeps so many batches in flight until `count` of them are answered. */
async function sendAll(calls: readonly Call[], order: ClientOrder, count: number): Promise<Sent> {
  const template = Buffer.alloc(order.batchBytes);
  for (let i = 0; i < template.length; i += 1) template[i] = Math.random() * 256;
  const sentAt = new Float64Array(count);
  const latencies: number[] = [];
  let sent = 0;
  const startedAt = performance.now();
  await new Promise<void>((resolve) => {
    const fill = (): void => {
      while (sent < count && sent - latencies.length < order.inFlight) {
        const partition = sent % order.partitions;
        const batch = Buffer.from(template);
        batch[0] = partition;
        batch.writeUInt32BE(sent, 1);
        sentAt[sent] = performance.now();
        sent += 1;
        calls[partition % calls.length]?.write(batch);
      }
    };
    for (const call of calls) {
      call.removeAllListeners('data');
      call.on('data', (ack: Buffer) => {
        latencies.push(performance.now() - (sentAt[ack.readUInt32BE(0)] ?? 0));
        if (latencies.length === count) resolve();
        else fill();
      });
    }
    fill();
  });
  return { latencies, seconds: (performance.now() - startedAt) / 1000 };
}

async function runClient(order: ClientOrder): Promise<void> {
  const calls = order.ports.map((port) => open(port, 'produce'));
  for (const call of calls) call.on('error', () => undefined);
  const { batchBytes } = order;
  const warmup = Math.floor(order.warmupBytes / batchBytes);
  if (warmup > 0) await sendAll(calls, order, warmup);
  const count = Math.floor(order.totalBytes / batchBytes);
  const cpuBefore = process.cpuUsage();
  const { latencies, seconds } = await sendAll(calls, order, count);
  const cpu = process.cpuUsage(cpuBefore);
  process.send?.(
    {
      mebibytesPerSecond: (count * batchBytes) / 1_048_576 / seconds,
      seconds,
      clientCpuSeconds: (cpu.user + cpu.system) / 1e6,
      latencies,
    },
    () => process.exit(0),
  );
}

// Whoever started it is gone, and stops nobody any more.
process.on('disconnect', () => process.exit(1));
const [role, argument = ''] = process.argv.slice(2);
if (role === 'broker') await runBroker(JSON.parse(argument) as BrokerOrder);
else await runClient(JSON.parse(argument) as ClientOrder);
