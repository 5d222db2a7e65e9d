import { writeFileSync } from 'node:fs';
import path from 'node:path';

import { freePorts } from '../../src/cli/processes.js';
import { ScriptCluster } from '../lib/script-cluster.js';
import type { Case } from './case.js';
import { run } from './command-line.js';
import type { Patient } from './patient.js';

/** Brokers started where they must not start. */
export function directories(p: Patient): Case[] {
  const [first] = p.cluster.brokers;
  const peer = { id: 1, host: '127.0.0.1', peerPort: first?.ports.peer ?? 0 };
  return [
    {
      input: 'a second broker on the same data directory',
      expected: /exit 1: .*in use/,
      answer: async () =>
        await stray(p, 'second', {
          brokerId: 1,
          dataDir: path.join(p.cluster.dir, 'data-1'),
          founders: [peer],
        }),
    },
    {
      input: 'a data directory of another cluster',
      expected: /exit 1: .*cluster/,
      answer: async () => {
        const dir = path.join(p.cluster.dir, 'other');
        const other = await ScriptCluster.start({ brokers: 1, dir });
        await other.stop({ keep: true });
        const seeds = p.cluster.brokers.map((b) => ({
          id: b.id,
          host: '127.0.0.1',
          peerPort: b.ports.peer,
        }));
        const dataDir = path.join(dir, 'data-1');
        return await stray(p, 'stranger', { brokerId: 1, dataDir, seeds });
      },
    },
  ];
}

/** Ends the broker that should not have started, and says what it said. */
async function stray(p: Patient, name: string, config: object): Promise<string> {
  const [clientPort, peerPort, httpPort] = await freePorts('127.0.0.1', 3);
  const file = path.join(p.cluster.dir, `${name}.json`);
  const whole = { host: '127.0.0.1', clientPort, peerPort, httpPort, ...config };
  writeFileSync(file, JSON.stringify(whole));
  const { code, err } = await run(['broker', '--config', file]);
  return `exit ${code ?? 'by signal'}: ${err.trim()}`;
}
