/**
 * The links of a cluster under test, each from one party to one port, in a process of their own: they must
 * not wait for whoever writes the load. The parent's side is {@link Links}; forked, this file is the
 * process itself.
 */
import { type ChildProcess, fork } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

import { Link, type LinkState } from './link.js';

/** Who connects: a broker's id, or all clients. */
export type Party = number | 'clients';

type Order = { readonly id: number } & (
  | { readonly kind: 'open'; readonly name: string; readonly target: number }
  | { readonly kind: 'set'; readonly names: readonly string[]; readonly state: LinkState }
  | { readonly kind: 'count' }
);

interface Answer {
  readonly id: number;
  readonly port: number;
  /** Connections through the links of the order. */
  readonly connections: number;
  /** Chunks that any link has sent again so far. */
  readonly resent: number;
}

type OrderWithoutId = Order extends infer O ? (O extends Order ? Omit<O, 'id'> : never) : never;

const nameOf = (from: Party, to: number): string => `${from}-${to}`;

/** Proxies by whom they lead from and to. */
export class Links {
  private readonly child: ChildProcess;
  private readonly known = new Set<string>();
  private readonly waiting = new Map<number, (answer: Answer) => void>();
  private lastId = 0;

  constructor() {
    this.child = fork(fileURLToPath(import.meta.url), [], { execArgv: ['--import', 'tsx'] });
    this.child.on('message', (answer: Answer) => {
      this.waiting.get(answer.id)?.(answer);
      this.waiting.delete(answer.id);
    });
  }

  /** Puts a proxy before a port; resolves with the port that stands for it. */
  async open(from: Party, to: number, target: number): Promise<number> {
    const name = nameOf(from, to);
    this.known.add(name);
    return (await this.ask({ kind: 'open', name, target })).port;
  }

  /**
   * Resolves once the links are so, with how many connections went through them then. Links that do not
   * exist are passed over.
   */
  async set(
    links: readonly (readonly [from: Party, to: number])[],
    state: LinkState,
  ): Promise<number> {
    const names = links
      .map(([from, to]) => nameOf(from, to))
      .filter((name) => this.known.has(name));
    return (await this.ask({ kind: 'set', names, state })).connections;
  }

  /** Every link passes everything on at once. */
  async heal(): Promise<void> {
    await this.ask({ kind: 'set', names: [...this.known], state: { kind: 'open' } });
  }

  /** Chunks sent again so far, by all links together. */
  async resent(): Promise<number> {
    return (await this.ask({ kind: 'count' })).resent;
  }

  stop(): void {
    this.child.kill('SIGKILL');
  }

  private async ask(order: OrderWithoutId): Promise<Answer> {
    this.lastId += 1;
    const id = this.lastId;
    return await new Promise((resolve) => {
      this.waiting.set(id, resolve);
      this.child.send({ ...order, id });
    });
  }
}

/** In the forked process. */
class LinkProcess {
  private readonly links = new Map<string, Link>();

  async take(order: Order): Promise<Answer> {
    let port = 0;
    let connections = 0;
    if (order.kind === 'open') {
      const link = new Link(order.target, order.id);
      this.links.set(order.name, link);
      port = await link.listen();
    } else if (order.kind === 'set') {
      const links = order.names.flatMap((name) => this.links.get(name) ?? []);
      connections = links.reduce((sum, link) => sum + link.connections, 0);
      await Promise.all(links.map((link) => link.set(order.state)));
    }
    const resent = [...this.links.values()].reduce((sum, link) => sum + link.resent, 0);
    return { id: order.id, port, connections, resent };
  }
}

if (process.send !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) {
  const own = new LinkProcess();
  process.on('message', (order: Order) => {
    void own.take(order).then((answer) => process.send?.(answer));
  });
  process.on('disconnect', () => process.exit(0));
}
