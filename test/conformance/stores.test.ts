import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { LevelBrokerStore } from '../../src/storage/level-broker-store.js';
import { MemoryBrokerStore, MemoryDisk } from '../../src/storage/memory-broker-store.js';
import { describeBrokerStore } from './broker-store.suite.js';

describeBrokerStore('memory', async () => {
  const disk = new MemoryDisk();
  return {
    open: async () => new MemoryBrokerStore(disk),
    damage: async (groupId) => disk.damage(groupId),
    dispose: async () => undefined,
  };
});

describeBrokerStore('LevelDB', async () => {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'millrace-store-'));
  return {
    open: () => LevelBrokerStore.open(directory),
    damage: (groupId) => rm(path.join(directory, 'replicas', String(groupId)), { recursive: true }),
    dispose: () => rm(directory, { recursive: true, force: true }),
  };
});
