import { fileURLToPath } from 'node:url';

import type { BrokerProcess, BrokerRun, Ports } from '../lib/broker-process.js';
import { bundled } from '../lib/bundle.js';
import {
  DETOURS_VARIABLE,
  type FaultsAnswer,
  type FaultsOrder,
  type MessageCounts,
  type MessageFaults,
  NO_FAULTS,
} from '../lib/faulty-peers.js';
import type { LinkState } from '../lib/link.js';
import { Links, type Party } from '../lib/links.js';
import { ScriptCluster } from '../lib/script-cluster.js';

import type { Needs } from './scenario.js';

const FAULTY_BROKER = fileURLToPath(new URL('../lib/faulty-broker.ts', import.meta.url));
const COUNTED_WITHIN_MS = 5_000;

/** Real brokers and the wires between them, as a scenario needs them. Whoever starts it stops it. */
export class ChaosCluster {
  readonly script: ScriptCluster;
  readonly links: Links;
  private readonly lastCounts = new Map<number, MessageCounts>();

  private constructor(script: ScriptCluster, links: Links) {
    this.script = script;
    this.links = links;
    for (const broker of script.brokers) {
      broker.onMessage((answer) => {
        this.lastCounts.set(broker.id, (answer as FaultsAnswer).counts);
      });
    }
  }

  static async start(needs: Needs): Promise<ChaosCluster> {
    const links = new Links();
    const brokers = needs.brokers ?? 3;
    try {
      const script = await ScriptCluster.start({
        brokers,
        config: { logLevel: 'info', ...needs.config },
        ...(needs.clientLinks === true
          ? { clientsThrough: (port, id) => links.open('clients', id, port) }
          : {}),
        run: async (id, ports, dataDir) => {
          const env = needs.env?.(id, dataDir) ?? {};
          return needs.peerLinks === true ? await troubled(links, id, ports, env) : { env };
        },
      });
      return new ChaosCluster(script, links);
    } catch (error) {
      links.stop();
      throw error;
    }
  }

  get brokers(): readonly BrokerProcess[] {
    return this.script.brokers;
  }

  get bootstrap(): readonly string[] {
    return this.script.bootstrap;
  }

  get dir(): string {
    return this.script.dir;
  }

  get ids(): readonly number[] {
    return this.brokers.map(({ id }) => id);
  }

  get sigkills(): number {
    return this.brokers.reduce((sum, { sigkills }) => sum + sigkills, 0);
  }

  /** All links between brokers of different sides, both ways. Resolves with how many connections it hits. */
  async between(sides: readonly (readonly number[])[], state: LinkState): Promise<number> {
    const links: [Party, number][] = [];
    for (const side of sides) {
      for (const other of sides) {
        if (other === side) continue;
        for (const from of side) for (const to of other) links.push([from, to]);
      }
    }
    return await this.links.set(links, state);
  }

  /** The links of one broker with all others, both ways. */
  async isolate(id: number, state: LinkState): Promise<number> {
    return await this.between([[id], this.ids.filter((other) => other !== id)], state);
  }

  /** Troubles the Raft messages that every broker sends from now on; undefined: no longer. */
  troubleMessages(faults: MessageFaults | undefined): void {
    for (const broker of this.brokers) {
      broker.send({ faults: faults ?? NO_FAULTS } satisfies FaultsOrder);
    }
  }

  /** Ends the trouble; resolves with the messages troubled since it began, by brokers that ran on. */
  async messageCounts(): Promise<MessageCounts> {
    this.lastCounts.clear();
    this.troubleMessages(undefined);
    const running = this.brokers.filter((broker) => broker.isRunning).length;
    const giveUpAt = performance.now() + COUNTED_WITHIN_MS;
    while (this.lastCounts.size < running && performance.now() < giveUpAt) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const sum = { sent: 0, repeated: 0, held: 0, lost: 0 };
    for (const counts of this.lastCounts.values()) {
      sum.sent += counts.sent;
      sum.repeated += counts.repeated;
      sum.held += counts.held;
      sum.lost += counts.lost;
    }
    return sum;
  }

  async stop(options: { readonly keep: boolean }): Promise<void> {
    await this.script.stop(options);
    this.links.stop();
  }
}

/** A broker whose way to each peer leads through a link. */
async function troubled(
  links: Links,
  id: number,
  ports: readonly Ports[],
  env: Readonly<Record<string, string>>,
): Promise<BrokerRun> {
  const detours = await Promise.all(
    ports.flatMap(({ peer }, i) =>
      i + 1 === id ? [] : [links.open(id, i + 1, peer).then((port) => [peer, port] as const)],
    ),
  );
  return {
    script: await bundled(FAULTY_BROKER),
    env: { ...env, [DETOURS_VARIABLE]: JSON.stringify(detours) },
  };
}
