import {
  copyFileSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';

import { directoryOf, type Source } from './source.js';

/** What a case does to one file or directory of a stopped broker. */
export interface Harm {
  readonly what: string;
  /** Relative to the data directory. */
  readonly target: string;
  /** The file's new content; undefined: it is gone. */
  readonly bytes: Uint8Array | undefined;
}

interface Placed {
  readonly name: string;
  readonly isCopied: boolean;
}

/** Files written in place: a link would change the original with them. */
const IN_PLACE: ReadonlySet<string> = new Set(['state']);

/**
 * Lays out one broker's directory again and again, with one replica in it: links, but for what is
 * written in place, so that a case costs next to nothing. LevelDB never writes into a table, a log or
 * a MANIFEST it finds; it makes new ones.
 */
export class Stand {
  private readonly from: string;
  private readonly folders: readonly string[];
  private readonly files: readonly Placed[];

  constructor(source: Pick<Source, 'directory' | 'group'>, broker: number) {
    this.from = directoryOf(source.directory, broker);
    const { folders, files } = treeOf(this.from, path.join('replicas', String(source.group)));
    this.folders = folders;
    this.files = files;
  }

  get names(): readonly string[] {
    return this.files.map(({ name }) => name);
  }

  get folderNames(): readonly string[] {
    return this.folders;
  }

  read(name: string): Uint8Array {
    return readFileSync(path.join(this.from, name));
  }

  layOut(to: string, harm?: Harm): void {
    mkdirSync(to);
    for (const folder of this.folders) mkdirSync(path.join(to, folder));
    for (const { name, isCopied } of this.files) {
      const place = isCopied ? copyFileSync : linkSync;
      place(path.join(this.from, name), path.join(to, name));
    }
    if (harm === undefined) return;
    const target = path.join(to, harm.target);
    if (harm.bytes === undefined) {
      rmSync(target, { recursive: true });
      return;
    }
    unlinkSync(target);
    writeFileSync(target, harm.bytes);
  }
}

/** Everything but other replicas, and LevelDB's locks: they belong to a process. */
function treeOf(
  from: string,
  replica: string,
): { readonly folders: string[]; readonly files: Placed[] } {
  const folders: string[] = [];
  const files: Placed[] = [];
  const walk = (at: string): void => {
    for (const each of readdirSync(path.join(from, at), { withFileTypes: true })) {
      const name = path.join(at, each.name);
      const isOther = name.startsWith('replicas') && !`${replica}/`.startsWith(`${name}/`);
      if (isOther && !name.startsWith(`${replica}/`)) continue;
      if (each.isDirectory()) {
        folders.push(name);
        walk(name);
      } else if (each.name !== 'LOCK') {
        files.push({ name, isCopied: IN_PLACE.has(name) });
      }
    }
  };
  walk('');
  return { folders, files };
}
