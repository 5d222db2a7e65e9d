import { accessSync, constants } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';

import type { System } from '../system.js';

/** When a server acknowledges: as it comes, or with an fsync of every replica's disk before. */
export type Durability = 'default' | 'fsync';

/** A peer as it is installed here. */
export interface Peer {
  /** With its version. */
  readonly name: string;
  /** Undefined: it cannot be had here with this durability, and why. */
  start(durability: Durability): (() => Promise<System>) | { readonly absent: string };
}

/** Where the installing scripts put what they get. Not MILLRACE_..., which brokers take for a setting. */
export function cacheFolder(peer: string): string {
  const own = process.env['BENCH_CACHE'];
  const caches = process.env['XDG_CACHE_HOME'] ?? path.join(os.homedir(), '.cache');
  return path.join(own ?? path.join(caches, 'millrace-bench'), peer);
}

/** The first of these files that can be run. */
export function executable(candidates: readonly string[]): string | undefined {
  return candidates.find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

export function onPath(program: string): string[] {
  const folders = [...(process.env['PATH'] ?? '').split(path.delimiter), '/usr/sbin'];
  return folders.filter((folder) => folder !== '').map((folder) => path.join(folder, program));
}
