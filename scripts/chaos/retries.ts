import { type ChildProcess, fork } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { crc32c } from '../../src/base/crc32c.js';
import { GrpcTransport } from '../../src/client/grpc-transport.js';
import { RecordBatchBuilder } from '../../src/model/record-batch-builder.js';
import { type BrokerConnection, connectBroker } from '../../src/rpc/channel.js';
import { bundled } from '../lib/bundle.js';
import { digest, payloadOf } from './payload.js';
import type { Stage } from './scenario.js';

const WORKER = fileURLToPath(new URL('doomed-producer.ts', import.meta.url));
const VALUE_BYTES = 100;
const SENDS_BEFORE_KILL_MAX = 20;
const KILL_AFTER_MS_MAX = 20;
const ATTEMPT_MS = 5_000;
const RETRY_AFTER_MS = 100;
const GIVE_UP_MS = 30_000;
const STARTED_WITHIN_MS = 30_000;
/** Producers of the load number themselves from 0 in the history. */
const HISTORY_PID_MIN = 1_000_000;

export interface DoomedSettings {
  /** `host:port` of the broker that it talks to. */
  readonly address: string;
  readonly topic: string;
  readonly partition: number;
  readonly producerId: number;
  readonly producerEpoch: number;
  /** Of its values. */
  readonly prefix: string;
}

interface Answer {
  readonly off: number;
  readonly epoch: number;
  readonly node: number;
  readonly isDuplicate: boolean;
}

export type FromDoomed =
  | { readonly kind: 'sending'; readonly seq: number; readonly v: string }
  | { readonly kind: 'answered'; readonly seq: number; readonly answer: Answer };

interface Pending {
  readonly p: number;
  readonly seq: number;
  readonly v: string;
}

/**
 * A producer that is killed between a send and its answer. Its successor repeats the send with the same
 * id, epoch and sequence: for whoever reads the history it is one send, which must be there once.
 */
export async function killAndRetry(stage: Stage, turn: number): Promise<void> {
  const partition = stage.prng.int(stage.partitions);
  const identity = await newIdentity(stage, turn);
  const settings = {
    ...{ address: brokerOf(stage, turn), topic: stage.topic, partition, ...identity },
    prefix: `doomed-${identity.producerId}`,
  };
  const pending = await doomed(stage, settings);
  stage.fault({ kind: 'kill-producer', nodes: [], keys: [] });
  if (pending === undefined) return;
  await finish({ stage, turn, settings }, pending);
}

/** One attempt; undefined: unanswered, or refused in a way that says nothing. */
export async function onceProduced(
  records: BrokerConnection['records'],
  { topic, partition }: DoomedSettings,
  batch: Uint8Array,
): Promise<Answer | undefined> {
  const request = { topic, partition, batch: Buffer.from(batch), allowForward: true };
  return await new Promise((resolve) => {
    records.produce(request, { deadline: Date.now() + ATTEMPT_MS }, (error, answer) => {
      if (error !== null || answer === undefined || answer.error !== null) resolve(undefined);
      else {
        resolve({
          off: answer.baseOffset,
          epoch: answer.leaderEpoch,
          node: answer.brokerId,
          isDuplicate: answer.duplicate,
        });
      }
    });
  });
}

export function stampedBatch(settings: DoomedSettings, seq: number, v: string): Uint8Array {
  const { producerId, producerEpoch } = settings;
  const builder = new RecordBatchBuilder();
  builder.append({ value: payloadOf(v, VALUE_BYTES) }, Date.now());
  return builder.finish({ producerId, producerEpoch, baseSequence: seq }, crc32c);
}

function brokerOf({ cluster }: Stage, turn: number): string {
  return cluster.bootstrap[turn % cluster.bootstrap.length] ?? '';
}

interface Identity {
  readonly producerId: number;
  readonly producerEpoch: number;
}

/** Of whichever broker gives it: others may be away, by another fault. */
async function newIdentity(stage: Stage, turn: number): Promise<Identity> {
  const request = { producerId: undefined, producerEpoch: 0 };
  const giveUpAt = performance.now() + GIVE_UP_MS;
  const transport = new GrpcTransport();
  try {
    for (let attempt = 0; ; attempt += 1) {
      const [host = '', port] = brokerOf(stage, turn + attempt).split(':');
      const to = { host, port: Number(port) };
      try {
        return await transport.call(to, 'initProducer', request, { deadlineMs: ATTEMPT_MS });
      } catch (error) {
        if (performance.now() > giveUpAt) throw error;
        await pause(RETRY_AFTER_MS);
      }
    }
  } finally {
    transport.close();
  }
}

/** Lets the process send for a moment and kills it; resolves with what it did not get an answer to. */
async function doomed(stage: Stage, settings: DoomedSettings): Promise<Pending | undefined> {
  const { history, prng, topic } = stage;
  const child = fork(await bundled(WORKER), [JSON.stringify(settings)], {
    stdio: ['ignore', 2, 2, 'ipc'],
    execArgv: [],
  });
  // Once it is disconnected, everything that it said has been heard.
  const gone = Promise.all(
    (['exit', 'disconnect'] as const).map(
      (event) => new Promise<void>((resolve) => child.once(event, () => resolve())),
    ),
  );
  const sends = 1 + prng.int(SENDS_BEFORE_KILL_MAX);
  const state: { pending: Pending | undefined } = { pending: undefined };
  const timer = setTimeout(() => child.kill('SIGKILL'), STARTED_WITHIN_MS);
  child.on('message', (message: FromDoomed) => {
    if (message.kind === 'answered') {
      if (state.pending === undefined) return;
      history.complete(state.pending.p, 'ok', withoutMark(message.answer));
      state.pending = undefined;
      return;
    }
    const { seq, v } = message;
    const p = history.newProcess();
    const crc = digest(payloadOf(v, VALUE_BYTES));
    const k = `${topic}/${settings.partition}`;
    const pid = HISTORY_PID_MIN + settings.producerId;
    history.invoke(p, { f: 'send', k, v, crc, pid, pe: settings.producerEpoch, seq });
    state.pending = { p, seq, v };
    letGo(child);
    if (seq === sends) setTimeout(() => child.kill('SIGKILL'), prng.int(KILL_AFTER_MS_MAX));
  });
  await gone;
  clearTimeout(timer);
  stage.count('producers killed');
  return state.pending;
}

/** What the killed producer left undone, until it is answered. */
async function finish(
  { stage, turn, settings }: { stage: Stage; turn: number; settings: DoomedSettings },
  { p, seq, v }: Pending,
): Promise<void> {
  const batch = stampedBatch(settings, seq, v);
  const giveUpAt = performance.now() + GIVE_UP_MS;
  for (let attempt = 0; performance.now() < giveUpAt; attempt += 1) {
    const connection = connectBroker(brokerOf(stage, turn + attempt));
    const answer = await onceProduced(connection.records, settings, batch);
    connection.close();
    if (answer !== undefined) {
      stage.history.complete(p, 'ok', withoutMark(answer));
      stage.count('sends repeated by another process');
      if (answer.isDuplicate) stage.count('of which the broker had already');
      return;
    }
    await pause(RETRY_AFTER_MS);
  }
  stage.history.complete(p, 'info', { err: 'GAVE_UP' });
  stage.problem(`the retry of sequence ${seq} was not answered within ${GIVE_UP_MS} ms`);
}

function withoutMark({ off, epoch, node }: Answer): Omit<Answer, 'isDuplicate'> {
  return { off, epoch, node };
}

function letGo(child: ChildProcess): void {
  if (child.connected) child.send('go', () => undefined);
}
