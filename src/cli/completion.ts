import type { Command, Option } from 'commander';
import { readContexts } from './contexts.js';
import { bootstrapOf, withClient } from './options.js';
import type { Io } from './io.js';

/** What completion may ask a cluster, or the user's own file, for. */
export type NameKind = 'topic' | 'group' | 'context';

/** What may stand where the cursor is: words, or names that the cluster knows. */
export interface Candidates {
  readonly words: readonly string[];
  readonly names?: NameKind | undefined;
}

/** A person waits for it, on every press of a key. */
const ASK_MS = 1_000;
const NAMES_MAX = 1_000;

/** `words` are those behind the program's name; the last one is being written. */
export function candidatesFor(program: Command, words: readonly string[]): Candidates {
  const partial = words.at(-1) ?? '';
  let command = program;
  let operands = 0;
  let open: Option | undefined;
  for (const word of words.slice(0, -1)) {
    if (open !== undefined) open = undefined;
    else if (word.startsWith('-')) open = optionThatWaits(command, word);
    else {
      const sub = command.commands.find((each) => each.name() === word);
      if (sub === undefined) operands += 1;
      else command = sub;
    }
  }
  if (open !== undefined) return valuesOf(open.long ?? '', open.argChoices);
  if (partial.startsWith('-')) {
    const long = command.options.filter((o) => !o.hidden).map((o) => o.long ?? o.short ?? '');
    return { words: [...long, '--help'] };
  }
  if (command.commands.length > 0) return { words: command.commands.map((each) => each.name()) };
  const argument = command.registeredArguments[operands];
  return argument === undefined ? { words: [] } : valuesOf(argument.name(), argument.argChoices);
}

function optionThatWaits(command: Command, word: string): Option | undefined {
  if (word.includes('=')) return undefined;
  const option = command.options.find(({ long, short }) => long === word || short === word);
  return option?.required === true || option?.optional === true ? option : undefined;
}

function valuesOf(name: string, choices: readonly string[] | undefined): Candidates {
  if (choices !== undefined) return { words: choices };
  if (name === 'topic' || name === '--topic') return { words: [], names: 'topic' };
  if (name === 'group' || name === '--group') return { words: [], names: 'group' };
  if (name === 'context' || name === '--context') return { words: [], names: 'context' };
  return { words: [] };
}

/** Writes what fits the word being written, one a line. Never fails: then there is nothing to offer. */
export async function complete(io: Io, program: Command, words: readonly string[]): Promise<void> {
  const { words: fixed, names } = candidatesFor(program, words);
  const known = names === undefined ? [] : await namesOf(io, names, words).catch(() => []);
  const partial = words.at(-1) ?? '';
  const fitting = [...fixed, ...known].filter((each) => each.startsWith(partial));
  if (fitting.length > 0) io.stdout.write(`${fitting.slice(0, NAMES_MAX).join('\n')}\n`);
}

async function namesOf(io: Io, kind: NameKind, words: readonly string[]): Promise<string[]> {
  if (kind === 'context') return [...readContexts(io).bootstraps.keys()];
  const given = (option: string): string | undefined => {
    const at = words.indexOf(option);
    return at < 0 ? undefined : words[at + 1];
  };
  const [address, context] = [given('--bootstrap'), given('--context')];
  const bootstrap = bootstrapOf(io, {
    ...(address === undefined ? {} : { bootstrap: address }),
    ...(context === undefined ? {} : { context }),
  });
  return await withClient(io, { bootstrap, timeout: ASK_MS }, async ({ admin }) => {
    if (kind === 'group') return (await admin.listGroups()).map(({ group }) => group);
    const { topics } = await admin.metadata({ linearizable: false });
    return topics.map(({ topic }) => topic);
  });
}

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** What a shell is to read so that it asks this program. */
export const SCRIPTS: Readonly<Record<Shell, string>> = {
  bash: `_millrace() {
  local IFS=$'\\n'
  COMPREPLY=($(millrace __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _millrace millrace`,
  zsh: `#compdef millrace
_millrace() {
  local -a found
  found=("\${(@f)$(millrace __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  compadd -- \${found:#}
}
compdef _millrace millrace`,
  fish: `function __millrace_complete
  set -l words (commandline -opc) (commandline -ct)
  millrace __complete $words[2..-1] 2>/dev/null
end
complete -c millrace -f -a '(__millrace_complete)'`,
};
