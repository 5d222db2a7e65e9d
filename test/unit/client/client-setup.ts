import { MillraceClient, type ClientOptions } from '../../../src/client/index.js';
import { FakeCluster } from './fake-cluster.js';
import { VirtualWorld } from './virtual-world.js';

/** A client of a cluster that lives in virtual time. */
export interface Setup {
  readonly world: VirtualWorld;
  readonly cluster: FakeCluster;
  readonly client: MillraceClient;
}

export function setup(
  partitions = 1,
  options: Omit<ClientOptions, 'bootstrap' | 'world' | 'transport'> = {},
): Setup {
  const world = new VirtualWorld();
  const cluster = new FakeCluster(world, { partitions });
  const way = { bootstrap: 'b:1,b:2,b:3', world, transport: cluster };
  const client = new MillraceClient({ ...way, ...options });
  return { world, cluster, client };
}
