import net from 'node:net';

import type { Case } from './case.js';
import type { Patient } from './patient.js';

/** What strangers send to open ports. */
export function garbage(p: Patient): Case[] {
  const noise = Uint8Array.from({ length: 200_000 }, (_, i) => Math.imul(i, 2654435761) >>> 24);
  const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  const kinds = [
    noise,
    Buffer.concat([preface, noise]),
    preface,
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
  ];
  return p.cluster.brokers.flatMap((b) =>
    (['client', 'peer', 'http'] as const).map((kind) => ({
      input: `garbage on the ${kind} port of broker ${b.id}`,
      expected: /bytes/,
      answer: async () => {
        const heard = await Promise.all(kinds.map((bytes) => throwAt(b.ports[kind], bytes)));
        return heard.join('; ');
      },
    })),
  );
}

async function throwAt(port: number, bytes: Uint8Array): Promise<string> {
  const socket = net.connect({ host: '127.0.0.1', port });
  const state = { heard: 0, isOurs: false };
  socket.on('error', () => undefined);
  socket.on('data', (chunk: Buffer) => (state.heard += chunk.length));
  socket.write(bytes);
  socket.setTimeout(500, () => {
    state.isOurs = true;
    socket.destroy();
  });
  // Not events.once: a reset is an answer, too.
  await new Promise<void>((resolve) => socket.once('close', () => resolve()));
  return `${state.heard} bytes, ${state.isOurs ? 'kept open' : 'closed'}`;
}
