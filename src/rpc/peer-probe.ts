import net from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** A server speaks first in HTTP/2, so a live peer shows itself at once; a stopped one does not. */
const VERDICT_MS_MAX = 250;
const RESET_RETRY_MS = 2;
const RESET_RETRIES_MAX = 50;

type Verdict = 'refused' | 'reset' | 'inconclusive';

/**
 * Whether nothing listens on a peer's port any more: true only if a connection is refused. A process
 * that is being killed may still accept and then reset, so a reset is asked again until it is either
 * refused or answered.
 */
export async function isConnectionRefused(host: string, port: number): Promise<boolean> {
  for (let i = 0; i < RESET_RETRIES_MAX; i += 1) {
    const verdict = await tryConnect(host, port);
    if (verdict !== 'reset') return verdict === 'refused';
    await delay(RESET_RETRY_MS);
  }
  return false;
}

function tryConnect(host: string, port: number): Promise<Verdict> {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port });
    let failure: string | undefined;
    const give = (verdict: Verdict): void => {
      socket.destroy();
      resolve(verdict);
    };
    socket.setTimeout(VERDICT_MS_MAX, () => give('inconclusive'));
    socket.once('data', () => give('inconclusive'));
    socket.once('error', (error: NodeJS.ErrnoException) => {
      failure = error.code;
    });
    socket.once('close', () => {
      if (failure === 'ECONNREFUSED') resolve('refused');
      else if (failure === undefined || failure === 'ECONNRESET') resolve('reset');
      else resolve('inconclusive');
    });
  });
}
