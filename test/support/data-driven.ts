import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect } from 'chai';

/** `name word word key=value key=(v v)`: the words in order, the keys by name. */
export interface Command {
  readonly name: string;
  readonly words: readonly string[];
  readonly options: ReadonlyMap<string, string>;
}

export type CommandHandler = (command: Command) => string;

interface Block {
  /** Comments and blank lines before the command, kept when a file is rewritten. */
  readonly lead: readonly string[];
  readonly command: string;
  readonly expected: string;
  readonly line: number;
}

/**
 * Declares one test for each .txt file of a folder. A file is a dialogue: a command, `----`, what it
 * must print, a blank line. With REWRITE=1 the answers are written anew, to be reviewed as a diff.
 */
export function describeDataFiles(folder: string, makeHandler: () => CommandHandler): void {
  for (const file of readdirSync(folder).sort()) {
    if (!file.endsWith('.txt')) continue;
    it(basename(file, '.txt').replaceAll('-', ' '), () => {
      runDataFile(join(folder, file), makeHandler());
    });
  }
}

function runDataFile(path: string, handler: CommandHandler): void {
  const blocks = parseBlocks(readFileSync(path, 'utf8'));
  expect(blocks.length, `${path} holds commands`).greaterThan(0);
  const isRewriting = process.env['REWRITE'] === '1';
  let rewritten = '';
  for (const block of blocks) {
    const actual = answer(handler, block.command);
    if (isRewriting) {
      rewritten += [...block.lead, block.command, '----', actual, ''].join('\n') + '\n';
      continue;
    }
    expect(actual, `${path}:${block.line} ${block.command}`).equal(block.expected);
  }
  if (isRewriting) writeFileSync(path, rewritten.trimEnd() + '\n');
}

/** What a command prints; a thrown error is an answer too. */
function answer(handler: CommandHandler, line: string): string {
  try {
    return handler(parseCommand(line)).trimEnd() || 'ok';
  } catch (error) {
    return `error: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function parseBlocks(text: string): Block[] {
  const lines = text.split('\n');
  const blocks: Block[] = [];
  let lead: string[] = [];
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? '';
    if (line.trim() === '' || line.startsWith('#')) {
      if (line.trim() !== '' || lead.length > 0) lead.push(line);
      continue;
    }
    const start = at;
    const expected: string[] = [];
    if (lines[at + 1] === '----') {
      at++;
      while ((lines[at + 1] ?? '').trim() !== '') expected.push(lines[++at] ?? '');
    }
    blocks.push({ lead, command: line, expected: expected.join('\n'), line: start + 1 });
    lead = [];
  }
  return blocks;
}

export function parseCommand(line: string): Command {
  const tokens = line.match(/[^\s=]+=\([^)]*\)|\S+/g) ?? [];
  const words: string[] = [];
  const options = new Map<string, string>();
  for (const token of tokens.slice(1)) {
    const at = token.indexOf('=');
    if (at > 0) options.set(token.slice(0, at), token.slice(at + 1));
    else words.push(token);
  }
  return { name: tokens[0] ?? '', words, options };
}

/** `(1 2 3)` or `1,2,3`. */
export function parseIds(text: string | undefined): number[] {
  return (text?.match(/\d+/g) ?? []).map(Number);
}
