/** Device and inode: what a file is called changes. */
export type FileId = string;

/** One change of what a directory holds. `at` orders all lines. */
export type NameChange = {
  readonly at: bigint;
  readonly file: FileId;
  readonly name: string;
} & (
  | { readonly kind: 'created' | 'linked' | 'directory-made' | 'directory-removed' }
  | { readonly kind: 'removed'; readonly keptAs: string }
  /** `keptAs` is what it replaced. */
  | { readonly kind: 'renamed'; readonly keptAs: string; readonly from: string }
);

export type Line =
  | NameChange
  /** For writing, and there already. */
  | { readonly kind: 'opened'; readonly at: bigint; readonly file: FileId; readonly size: number }
  | {
      readonly kind: 'overwritten';
      readonly at: bigint;
      readonly file: FileId;
      readonly offset: number;
      readonly old: Buffer;
    }
  /** To `offset`; what it lost is kept under `at`. */
  | {
      readonly kind: 'truncated';
      readonly at: bigint;
      readonly file: FileId;
      readonly offset: number;
    }
  /** Covers what was there at `from`, when the file was `size` long. */
  | {
      readonly kind: 'synced';
      readonly at: bigint;
      readonly file: FileId;
      readonly size: number;
      readonly from: bigint;
    }
  | { readonly kind: 'sync-failed'; readonly at: bigint; readonly file: FileId }
  | {
      readonly kind: 'directory-synced';
      readonly at: bigint;
      readonly directory: string;
      readonly from: bigint;
    };

/** Reads what shim.c wrote, without what never happened. A line cut short by a SIGKILL is left out. */
export function parseJournal(text: string): Line[] {
  const lines: Line[] = [];
  const failed = new Set<bigint>();
  for (const row of text.split('\n').slice(0, -1)) {
    const [letter = '', at = '', ...rest] = row.split(' ');
    if (letter === 'N') failed.add(BigInt(at));
    else lines.push(lineOf(letter, BigInt(at), rest));
  }
  return lines.filter((line) => !failed.has(line.at)).sort((a, b) => (a.at < b.at ? -1 : 1));
}

function lineOf(letter: string, at: bigint, fields: readonly string[]): Line {
  const [file = '', a = '', b = '', c = ''] = fields;
  switch (letter) {
    case 'C':
      return { kind: 'created', at, file, name: unescaped(a) };
    case 'L':
      return { kind: 'linked', at, file, name: unescaped(a) };
    case 'M':
      return { kind: 'directory-made', at, file, name: unescaped(a) };
    case 'X':
      return { kind: 'directory-removed', at, file, name: unescaped(a) };
    case 'U':
      return { kind: 'removed', at, file, keptAs: a, name: unescaped(b) };
    case 'R':
      return { kind: 'renamed', at, file, keptAs: a, from: unescaped(b), name: unescaped(c) };
    case 'O':
      return { kind: 'opened', at, file, size: Number(a) };
    case 'W':
      return { kind: 'overwritten', at, file, offset: Number(a), old: Buffer.from(b, 'hex') };
    case 'T':
      return { kind: 'truncated', at, file, offset: Number(a) };
    case 'S':
      return { kind: 'synced', at, file, size: Number(a), from: BigInt(b) };
    case 'F':
      return { kind: 'sync-failed', at, file };
    case 'D':
      return { kind: 'directory-synced', at, directory: unescaped(b), from: BigInt(a) };
    default:
      throw new Error(`the journal has a line that begins with ${letter}`);
  }
}

function unescaped(name: string): string {
  return Buffer.from(
    name.replace(/%([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))),
    'latin1',
  ).toString();
}
