import process from 'node:process';
import { setFlagsFromString } from 'node:v8';
import { BrokerError } from '../model/errors.js';
import type { BrokerConfig } from '../config/schema.js';
import { silenceGrpc } from '../rpc/grpc-server.js';
import { pinoTelemetry } from './pino-telemetry.js';
import { StartError, startBroker, type RunningBroker, type StartOptions } from './start-broker.js';

/** A bug of ours, as sysexits(3) numbers it: whoever supervises the process starts it again. */
const EXIT_BUG = 70;
const EXIT_FORCED = 1;
const LIVE_POLL_MS = 500;

/**
 * The heap may grow to four times of what lives before it is collected in full. By itself V8 comes down
 * to two where little of the heap is garbage; but with it counts what batches take outside the heap, and
 * then a few dozen MiB of records make it mark everything that lives.
 */
const HEAP_FLAGS = '--heap-growing-percent=300';

/**
 * Runs a broker as this process until it is told to stop. Resolves after a clean stop (SIGTERM, SIGINT
 * or SIGHUP; a second one ends the process at once). Rejects with StartError if the broker cannot start
 * or cannot be part of its cluster. A bug, or the loss of the data directory's volume, is logged and
 * ends the process: what is not known to be right must not go on. Who tests brokers as processes may
 * come between them with `peers`.
 */
export async function runBroker(
  config: BrokerConfig,
  options: Pick<StartOptions, 'peers'> = {},
): Promise<void> {
  setFlagsFromString(HEAP_FLAGS);
  silenceGrpc();
  const telemetry = pinoTelemetry({ level: config.logLevel, brokerId: config.brokerId });
  const fail = (text: string) => (error: unknown) => {
    telemetry.log.error({ err: error }, text);
    process.exit(EXIT_BUG);
  };
  process.on('uncaughtException', fail('fatal: uncaught exception'));
  process.on('unhandledRejection', fail('fatal: unhandled rejection'));
  const told = toldToStop(() => telemetry.log.info({}, 'stopping'));
  const broker = await startBroker(config, {
    ...options,
    telemetry,
    volumeFailed: fail("fatal: the data directory's volume failed"),
  });
  const watch = new AbortController();
  try {
    await Promise.race([told, cannotGoOn(broker, watch.signal)]);
  } finally {
    watch.abort();
    await broker.stop();
  }
  telemetry.log.info({}, 'stopped');
}

function toldToStop(first: () => void): Promise<void> {
  return new Promise((resolve) => {
    let isStopping = false;
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
      process.on(signal, () => {
        if (isStopping) process.exit(EXIT_FORCED);
        isStopping = true;
        first();
        resolve();
      });
    }
  });
}

/** Rejects when the broker can never be part of its cluster, now or later. */
async function cannotGoOn(broker: RunningBroker, ended: AbortSignal): Promise<never> {
  try {
    await broker.joined;
  } catch (error) {
    const { code, message } = BrokerError.from(error);
    throw new StartError(`cannot be part of the cluster: ${code}: ${message}`, { cause: error });
  }
  return new Promise((_resolve, reject) => {
    const poll = setInterval(() => {
      const { live, reason } = broker.health();
      if (live) return;
      clearInterval(poll);
      reject(new StartError(`cannot go on in the cluster: ${reason}`));
    }, LIVE_POLL_MS);
    ended.addEventListener('abort', () => clearInterval(poll));
  });
}
